"""Arrays that lie on the disk where they are large: memory does not grow with the pictures."""

import mmap
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import Any
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from neocog.errors import NeocogError
from neocog.files import cache_root
from neocog.limits import readable
from neocog.private_folder import private_folder

__all__ = ["blocks_of", "forget_pages", "large_array"]

# Bytes up to which an array lies in memory.
_IN_MEMORY = 128 * 2**20

# Those of this process that are mapped from files of their own.
_mapped: WeakSet[mmap.mmap] = WeakSet()


def large_array(shape: tuple[int, ...], dtype: Any, what: str) -> NDArray[Any]:
    """An array to be filled: in memory, or mapped from a file that vanishes with it.

    The system writes pages of the file to the disk where memory is short.

    Args:
        shape: of the array.
        dtype: of its numbers.
        what: it is, for the message: "The maps".

    Raises:
        NeocogError: the disk has no room for it.
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if size <= _IN_MEMORY:
        return np.empty(shape, dtype)
    root = cache_root()
    try:
        folder = None if root is None else private_folder(root)
        with tempfile.TemporaryFile(dir=folder) as file:
            # Reserved: the system ends a process that writes to a mapped file on a full disk.
            if sys.platform != "linux":
                file.truncate(size)
            else:
                os.posix_fallocate(file.fileno(), 0, size)
            found = np.memmap(file, dtype, "r+", shape=shape).view(np.ndarray)
            mapping = _mapping_under(found)
            if mapping is not None:
                _mapped.add(mapping)
            return found
    except OSError as error:
        raise NeocogError(
            f"{what} need {readable(size)} on the disk ({error.strerror or error}). Free space, "
            "name a folder on another disk with NEOCOG_CACHE_DIR, or take fewer pictures or views."
        ) from error


def forget_pages(array: NDArray[Any]) -> None:
    """Let the pages of a large array leave the memory of this process.

    Its numbers stay as they are, in the file, and are read again when they are needed, mostly from
    the system's own memory. Nothing is done with other arrays.
    """
    mapping = _mapping_under(array)
    if mapping is not None and mapping in _mapped and sys.platform == "linux":
        mapping.madvise(mmap.MADV_DONTNEED)  # the file is shared, so that no change is lost


def blocks_of(array: NDArray[Any], count: int) -> Iterator[tuple[slice, NDArray[Any]]]:
    """So many rows at a time, and which they are; their pages are forgotten afterwards."""
    for first in range(0, len(array), count):
        rows = slice(first, min(first + count, len(array)))
        yield rows, array[rows]
        forget_pages(array)


def _mapping_under(array: NDArray[Any]) -> mmap.mmap | None:
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    return base if isinstance(base, mmap.mmap) else None
