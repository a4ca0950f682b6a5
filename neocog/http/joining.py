"""Sends the head of an answer together with what follows.

uvicorn writes both apart, and each write costs a system call, a packet and a wake-up of the client.
"""

import asyncio
from typing import Any

__all__ = ["Joining"]


class Joining:
    """A transport whose writes of heads wait for the next one, but only in this round of the loop.

    Args:
        transport: that sends.
        loop: of the transport.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._head = b""
        self._is_over = False
        self.is_closing = transport.is_closing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send something, or keep it if it is the head of an answer.

        Behind the last words it is dropped, as a closed transport drops it: an answer that was on
        its way when they were said has nobody to go to.
        """
        if self._is_over:
            return
        if self._head:
            data, self._head = self._head + data, b""
        elif data.endswith(b"\r\n\r\n") and data.startswith(b"HTTP/1.1 ") and data[9:10] != b"1":
            self._head = data
            self._loop.call_soon(self.flush)
            return
        self._transport.write(data)

    def flush(self) -> None:
        """Send a head that is kept."""
        if self._head:
            data, self._head = self._head, b""
            self._transport.write(data)

    def write_eof(self) -> None:
        """Send all, and nothing from then on."""
        self.flush()
        self._is_over = True
        self._transport.write_eof()

    def close(self) -> None:
        """Send all, and close it."""
        self.flush()
        self._transport.close()

    def get_write_buffer_size(self) -> int:
        """Bytes that were not sent."""
        return len(self._head) + self._transport.get_write_buffer_size()
