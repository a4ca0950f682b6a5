"""One thread that does what other threads ask for, so that its objects need no lock."""

import contextlib
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from neocog.http.refusal import RefusedError

__all__ = ["WorkerThread"]

T = TypeVar("T")


class WorkerThread:
    """A thread that runs requested functions one after another, and its own work in between.

    So a weight changes between two training steps and never during one. All compiling happens here
    too, because Numba can deadlock if one thread compiles while another imports.

    Args:
        work: does a little of the thread's own work and returns whether there is more. It is called
            again after each request.
    """

    def __init__(self, work: Callable[[], bool]) -> None:
        self._work = work
        self._asked: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = (
            queue.SimpleQueue()
        )
        self._lock = threading.Lock()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="neocog-worker", daemon=True)
        self._thread.start()

    def ask(self, what: Callable[[], T]) -> "Future[T]":
        """Run a function in the thread, unless its future is canceled before.

        Raises:
            RefusedError: the thread was ended.
        """
        future: Future[T] = Future()
        with self._lock:
            if self._ended:
                raise _gone()
            self._asked.put((what, future))
        return future

    def end(self, seconds: float) -> bool:
        """Finish the current request and refuse all others; whether it ended within `seconds`."""
        with self._lock:
            self._ended = True
            self._asked.put(None)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        more = False
        while not self._ended:
            try:
                asked = self._asked.get(block=not more)
            except queue.Empty:
                more = self._work()
                continue
            if asked is not None:
                self._do(*asked)
                more = True
                del asked  # what was asked may hold a picture's file
        with contextlib.suppress(queue.Empty):
            while True:
                waiting = self._asked.get(block=False)
                if waiting is not None and waiting[1].set_running_or_notify_cancel():
                    waiting[1].set_exception(_gone())

    @staticmethod
    def _do(what: Callable[[], Any], future: "Future[Any]") -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(what())
        except BaseException as error:
            future.set_exception(error)


def _gone() -> RefusedError:
    return RefusedError("The explorer has been stopped.", 503)
