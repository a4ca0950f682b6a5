"""How many threads can run at once."""

import os
from functools import lru_cache

from neocog.limits import available_cores, cores

__all__ = ["available_threads", "useful_threads"]


def available_threads() -> int:
    """The number of cores that this process may use; see `limits.available_cores`."""
    # Quotas are read from files, which is too slow for each small prediction.
    return _available(cores(), os.environ.get("OMP_NUM_THREADS"))


def useful_threads(asked: int | None) -> int:
    """Threads to work with: those asked for, but no more than there are cores to run them.

    Workers meet at barriers several times a step, so more threads than cores only wait for each
    other. Results do not depend on the number. Without `asked`, all available cores.
    """
    return available_threads() if asked is None else min(asked, cores())


@lru_cache(maxsize=8)
def _available(cores_now: int, asked: str | None) -> int:
    """Cached until the affinity or the environment changes."""
    return available_cores()
