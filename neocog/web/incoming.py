"""What a connection sends, read within bounds of time and length."""

import io
import socket
import time
from collections.abc import Callable
from http.client import HTTPException
from typing import Any

__all__ = ["Incoming"]


class Incoming(io.RawIOBase):
    """The head of a request, which anybody can send; after `allow`, a body that is expected.

    Whoever sends it byte by byte would otherwise hold a thread for days, and whoever sends a
    hundred long headers megabytes.

    Args:
        connection: its timeout is for what is sent at a time.
        seconds: for all of the head.
        most: bytes of the head.
        clock: gives seconds.

    Raises:
        TimeoutError: reading, after so many seconds.
        HTTPException: reading more than that.
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
        """Let a body of this length follow, for as long as some of it comes."""
        self._left += length
        self._end = None

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read some of what has come, or wait for it."""
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
            self._connection.settimeout(patience)  # sending waits as long as before
        self._left -= read
        return read
