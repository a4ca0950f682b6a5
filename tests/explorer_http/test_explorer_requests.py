"""Requests over HTTP: headers of replies, paths, methods, and lengths within bounds."""

import base64
import hashlib
import json
import re

import numpy as np
import pytest
from exploring import Page
from requests_by_hand import JSON, error, request_head

from neocog.web.app import MOST_JSON, MOST_PICTURE

# Headers


def sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/"), ("GET", "/api/state"), ("GET", "/no"), ("PUT", "/")]
)
def test_every_reply_says_what_a_page_may_do(page: Page, method, path):
    _, headers, _ = page.send(method, path)
    # The page is one text for all: what it holds, and nothing else, is run.
    text = page.get("/").decode()
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    (script,) = re.findall(r'<script type="module">(.*?)</script>', text, re.DOTALL)
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": f"'sha256-{sha256(script)}'",
        "style-src": f"'sha256-{sha256(style)}'",
        "img-src": "blob: data:",
        "media-src": "blob:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "Access-Control-Allow-Origin" not in headers
    assert "Server" not in headers


# Paths


def test_paths(page: Page):
    assert b"<!doctype html>" in page.get("/")
    assert json.loads(page.get("/api/state?x=1"))["version"] == 1
    for path in ("/../etc/passwd", "/api/", "/index.html", "/%2e%2e/", "/etc/passwd"):
        assert error(page.send("GET", path)) == (404, f"There is nothing at {path}.")
    assert error(page.send("GET", "/api/picture"))[0] == 405
    assert error(page.send("GET", "/api/upload"))[0] == 405
    assert page.refused("/api/state", 405) == "/api/state takes only GET requests."
    assert page.refused("/api/curve", 405) == "/api/curve takes only GET requests."
    assert page.refused("/", 405) == "/ takes only GET requests."
    assert page.refused("/api/nothing", 404) == "There is nothing at /api/nothing."


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "HEAD", "TRACE"])
def test_other_methods(page: Page, method):
    status, headers, _ = page.send(method, "/api/state")
    assert (status, headers["Allow"]) == (405, "GET")
    # For HEAD a stream would never end.
    assert page.send(method, "/api/events")[0] == 405


@pytest.mark.parametrize("line", [b"nonsense", b"GET / HTTP/9.9", b"GET / HTTP/x", b"A B C D"])
def test_what_is_no_http(page: Page, line):
    status, found = page.raw(line + b"\r\n\r\n")
    assert status == 400
    assert found["error"].startswith("The request is not HTTP: ")
    assert page.state()["version"] == 1


# Lengths


@pytest.mark.parametrize(
    ("path", "most", "said"),
    [("/api/upload", MOST_PICTURE, "20.0 MiB"), ("/api/picture", MOST_JSON, "128.0 KiB")],
)
def test_bounds_hold_before_anything_is_read(page: Page, path, most, said):
    for length in (most + 1, 10**12, 10**18):
        status, found = page.raw(request_head(page, path, f"Content-Length: {length}"))
        assert status == 413
        assert found["error"] == f"The request is too large: at most {said} are accepted."


def test_the_largest_kernel_is_read(page: Page):
    """With every digit that its numbers can have."""
    most = np.full((16, 15, 15), -1.2345678901234567e-100).tolist()
    found = error(page.send("POST", "/api/kernel", json.dumps({"kernel": most}).encode(), JSON))
    assert found[0] == 400
    assert "must be [3, rows, columns]" in found[1]


def test_who_sends_too_much_reads_why(page: Page):
    """Even if all is sent before the answer is read."""
    status, found = page.upload(bytes(MOST_PICTURE + 1))
    assert (status, list(found)) == (413, ["error"])


def test_the_largest_picture_is_read(page: Page):
    status, found = page.upload(bytes(MOST_PICTURE))
    assert (status, found["error"]) == (400, "The picture is not an image that Pillow knows.")


@pytest.mark.parametrize("path", ["/api/upload", "/api/picture"])
@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["Transfer-Encoding: chunked", "Content-Length: 5"], "Content-Length"),
        (["Transfer-Encoding: chunked"], "chunk size"),
        (["Transfer-Encoding: nonsense"], "Transfer-Encoding"),
        (["Content-Length: -1"], "Content-Length"),
        (["Content-Length: 0x10"], "Content-Length"),
        (["Content-Length: ٣"], "Content-Length"),
        ([f"Content-Length: {10**30}"], "Content-Length"),
        (["Content-Length: 2", "Content-Length: 2"], "Content-Length"),
        (["Content-Length: 5"], "ended before its body was complete"),
    ],
)
def test_lengths(page: Page, path, lines, message):
    found, reply = page.raw(request_head(page, path, *lines) + b"{}")
    assert found == 400
    assert message in reply["error"]


def chunked(*chunks: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))


def test_a_body_in_chunks(page: Page):
    """Its length is not known before, and the bounds hold."""
    start = request_head(page, "/api/kernel", "Transfer-Encoding: chunked", "Connection: close")
    reply = page.exchange(start + chunked(b'{"kernel"', b": [[1]]}"))
    assert reply.startswith(b"HTTP/1.1 200 ")
    found = page.raw(start + chunked(*[bytes(2**14)] * 9))
    assert found == (413, {"error": "The request is too large: at most 128.0 KiB are accepted."})
