"""Events for all listeners: each gets the newest event, never a queue of old ones."""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable

from neocog.http.refusal import RefusedError

__all__ = ["Events"]

# Listeners at a time; more pages than anybody has open.
_MOST = 32


class _Listener:
    """Waits in its event loop; any thread may wake it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()
        self._woken.set()  # for the event that there is already

    def wake(self) -> None:
        self._loop.call_soon_threadsafe(self._woken.set)

    async def wait(self, seconds: float) -> bool:
        """Whether it was woken within so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return False
        self._woken.clear()
        return True


class Events:
    """The newest event, and the listeners that wait for the next one.

    An event holds everything that can change, so a slow listener can skip events. Any thread may
    use all but `listen`, which is for event loops.

    Args:
        clock: returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._newest = b"{}"
        self._number = 0
        self._listeners: set[_Listener] = set()
        self._alone_since = clock()
        self._closed = False

    @property
    def newest(self) -> bytes:
        """The latest event."""
        with self._lock:
            return self._newest

    @property
    def listeners(self) -> int:
        """How many listeners there are."""
        with self._lock:
            return len(self._listeners)

    def alone_since(self) -> float | None:
        """The time when the last listener left; None while there is one."""
        with self._lock:
            return None if self._listeners else self._alone_since

    def tell(self, event: bytes) -> None:
        """Send every listener this event next, instead of one that it has not taken yet."""
        with self._lock:
            self._newest = event
            self._number += 1
            self._wake()

    async def listen(self, heartbeat: float) -> AsyncGenerator[bytes | None, None]:
        """Yield the newest event, then each newer one; None after `heartbeat` seconds without one.

        The caller must close the iterator. It ends when `close` is called.

        Raises:
            RefusedError: at the first event, if there are too many listeners already.
        """
        listener = _Listener()
        with self._lock:
            if len(self._listeners) >= _MOST:
                raise RefusedError("Too many pages are open; close some.", 503)
            self._listeners.add(listener)
        seen = -1
        try:
            while True:
                is_woken = await listener.wait(heartbeat)
                with self._lock:
                    if self._closed:
                        return
                    is_new = self._number != seen
                    seen, newest = self._number, self._newest
                if is_new or not is_woken:
                    yield newest if is_new else None
        finally:
            with self._lock:
                self._listeners.remove(listener)
                self._alone_since = self._clock()

    def close(self) -> None:
        """End every listener's iterator."""
        with self._lock:
            self._closed = True
            self._wake()

    def _wake(self) -> None:
        for listener in self._listeners:
            listener.wake()
