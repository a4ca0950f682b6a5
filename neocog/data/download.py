"""Downloads a file, complete and verified, or not at all."""

import hashlib
import http.client
import os
import stat
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from neocog.errors import DataError
from neocog.files import exists, open_regular

__all__ = ["download"]

ATTEMPTS = 5
TIMEOUT = 30.0  # seconds without a byte
PAUSE = 1.0  # seconds before the second attempt; doubled for each further one
BLOCK = 1 << 18


def download(
    url: str,
    destination: Path,
    *,
    size: int,
    sha256: str,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Download `url` to the file `destination`.

    Bytes go to `destination` + `.part`, which the next call resumes; the file is renamed to
    `destination` once it is complete and verified. Never reads more than `size` bytes. The caller
    makes sure that only one process downloads to a destination at a time.

    Args:
        url: the address.
        destination: the file to write; its folder must exist.
        size: expected size in bytes.
        sha256: expected SHA-256, as hexadecimal digits.
        progress: called with the bytes done, resumed ones included, and the size.

    Raises:
        DataError: no connection, an error of the server, too many interruptions, or a wrong file.
    """
    part = destination.with_name(destination.name + ".part")
    problem = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE * 2 ** (attempt - 1))
        resumed = _usable_bytes(part, size)
        try:
            if resumed < size:
                _fetch(url, part, resumed, size, progress)
            _check(part, size, sha256, resumed)
        except _FailedError as failure:
            problem = str(failure)
            if failure.final:
                break
        except urllib.error.URLError as error:
            problem = f"no connection: {error.reason}"
            if attempt == 0:  # there is most likely no network, so do not retry
                break
        except (OSError, http.client.HTTPException) as error:
            problem = f"the transfer broke off: {error!r}"
        else:
            part.replace(destination)
            return
    raise DataError(f"Tried {url}: {problem}.{_kept(part)}")


class _FailedError(Exception):
    """An attempt that failed; `final` if retrying would be useless."""

    def __init__(self, problem: str, *, final: bool) -> None:
        super().__init__(problem)
        self.final = final


def _usable_bytes(part: Path, size: int) -> int:
    """Number of bytes of an earlier attempt that can be resumed."""
    try:
        status = part.lstat()
    except FileNotFoundError:
        return 0
    # Anything but a regular file of our own is removed: through a link or a second name another
    # file would be overwritten, and opening a pipe would block.
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1 or status.st_size > size:
        part.unlink()
        return 0
    return status.st_size


def _fetch(
    url: str, part: Path, start: int, size: int, progress: Callable[[int, int], None] | None
) -> None:
    """Append to `part` from byte `start` on, or write it anew if the server cannot resume."""
    request = urllib.request.Request(url, headers={"User-Agent": "neocog"})  # noqa: S310
    if start:
        request.add_header("Range", f"bytes={start}-")
    with _open(request, part) as response:
        done = start if _resumes(response, start) else 0
        offered = response.length
        if offered is not None and done + offered != size:
            raise _FailedError(
                f"the server offers {done + offered:,} bytes, not {size:,}, so it is not the file",
                final=True,
            )
        with open(part, "ab" if done else "wb", opener=_no_links) as file:
            while done < size:
                block = response.read(min(BLOCK, size - done))
                if not block:
                    break
                file.write(block)
                done += len(block)
                if progress is not None:
                    progress(done, size)
            file.flush()
            os.fsync(file.fileno())


def _no_links(path: str, flags: int) -> int:
    """Open a file for writing, but not through a symbolic link."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def _open(request: urllib.request.Request, part: Path) -> http.client.HTTPResponse:
    try:
        response: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=TIMEOUT)  # noqa: S310
    except urllib.error.HTTPError as error:
        error.close()
        refused = error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE
        if refused:  # start over
            part.unlink(missing_ok=True)
        raise _FailedError(
            f"the server answered {error.code} {error.reason}",
            final=error.code < http.client.INTERNAL_SERVER_ERROR and not refused,
        ) from error
    return response


def _resumes(response: http.client.HTTPResponse, start: int) -> bool:
    answered = response.headers.get("Content-Range", "")
    return response.status == http.client.PARTIAL_CONTENT and answered.startswith(f"bytes {start}-")


def _check(part: Path, size: int, sha256: str, resumed: int) -> None:
    done = part.stat().st_size
    if done < size:
        raise _FailedError(f"the connection was cut after {done:,} of {size:,} bytes", final=False)
    with open_regular(part, follow_links=False) as stream:
        actual = hashlib.file_digest(stream, "sha256").hexdigest()
    if actual != sha256:
        part.unlink()
        # If the attempt was resumed, the bytes of an earlier call may be to blame.
        raise _FailedError(
            f"what arrived is not the file: its SHA-256 is {actual}, not {sha256}",
            final=not resumed,
        )


def _kept(part: Path) -> str:
    done = part.lstat().st_size if exists(part) else 0
    return f" The {done:,} bytes that arrived are kept; the next run goes on there." if done else ""
