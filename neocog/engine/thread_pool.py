"""Threads that help with predictions and, between two of them, wait awake for a moment.

There is one pool a process; whoever finds it busy starts threads of their own.
"""

import os
import threading
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from neocog.kernels.helper_threads import MAIL_SIZE, help_with, work_together

__all__ = ["run_together"]

Longs = NDArray[np.int64]


@dataclass
class _Pool:
    process: int = field(default_factory=os.getpid)
    busy: Longs = field(default_factory=lambda: np.zeros(1, np.int64))
    #: Addresses of the helpers' mails, in arrays that only grow by new ones.
    mails: Longs = field(default_factory=lambda: np.zeros(0, np.int64))


_pool = _Pool()


def _new_helper() -> int:
    """Start a thread that helps for good; gives the address of its mail."""
    mail = np.zeros(MAIL_SIZE, np.int64)
    help_with(mail, 0)  # so that it compiles here, and not in a thread beside an import
    job = threading.Thread(target=help_with, args=(mail, 2**62), name="neocog helper", daemon=True)
    job.start()
    return int(mail.ctypes.data)


def run_together(
    jobs: Longs, table: Longs, groups: Longs, step: Longs, control: Longs, images: int
) -> bool:
    """Run a program with helpers, as `kernels.helper_threads.work_together` says.

    Gives True when all have ended, or False, with nothing done, if helpers are busy or cannot be.
    """
    global _pool
    if _pool.process != os.getpid():  # a fork has no threads but the one that forked
        _pool = _Pool()
    pool = _pool
    try:
        while len(pool.mails) < len(jobs):
            pool.mails = np.append(pool.mails, _new_helper())
    except RuntimeError:  # the system has no more threads, of which the caller will tell
        return False
    return bool(work_together(pool.busy, pool.mails, jobs, table, groups, step, control, images))
