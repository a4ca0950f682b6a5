"""Reads the bodies of requests, within limits of one and of all that are in memory at a time.

A body that comes at once costs what the connection has read anyway. Larger ones are counted until
their requests have been answered. When there are too many bytes, the upload that began first is
refused, so that clients which send much and then stop keep nobody out.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import Receive, Scope

from neocog.http.refusal import GoneError, RefusedError, overloaded

__all__ = ["Bodies"]

_FULL = "Too much is being uploaded at once."


class _Upload:
    """A body that is coming."""

    def __init__(self, most: int) -> None:
        self.most = most
        # Grown in place; the parts of a list would leave holes in memory when they go.
        self.content = bytearray()
        self.size = 0
        self.task = asyncio.current_task()
        self.is_dropped = False


class Bodies:
    """The bodies of all requests of a process.

    Args:
        most: bytes of all large ones in memory.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._coming: dict[_Upload, None] = {}
        #: Bytes of large bodies in memory.
        self.size = 0

    @asynccontextmanager
    async def read(self, scope: Scope, receive: Receive, most: int) -> AsyncIterator[bytes]:
        """The body of a request, of at most so many bytes, counted until the block ends.

        Raises:
            RefusedError: it is too large, or there is no room.
            GoneError: the client has left.
        """
        _check_length(scope, most)
        message = await receive()
        if message["type"] != "http.request":
            raise GoneError
        if not message.get("more_body", False):
            scope["neocog.body_read"] = True
            yield _checked(message.get("body", b""), most)
            return
        upload = _Upload(most)
        self._coming[upload] = None
        try:
            await self._collect(upload, message.get("body", b""), receive)
            del self._coming[upload]
            scope["neocog.body_read"] = True
            content = bytes(upload.content)
            upload.content = bytearray()
            yield content
        finally:
            self._coming.pop(upload, None)
            self.size -= upload.size

    async def _collect(self, upload: _Upload, first: bytes, receive: Receive) -> None:
        self._add(upload, first)
        more = True
        while more:
            try:
                message = await receive()
            except BaseException:  # the cancellation by `_drop`, or what is not ours
                if upload.is_dropped and upload.task is not None:
                    upload.task.uncancel()
                    raise overloaded(_FULL) from None
                raise
            if message["type"] != "http.request":
                raise GoneError
            self._add(upload, message.get("body", b""))
            more = message.get("more_body", False)

    def _add(self, upload: _Upload, part: bytes) -> None:
        if upload.is_dropped:
            raise overloaded(_FULL)
        upload.content += part
        upload.size += len(part)
        self.size += len(part)
        if upload.size > upload.most:
            raise _too_large(upload.most)
        while self.size > self._most:
            oldest = next(iter(self._coming))
            self._drop(oldest)
            if oldest is upload:
                raise overloaded(_FULL)

    def _drop(self, upload: _Upload) -> None:
        del self._coming[upload]
        self.size -= upload.size
        upload.size = 0
        upload.content = bytearray()
        upload.is_dropped = True
        if upload.task is not None and upload.task is not asyncio.current_task():
            upload.task.cancel()


def _check_length(scope: Scope, most: int) -> None:
    for name, value in scope["headers"]:
        # The server has refused what is not a number.
        if name == b"content-length" and int(value) > most:
            raise _too_large(most)


def _checked(content: bytes, most: int) -> bytes:
    if len(content) > most:
        raise _too_large(most)
    return content


def _too_large(most: int) -> RefusedError:
    size = f"{most / 2**20:.1f} MiB" if most >= 2**20 else f"{most / 2**10:.1f} KiB"
    return RefusedError(f"The request is too large: at most {size} are accepted.", 413)
