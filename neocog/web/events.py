"""Events for all listeners: each gets the newest event, never a queue of old ones."""

import threading
import time
from collections.abc import Callable, Generator

from neocog.web.refusal import RefusedError

__all__ = ["Events"]

# Listeners at a time; more pages than anybody has open.
_MOST = 32


class Events:
    """The newest event, and the listeners that wait for the next one.

    An event holds everything that can change, so a slow listener can skip events.

    Args:
        clock: returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._newest = b"{}"
        self._number = 0
        self._listeners = 0
        self._alone_since = clock()
        self._closed = False

    @property
    def newest(self) -> bytes:
        """The latest event."""
        with self._changed:
            return self._newest

    @property
    def listeners(self) -> int:
        """How many listeners there are."""
        with self._changed:
            return self._listeners

    def alone_since(self) -> float | None:
        """The time when the last listener left; None while there is one."""
        with self._changed:
            return None if self._listeners else self._alone_since

    def tell(self, event: bytes) -> None:
        """Send every listener this event next, instead of one that it has not taken yet."""
        with self._changed:
            self._newest = event
            self._number += 1
            self._changed.notify_all()

    def listen(self, heartbeat: float) -> Generator[bytes | None, None, None]:
        """Yield the newest event, then each newer one; None after `heartbeat` seconds without one.

        The caller must close the iterator. It ends when `close` is called.

        Raises:
            RefusedError: at the first event, if there are too many listeners already.
        """
        with self._changed:
            if self._listeners >= _MOST:
                raise RefusedError("Too many pages are open; close some.", 503)
            self._listeners += 1
        seen = -1

        def is_over() -> bool:
            return self._closed or self._number != seen

        try:
            while True:
                with self._changed:
                    new = self._changed.wait_for(is_over, heartbeat)
                    if self._closed:
                        return
                    seen, newest = self._number, self._newest
                yield newest if new else None
        finally:
            with self._changed:
                self._listeners -= 1
                self._alone_since = self._clock()

    def close(self) -> None:
        """End every listener's iterator."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
