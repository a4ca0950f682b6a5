"""One file from the network, whole and checked, or not at all."""

import hashlib
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from neocog.errors import DataError

__all__ = ["download"]

ATTEMPTS = 5
TIMEOUT = 30.0  # seconds without one byte
PAUSE = 1.0  # seconds before the second attempt, doubled before each further one
BLOCK = 1 << 18


def download(
    url: str,
    destination: Path,
    *,
    size: int,
    sha256: str,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Fetch `url` into the file `destination`.

    Bytes go to `destination` + `.part`, which the next call resumes, and the name `destination`
    appears once all are there and right. Never reads more than `size` bytes. The caller sees to it
    that only one process fetches a destination at a time.

    Args:
        url: where to fetch from.
        destination: the file to write; its folder must exist.
        size: the bytes the file must have.
        sha256: the SHA-256 the file must have, as hexadecimal digits.
        progress: called with the bytes done, resumed ones included, and the bytes in all.

    Raises:
        DataError: no connection, refused by the server, cut off too often, or not the file.
    """
    part = destination.with_name(destination.name + ".part")
    problem = "nothing arrived"
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE * 2 ** (attempt - 1))
        resumed = _usable_bytes(part, size)
        if resumed < size:
            try:
                _fetch(url, part, resumed, size, progress)
            except urllib.error.HTTPError as error:
                error.close()
                problem = f"the server answered {error.code} {error.reason}"
                if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
                    part.unlink()
                elif error.code < http.client.INTERNAL_SERVER_ERROR:
                    break
                continue
            except urllib.error.URLError as error:
                problem = f"no connection: {error.reason}"
                if attempt == 0:  # most likely no network: say so now
                    break
                continue
            except (OSError, http.client.HTTPException) as error:
                problem = f"the connection broke: {error!r}"
                continue
        done = part.stat().st_size
        if done < size:
            problem = f"the connection was cut after {done:,} of {size:,} bytes"
            continue
        actual = _sha256(part)
        if actual == sha256:
            part.replace(destination)
            return
        part.unlink()
        problem = f"what arrived is not the file: its SHA-256 is {actual}, not {sha256}"
        if not resumed:
            break
    raise DataError(f"Tried {url}: {problem}.{_kept(part)}")


def _usable_bytes(part: Path, size: int) -> int:
    """How many bytes of an earlier attempt there are to resume from."""
    done = part.stat().st_size if part.exists() else 0
    if done > size:
        part.unlink()
        return 0
    return done


def _fetch(
    url: str, part: Path, start: int, size: int, progress: Callable[[int, int], None] | None
) -> None:
    """Append to `part` from byte `start` on, or write it anew where the server cannot resume."""
    request = urllib.request.Request(url, headers={"User-Agent": "neocog"})  # noqa: S310
    if start:
        request.add_header("Range", f"bytes={start}-")
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response:  # noqa: S310
        done = start if _resumes(response, start) else 0
        offered = response.length
        if offered is not None and done + offered != size:
            raise DataError(
                f"Tried {url}: the server offers {done + offered:,} bytes, not {size:,}, so it is "
                "not the file."
            )
        with part.open("ab" if done else "wb") as file:
            while done < size:
                block = response.read(min(BLOCK, size - done))
                if not block:
                    break
                file.write(block)
                done += len(block)
                if progress is not None:
                    progress(done, size)


def _resumes(response: http.client.HTTPResponse, start: int) -> bool:
    answered = response.headers.get("Content-Range", "")
    return response.status == http.client.PARTIAL_CONTENT and answered.startswith(f"bytes {start}-")


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _kept(part: Path) -> str:
    if not part.exists():
        return ""
    return f" The {part.stat().st_size:,} bytes that arrived are kept; the next run goes on there."
