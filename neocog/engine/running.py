"""Workers at work in threads of their own, and how their end is waited for.

Ctrl+C, or a signal's handler that raises, interrupts the main thread between any two of its steps,
and again while it deals with that. So nothing here depends on a step's being done:

- Threads hold all that they work on, so that nothing is let go before they have ended.
- The main thread starts one thread alone, which starts the others: all of them run or none does,
  and no worker waits for one that was never started.
- Threads are started by `_thread`, and their end is told by a lock. `Thread.start`, `Thread.join`
  and `Event.wait` take locks in Python code, which an interrupt can leave locked; and before 3.13
  `join` takes a thread for ended when it is interrupted.
"""

from _thread import allocate_lock, start_new_thread
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from neocog.errors import NeocogError

__all__ = ["Run"]

# Seconds; on Windows a lock that is waited for without limit cannot be interrupted.
_LOOK = 1.0


class Run:
    """A run under way.

    Args:
        work: a worker's part by its rank; gives the steps that were finished, the same for each.
        workers: threads.
        control: through which the workers talk; for whoever watches.
        held: what must not be let go before they have ended.
    """

    def __init__(
        self, work: Callable[[int], int], workers: int, control: NDArray[np.int64], held: object
    ) -> None:
        self.control = control
        self._work = work
        self._workers = workers
        self._held = held
        # Who was first: "run", the thread that starts the others, or "end", which calls it off.
        # `setdefault` is one step, and gives the same whenever it is asked again.
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
        except RuntimeError as error:  # the system has no more: for `finish` to tell
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
            with self._gate:  # until all are there
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
        if is_last:  # not _over, which another may have set by now
            self._over = True
            self._end.release()

    @property
    def over(self) -> bool:
        """Whether nothing runs any more, or was called off before it began."""
        return self._over or self._first.get("by") == "end"

    def wait(self, seconds: float) -> bool:
        """Wait at most so long; whether the run has ended."""
        if not self._over and self._end.acquire(timeout=seconds):
            self._end.release()
        return self._over

    def finish(self) -> int:
        """Wait for the end; gives how many steps were finished.

        Raises:
            NeocogError: if the system does not let this process have so many threads.
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
        """Wait for the end though it may never have begun, and whatever interrupts; as `finish`.

        Further Ctrl+C changes nothing. Another exception is raised when all workers have ended.
        What failed in a worker is for `finish` to raise.
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
