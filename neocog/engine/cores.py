"""How many threads can run at once."""

import os
from functools import lru_cache

from neocog.limits import available_cores, cores

__all__ = ["available_threads", "useful_threads"]


def available_threads() -> int:
    """Threads that this process may have running at once; see `limits.available_cores`."""
    # Quotas stand in files, which a prediction of some images should not have to read.
    return _available(cores(), os.environ.get("OMP_NUM_THREADS"))


def useful_threads(asked: int | None) -> int:
    """Threads to work with: those asked for, but no more than there are cores to run them.

    Workers meet several times a step; beyond the cores each only makes the others wait, and changes
    no result. Without a number, as many as are available.
    """
    return available_threads() if asked is None else min(asked, cores())


@lru_cache(maxsize=8)
def _available(cores_now: int, asked: str | None) -> int:
    """The same while neither the affinity nor the environment changes."""
    return available_cores()
