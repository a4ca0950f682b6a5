"""What a connection sends, read within limits of time and length."""

import io
import socket
import time
from collections.abc import Callable
from http.client import HTTPException
from typing import Any

__all__ = ["Incoming"]


class Incoming(io.RawIOBase):
    """The head of a request, which anybody can send; after `allow`, also a body.

    Without limits, a client that sends its head byte by byte would hold a thread for days, and one
    that sends a hundred long headers would fill megabytes.

    Args:
        connection: to read from; its timeout is the limit for each single read.
        seconds: the limit for the whole head.
        most: the limit for the head's length, in bytes.
        clock: returns the time in seconds.

    Raises:
        TimeoutError: when read after `seconds`.
        HTTPException: when read beyond `most` bytes.
    """

    def __init__(
        self,
        connection: socket.socket,
        seconds: float,
        most: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._connection = connection
        self._left = most
        self._clock = clock
        self._end: float | None = clock() + seconds

    def allow(self, length: int) -> None:
        """Allow a body of this length, without a limit for the whole time."""
        self._left += length
        self._end = None

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what has arrived, or wait for something to arrive."""
        if self._left <= 0:
            raise HTTPException("The request's head is too long.")
        view = memoryview(buffer)[: self._left]
        patience = self._connection.gettimeout()
        if self._end is not None:
            left = self._end - self._clock()
            if left <= 0:
                raise TimeoutError
            self._connection.settimeout(left if patience is None else min(left, patience))
        try:
            read = self._connection.recv_into(view)
        finally:
            self._connection.settimeout(patience)  # as replies need it
        self._left -= read
        return read
