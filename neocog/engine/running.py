"""Runs workers in threads of their own, and waits for their end.

Ctrl+C, or a signal handler that raises, can interrupt the main thread between any two bytecodes,
and again while it handles the first interrupt. So nothing here relies on reaching the next line:

- The threads hold references to all that they work on, so nothing is freed before they end.
- The main thread starts only one thread, which starts the others. Either all run or none does, and
  no worker waits for one that was never started.
- `_thread` starts the threads, and a lock signals their end. `Thread.start`, `Thread.join` and
  `Event.wait` take locks in Python code, which an interrupt can leave locked; and before Python
  3.13 an interrupted `join` considers the thread ended.
"""

from _thread import allocate_lock, start_new_thread
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from neocog.errors import NeocogError

__all__ = ["Run"]

# Seconds. On Windows, waiting for a lock without a timeout cannot be interrupted.
_LOOK = 1.0


class Run:
    """A run under way.

    Args:
        work: runs the worker of a rank; returns the finished steps, the same for every rank.
        workers: threads.
        control: the array through which workers communicate; others may read progress from it.
        held: objects that must stay alive until the workers have ended.
    """

    def __init__(
        self, work: Callable[[int], int], workers: int, control: NDArray[np.int64], held: object
    ) -> None:
        self.control = control
        self._work = work
        self._workers = workers
        self._held = held
        # Which came first: "run", the thread that starts the others, or "end", which cancels the
        # run. `setdefault` is atomic, and gives the same answer whenever it is asked again.
        self._first: dict[str, str] = {}
        self._error: BaseException | None = None
        self._steps = 0
        self._counting = allocate_lock()
        self._working = 1
        self._over = False
        self._gate = allocate_lock()
        self._end = allocate_lock()
        self._gate.acquire()
        self._end.acquire()

    def begin(self) -> None:
        """Start the workers."""
        try:
            start_new_thread(self._lead, ())
        except RuntimeError as error:  # no more threads: `finish` raises this
            self._error = error
            self._over = True

    def _lead(self) -> None:
        if self._first.setdefault("by", "run") != "run":
            return
        try:
            for rank in range(1, self._workers):
                with self._counting:
                    self._working += 1
                start_new_thread(self._follow, (rank,))
        except BaseException as error:
            self._error = error
            self._leave()
        self._gate.release()
        self._follow(0)

    def _follow(self, rank: int) -> None:
        try:
            with self._gate:  # until all have started
                pass
            if self._error is None:
                self._steps = self._work(rank)
        except BaseException as error:
            self._error = error
        finally:
            self._leave()

    def _leave(self) -> None:
        with self._counting:
            self._working -= 1
            is_last = self._working == 0
        if is_last:  # not _over, which another thread may have set by now
            self._over = True
            self._end.release()

    @property
    def over(self) -> bool:
        """Whether the run has ended, or was canceled before it began."""
        return self._over or self._first.get("by") == "end"

    def wait(self, seconds: float) -> bool:
        """Wait at most `seconds`; returns whether the run has ended."""
        if not self._over and self._end.acquire(timeout=seconds):
            self._end.release()
        return self._over

    def finish(self) -> int:
        """Wait for the end; returns the number of finished steps.

        Raises:
            NeocogError: if the system does not allow so many threads.
        """
        while not self.wait(_LOOK):
            pass
        if isinstance(self._error, RuntimeError):
            raise NeocogError(
                f"{self._workers} threads cannot be started: {self._error}. Take fewer threads."
            )
        if self._error is not None:
            raise self._error
        return self._steps

    def end(self) -> int:
        """As `finish`, but also for a run that never began, and despite interrupts.

        Further Ctrl+C is ignored. Any other exception is raised once all workers have ended.
        `finish` raises what failed in a worker.
        """
        raised = None
        while True:
            try:
                if self._first.setdefault("by", "end") == "end":
                    return 0
                while not self.wait(_LOOK):
                    pass
                break
            except KeyboardInterrupt:
                continue
            except BaseException as error:
                raised = raised or error
        if raised is not None:
            raise raised
        return self._steps
