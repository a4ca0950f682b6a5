"""Threads that help with predictions and, between two of them, wait awake for a moment.

To start a thread, or wake one that sleeps, takes as long as a small network takes for an image. So
helpers stay: after a prediction they look for the next for about a millisecond before they sleep,
as the thread pools of other libraries do. There is one crew a process; whoever finds it busy starts
threads of their own.
"""

import os
import threading
from collections.abc import Callable, Sequence

import numpy as np

from neocog.kernels.helping import JOB, MAIL_SIZE, ask, await_end, help_awake

__all__ = ["run_together"]


class _Helper:
    """A thread that does one job at a time."""

    def __init__(self) -> None:
        self._mail = np.zeros(MAIL_SIZE, np.int64)
        self._waking = threading.Semaphore(0)
        threading.Thread(target=self._work, name="neocog helper", daemon=True).start()

    def give(self, job: Sequence[int]) -> None:
        """Have it run a program, as `kernels.helping.JOB` says."""
        self._mail[JOB] = job
        if ask(self._mail):
            self._waking.release()

    def await_end(self) -> None:
        """Wait until it has left its program."""
        await_end(self._mail)

    def _work(self) -> None:
        while True:
            help_awake(self._mail)
            self._waking.acquire()


class _Crew:
    def __init__(self) -> None:
        self.process = os.getpid()
        self.busy = threading.Lock()
        self.helpers: list[_Helper] = []


_crew = _Crew()
# What keeps the memory of programs that helpers may still be in.
_stranded: list[Callable[[], object]] = []


def run_together(first: Callable[[], object], jobs: Sequence[Sequence[int]]) -> bool:
    """Run a program's first worker in this thread and the others, its jobs, in helpers.

    Gives True when all have ended, or False, with nothing done, if helpers are busy.
    """
    global _crew
    if _crew.process != os.getpid():  # a fork has no threads but the one that forked
        _crew = _Crew()
    crew = _crew
    if not crew.busy.acquire(blocking=False):
        return False
    try:
        while len(crew.helpers) < len(jobs):
            crew.helpers.append(_Helper())
        helpers = crew.helpers[: len(jobs)]
        for helper, job in zip(helpers, jobs, strict=True):
            helper.give(job)
        first()
        for helper in helpers:
            helper.await_end()
    except BaseException:  # Ctrl+C: helpers may wait at a barrier for this thread for good
        _stranded.append(first)
        _crew = _Crew()
        raise
    finally:
        crew.busy.release()
    return True
