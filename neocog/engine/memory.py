"""Memory of a plan: one allocation, made before the run, that holds every buffer.

Buffers that are needed at different times share memory only if their layouts are equal, because
the borders of zeros around feature maps are written only once, here.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from neocog.engine.plan import Buffer, Plan, Scope
from neocog.kernels.layout import FeatureMap
from neocog.limits import require_memory

__all__ = ["Memory", "memory_needed"]

Number = TypeVar("Number", bound=np.generic)

_LINE = 64
# Kernels read whole vectors, so up to one vector past the end of a map.
_SLACK = 64


def _places(plan: Plan, workers: int, batch: int) -> tuple[dict[str, int], int]:
    offsets: dict[str, int] = {}
    at = 0
    for buffer in plan.buffers.values():
        if buffer.scope not in (Scope.OUTSIDE, Scope.WHOLE) and not buffer.place:
            offsets[buffer.name] = at
            size = buffer.size * _items(buffer, workers, batch) + _SLACK
            at += -(-size // _LINE) * _LINE
    for buffer in plan.buffers.values():
        offset, place = 0, buffer
        while place.place:  # a part may be one of a map that shares another one's memory
            offset, place = offset + place.offset, plan.buffers[place.place]
        if buffer.place:
            offsets[buffer.name] = offsets[place.name] + offset
    return offsets, at


def _items(buffer: Buffer, workers: int, batch: int) -> int:
    return {
        Scope.CHUNK: workers * buffer.chunk,
        Scope.BATCH: batch,
        Scope.WORKER: workers,
        Scope.SHARED: 1,
    }[buffer.scope]


def memory_needed(plan: Plan, workers: int, batch: int) -> int:
    """Bytes of all buffers of a plan with `workers` threads and `batch` images a step."""
    return _places(plan, workers, batch)[1]


class Memory:
    """The buffers of a plan with `workers` threads and `batch` images a step."""

    def __init__(self, plan: Plan, workers: int, batch: int) -> None:
        self._plan = plan
        self._offsets, self.size = _places(plan, workers, batch)
        images, less = ("one image", "network") if batch == 1 else (f"{batch} images", "batch")
        require_memory(self.size, f"Working on {images} at a time", f"Take a smaller {less}.")
        raw = np.zeros(self.size + _LINE, np.uint8)
        shift = -raw.ctypes.data % _LINE
        self._bytes = raw[shift : shift + self.size]
        self._base = self._bytes.ctypes.data

    def address(self, name: str, worker: int) -> int:
        """The address of a worker's first item of a buffer that is not the caller's array."""
        buffer = self._plan.buffers[name]
        skip = {Scope.CHUNK: worker * buffer.chunk, Scope.WORKER: worker}.get(buffer.scope, 0)
        return self._base + self._offsets[name] + skip * buffer.size

    def array(self, name: str, dtype: type[Number], items: int = 1) -> NDArray[Number]:
        """The first items of a buffer as a flat array that shares its memory."""
        at = self._offsets[name]
        return self._bytes[at : at + self._plan.buffers[name].size * items].view(dtype)

    def map(self, name: str, size: FeatureMap) -> NDArray[np.float32]:
        """A copy of the first image's map in a buffer, [channels, height, width]."""
        whole = self.array(name, np.float32)[: size.content]
        rows = whole.reshape(-1, size.row // size.pixel, size.pixel)
        inside = rows[size.border_h :, size.border_w :][: size.height, : size.width]
        return np.array(inside[:, :, : size.channels].transpose(2, 0, 1), order="C")
