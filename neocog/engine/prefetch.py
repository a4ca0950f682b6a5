"""Reads images that are mapped from a file before a run needs them.

A worker that touches a page that is not in memory waits for the disk, and all others wait for it at
the next barrier. So during a run, a thread tells the system which pages come next:

- Images that fit into memory are read once, from the first in the file to the last. Then the thread
  ends, and the images are in memory.
- If they do not fit, each image is requested some hundred images before the run needs it. The
  system is told not to read ahead: in a random order the neighbors in the file are not used next.
"""

import mmap
from _thread import start_new_thread
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from neocog.kernels.runtime.workers import DONE
from neocog.limits import available_memory

__all__ = ["mapping_of", "prefetch"]

# Bytes requested ahead of a run, and the least number of images; bytes per read.
_AHEAD, _LEAST, _PART = 2**25, 64, 2**23
# Seconds between two checks of the run's progress.
_PAUSE = 0.002


class Watched(Protocol):
    """What prefetching needs to know of a run."""

    control: NDArray[np.int64]

    @property
    def over(self) -> bool:
        """Whether it has ended."""

    def wait(self, seconds: float) -> bool:
        """Wait at most `seconds`; returns whether it has ended."""


def mapping_of(array: NDArray[Any]) -> tuple[mmap.mmap, int] | None:
    """The file mapping that holds an array, and the array's offset in it; None without one."""
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
    """Read memory-mapped images ahead of a run, in a thread that ends with the run.

    Args:
        images: all images; nothing is done if they are in memory.
        order: the indices of images in the order in which the run uses them.
        batch_size: images a step.
        run: the run, already started.
    """
    mapping = mapping_of(images)
    if mapping is None or len(order) == 0 or images.nbytes == 0:
        return
    work = _Reader(*mapping, images.nbytes, images.nbytes // len(images))
    try:
        start_new_thread(work.read, (order, batch_size, run))
    except RuntimeError:  # no more threads: the run goes on, only slower
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
        except (OSError, ValueError):  # the system takes no such advice for this mapping
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
                asked = max(asked, done)  # do not request images that a fast run has passed already
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
        """Give the system advice about some bytes of the images."""
        begin = self._begin + first
        page = begin - begin % mmap.PAGESIZE
        self._mapping.madvise(advice, page, begin + size - page)
