"""Requests written by hand, and replies as they come."""

import json
import time
import zlib
from collections.abc import Callable

import numpy as np
from exploring import PATIENCE, Page, png

JSON = {"Content-Type": "application/json"}


def error(reply) -> tuple[int, str]:
    status, _, content = reply
    found = json.loads(content)
    assert list(found) == ["error"]
    return status, found["error"]


def request_head(page: Page, path: str, *lines: str) -> bytes:
    """As a page would begin a request, the token with it."""
    kind = "image/png" if path == "/api/upload" else "application/json"
    start = [
        f"POST {path} HTTP/1.1",
        f"Host: {page.name}",
        page.key.strip(),
        f"Content-Type: {kind}",
    ]
    return "\r\n".join([*start, *lines, "", ""]).encode()


def wait_until(holds: Callable[[], bool]) -> None:
    for _ in range(20 * PATIENCE):
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come to be")


def broken() -> dict[str, tuple[bytes, str]]:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    whole = png(noise)

    def claiming(side: int) -> bytes:
        """A PNG whose first chunk says that it is so wide and high."""
        chunk = b"IHDR" + side.to_bytes(4, "big") * 2 + whole[24:29]
        return whole[:12] + chunk + zlib.crc32(chunk).to_bytes(4, "big") + whole[33:]

    return {
        "nothing": (b"", "not an image that Pillow knows"),
        "text": (b"<svg onload=alert(1)>", "not an image that Pillow knows"),
        "truncated": (whole[: len(whole) // 2], "cannot be decoded"),
        "truncated JPEG": (png(noise, "JPEG")[:700], "cannot be decoded"),
        "absurdly large": (claiming(60_000), "is too large"),
        "too large": (claiming(12_000), "is 12000 × 12000 pixels, more than the 100,000,000"),
        "a drawing": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EOF\n", "a drawing"),
    }
