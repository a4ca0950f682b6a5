"""Images that are mapped from a file, read from the disk before a run comes to them.

A worker that touches a page which is not in memory waits for the disk, and so do all others at the
next barrier. So while a run is under way, a thread tells the system which pages come next:

- Images that fit the memory are read once, from the file's first to its last. After that the thread
  has ended, and all is as if they were in memory.
- Of more than that, each image is asked for when the run is some hundred images before it. The
  system is told to read no more: in a random order what lies beside an image does not come next.
"""

import mmap
from _thread import start_new_thread
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from neocog.kernels.workers import DONE
from neocog.limits import available_memory

__all__ = ["mapping_of", "prefetch"]

# Bytes that are asked for ahead of a run, and images at least; bytes that are read at a time.
_AHEAD, _LEAST, _PART = 2**25, 64, 2**23
# Seconds between two looks at a run.
_PAUSE = 0.002


class Watched(Protocol):
    """What is asked of a run."""

    control: NDArray[np.int64]

    @property
    def over(self) -> bool:
        """Whether it has ended."""

    def wait(self, seconds: float) -> bool:
        """Wait at most so long; whether it has ended."""


def mapping_of(array: NDArray[Any]) -> tuple[mmap.mmap, int] | None:
    """The mapping of a file that an array lies in, and where it begins there; None if in none."""
    owner: Any = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    owner = owner.obj if isinstance(owner, memoryview) else owner
    if not isinstance(owner, mmap.mmap) or not hasattr(owner, "madvise"):  # not on Windows
        return None
    begin = np.frombuffer(owner, np.uint8).__array_interface__["data"][0]
    return owner, array.__array_interface__["data"][0] - begin


def prefetch(
    images: NDArray[np.uint8], order: NDArray[np.int64], batch_size: int, run: Watched
) -> None:
    """Read images that are mapped from a file ahead of a run, in a thread that ends with it.

    Args:
        images: of the run, one after another; nothing is done for those in memory.
        order: in which it takes them.
        batch_size: how many a step.
        run: that has begun.
    """
    found = mapping_of(images)
    if found is None or len(order) == 0 or images.nbytes == 0:
        return
    work = _Reader(*found, images.nbytes, images.nbytes // len(images))
    try:
        start_new_thread(work.read, (order, batch_size, run))
    except RuntimeError:  # the system has no more threads: all goes on, if slower
        return


class _Reader:
    def __init__(self, mapping: mmap.mmap, begin: int, size: int, image: int) -> None:
        self._mapping = mapping
        self._begin, self._size, self._image = begin, size, image
        memory = available_memory()
        self._fits = memory is not None and size < memory // 2

    def read(self, order: NDArray[np.int64], batch_size: int, run: Watched) -> None:
        try:
            if self._fits:
                self._read_all(run)
            else:
                self._read_ahead(order, batch_size, run)
        except (OSError, ValueError):  # the system does not take advice, or not of this mapping
            return

    def _read_all(self, run: Watched) -> None:
        for first in range(0, self._size, _PART):
            if run.over:
                return
            self._ask(first, min(_PART, self._size - first))

    def _read_ahead(self, order: NDArray[np.int64], batch_size: int, run: Watched) -> None:
        ahead = max(_LEAST, 2 * batch_size, _AHEAD // self._image)
        asked = 0
        self._advise(mmap.MADV_RANDOM, 0, self._size)
        try:
            while asked < len(order) and not run.over:
                done = int(run.control[DONE]) * batch_size
                asked = max(asked, done)  # a run that is faster than the disk is not run after
                coming = order[asked : done + ahead].tolist()
                for index in coming:
                    self._ask(index * self._image, self._image)
                asked += len(coming)
                if run.wait(_PAUSE):
                    break
        finally:
            self._advise(mmap.MADV_NORMAL, 0, self._size)

    def _ask(self, first: int, size: int) -> None:
        self._advise(mmap.MADV_WILLNEED, first, size)

    def _advise(self, advice: int, first: int, size: int) -> None:
        """Of some bytes of the images."""
        begin = self._begin + first
        page = begin - begin % mmap.PAGESIZE
        self._mapping.madvise(advice, page, begin + size - page)
