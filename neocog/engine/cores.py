"""How many threads can run at once."""

import os
from functools import lru_cache

from neocog.limits import available_cores

__all__ = ["available_threads"]


def available_threads() -> int:
    """Threads that this process may have running at once; see `limits.available_cores`."""
    # Quotas stand in files, which a prediction of some images should not have to read.
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    return _available(affinity, os.environ.get("OMP_NUM_THREADS"))


@lru_cache(maxsize=8)
def _available(affinity: int | None, asked: str | None) -> int:
    return available_cores()
