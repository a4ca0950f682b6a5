"""Silences Pillow's warnings about sizes and metadata while any thread decodes.

Python's warning filters belong to the whole process: if two threads each set and restore them, one
restores what the other had set, for good. So the first thread sets them and the last one restores
them.
"""

import sys
import threading
import warnings
from typing import Any

__all__ = ["quiet"]


class _Quiet:
    """A context manager for any number of threads at once, which can also be nested."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._caught: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._caught = warnings.catch_warnings()
                self._caught.__enter__()
                warnings.simplefilter("ignore")
            self._inside += 1

    def __exit__(self, *_error: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._caught.__exit__(None, None, None)


class _QuietInContext(threading.local):
    """The same if each thread has filters of its own, as in free-threaded Python."""

    def __init__(self) -> None:
        self._caught: list[Any] = []

    def __enter__(self) -> None:
        self._caught.append(warnings.catch_warnings())
        self._caught[-1].__enter__()
        warnings.simplefilter("ignore")

    def __exit__(self, *_error: object) -> None:
        self._caught.pop().__exit__(None, None, None)


#: Suppresses warnings in ``with quiet``.
quiet = _QuietInContext() if getattr(sys.flags, "context_aware_warnings", False) else _Quiet()
