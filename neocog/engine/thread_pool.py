"""A pool of threads for predictions, which spin for a moment before they sleep.

Each process has one pool. A prediction that finds it busy starts its own threads.
"""

import os
import threading
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from neocog.kernels.compiler.python_function import Call
from neocog.kernels.runtime.helper_threads import MAIL_SIZE, help_with, work_together

__all__ = ["Together"]

Longs = NDArray[np.int64]


@dataclass
class _Pool:
    process: int = field(default_factory=os.getpid)
    busy: Longs = field(default_factory=lambda: np.zeros(1, np.int64))
    #: Addresses of the helpers' mailboxes.
    mails: Longs = field(default_factory=lambda: np.zeros(0, np.int64))


_pool = _Pool()


def _new_helper() -> int:
    """Start a helper thread that never ends; returns the address of its mailbox."""
    mail = np.zeros(MAIL_SIZE, np.int64)
    help_with.compile()  # here, because Numba can deadlock beside an import
    job = threading.Thread(target=help_with, args=(mail, 2**62), name="neocog helper", daemon=True)
    job.start()
    return int(mail.ctypes.data)


class Together:
    """A program that runs with helpers.

    Args:
        jobs: int64 [workers, JOB_SIZE]; see `kernels.runtime.helper_threads.work_together`.
    """

    def __init__(self, jobs: Longs) -> None:
        self._jobs = jobs
        self._mails: Longs | None = None
        self._call: Call | None = None

    def run(self, images: int) -> bool:
        """Run the program for one batch of so many images; by one thread at a time.

        Returns:
            True when all have finished; False, with nothing done, if the helpers are busy or cannot
            be started.
        """
        global _pool
        if _pool.process != os.getpid():  # after a fork, only the forking thread exists
            _pool = _Pool()
        pool = _pool
        try:
            while len(pool.mails) < len(self._jobs) - 1:
                pool.mails = np.append(pool.mails, _new_helper())
        except RuntimeError:  # no more threads; the caller reports it
            return False
        if self._call is None or self._mails is not pool.mails:
            self._mails = pool.mails
            self._call = work_together.call(pool.busy, self._mails, self._jobs, 0)
        self._call.set("images", images)
        return bool(self._call())
