"""What lives where: every buffer of a plan, in one allocation made before the run.

Buffers do not share memory over time, although many are needed only for a while: the borders of
zeros around feature maps are written once, here, and stay.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from neocog.engine.plan import Buffer, Plan, Scope

__all__ = ["Memory"]

Number = TypeVar("Number", bound=np.generic)

_LINE = 64
# Kernels read whole vectors, so up to one beyond a map's end.
_SLACK = 64


class Memory:
    """A plan's buffers for so many workers and images a step."""

    def __init__(self, plan: Plan, workers: int, batch: int) -> None:
        self._plan = plan
        self._offsets: dict[str, int] = {}
        at = 0
        for buffer in plan.buffers.values():
            if buffer.scope is not Scope.OUTSIDE:
                self._offsets[buffer.name] = at
                size = buffer.size * self._items(buffer, workers, batch) + _SLACK
                at += -(-size // _LINE) * _LINE
        self.size = at
        raw = np.zeros(at + _LINE, np.uint8)
        shift = -raw.ctypes.data % _LINE
        self._bytes = raw[shift : shift + at]
        self._base = self._bytes.ctypes.data

    def _items(self, buffer: Buffer, workers: int, batch: int) -> int:
        return {
            Scope.CHUNK: workers * self._plan.chunk,
            Scope.BATCH: batch,
            Scope.WORKER: workers,
            Scope.SHARED: 1,
        }[buffer.scope]

    def address(self, name: str, worker: int) -> int:
        """Where the worker's first item of a buffer stands, which is not one outside."""
        buffer = self._plan.buffers[name]
        skip = {Scope.CHUNK: worker * self._plan.chunk, Scope.WORKER: worker}.get(buffer.scope, 0)
        return self._base + self._offsets[name] + skip * buffer.size

    def array(self, name: str, dtype: type[Number], items: int = 1) -> NDArray[Number]:
        """The first items of a buffer as a flat array, not a copy."""
        at = self._offsets[name]
        return self._bytes[at : at + self._plan.buffers[name].size * items].view(dtype)
