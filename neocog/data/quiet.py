"""Pillow's warnings about sizes and metadata, not shown while any thread decodes.

Python's filters of warnings are the whole process's: of two threads that each set and restore them,
one restores what the other had set, for good. So the first one in sets them, and the last one out
restores them.
"""

import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["quiet"]

_lock = threading.Lock()
_inside = 0
_caught: "warnings.catch_warnings[None]"


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing warns inside."""
    global _inside, _caught
    if getattr(sys.flags, "context_aware_warnings", False):  # then each thread has its own
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
        return
    with _lock:
        if _inside == 0:
            _caught = warnings.catch_warnings()
            _caught.__enter__()
            warnings.simplefilter("ignore")
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _caught.__exit__(None, None, None)
