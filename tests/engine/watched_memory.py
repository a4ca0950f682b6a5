"""Trains instruction by instruction, and finds what is written where it must not be.

All memory outside of buffers holds signaling NaNs, each another one: whoever computes with one, or
copies it elsewhere, leaves another there. After every instruction of every worker, all that has
changed must be the worker's own items of buffers that the instruction has as operands.
"""

import numpy as np

from neocog.engine.plan import Scope
from neocog.kernels.runtime.workers import GROUP

#: Bytes between two buffers, so that a kernel which writes far behind one is still found there.
GUARD = 1024

_OUTSIDE = (Scope.OUTSIDE, Scope.WHOLE)


class WatchedMemory:
    """The memory of a trainer, watched from now on.

    Attributes:
        faults: what was written where it must not be, one sentence for each call of a kernel.
        calls: the calls of kernels that were watched.
    """

    def __init__(self, trainer):
        self.faults = []
        self.calls = 0
        self._program = program = trainer._program
        self._memory = program.memory
        self._bytes = program.memory._bytes
        self._parameters = {parameter.name for parameter in trainer._parameters}
        self._tensors = {t for op in trainer._ops for t in (*op.inputs, op.y)}
        self._extents = sorted(self._extent(b) for b in program.plan.buffers.values() if _own(b))
        words = np.arange(len(self._bytes) // 4, dtype=np.uint32)
        guards = (0x7F800001 + words % 0x3FFFFF).astype(np.uint32).view(np.uint8)
        outside = np.ones(len(self._bytes), bool)
        for begin, end, _ in self._extents:
            outside[begin:end] = False
        self._bytes[outside] = guards[outside]
        self._run = program._run
        program._run = self._watch

    def _extent(self, buffer):
        program = self._program
        each = {
            Scope.CHUNK: program.workers * buffer.chunk,
            Scope.BATCH: program.batch,
            Scope.WORKER: program.workers,
        }.get(buffer.scope, 1)
        begin = self._memory._offsets[buffer.name]
        return begin, begin + each * buffer.size, buffer.name

    def _watch(self, rank, workers, total, batch, *others):
        """Takes the place of the driver; the first worker does the work of all, one by one."""
        program = self._program
        if rank > 0 or total == 0:
            return self._run(rank, workers, total, batch, *others) if total == 0 else 1
        assert total <= batch, "one step at a time"
        groups, taken = program._groups, program._steps[:, 2].copy()
        try:
            for group in groups.copy():
                group = dict(zip(GROUP, group.tolist(), strict=True))
                for row in range(group["first"], group["first"] + group["count"]):
                    one = {**group, "first": row, "count": 1, "every": 1}
                    one |= {"barrier": 0, "check_loss": 0, "steal_size": 0}
                    program._groups = np.array([list(one.values())])
                    for worker in range(workers):
                        program._steps[:, 2] = taken
                        before = self._bytes.copy()
                        self._run(worker, workers, total, batch, *others)
                        self._compare(before, row, one, worker, workers, total)
        finally:
            program._groups = groups
            program._steps[:, 2] = taken + 1
        return 1

    def _compare(self, before, row, group, worker, workers, total):
        instruction = self._program.plan.instructions[row]
        allowed = np.zeros(len(before), bool)
        for name in ("step", *instruction.operands):
            for begin, end in self._allowed(name, group, worker, workers, total):
                allowed[begin:end] = True
        places = np.flatnonzero((before != self._bytes) & ~allowed)
        self.calls += 1
        if len(places):
            kernel = instruction.kernel.__name__
            where = self._described(places[0])
            self.faults.append(f"{instruction.layer}: {kernel} wrote {len(places)} bytes, {where}")

    def _allowed(self, name, group, worker, workers, total):
        """Where an instruction may write, of one of its operands."""
        buffer = self._program.plan.buffers[name] if name else None
        of_images = group["items"] == 0
        if buffer is None or buffer.scope in _OUTSIDE or (of_images and name in self._parameters):
            return
        begin = self._memory.address(name, worker) - self._memory._base
        shards = -(-total // group["shard"])
        low, high = (shards * w // workers * group["shard"] for w in (worker, worker + 1))
        if buffer.scope is Scope.CHUNK:
            yield begin, begin + min(buffer.chunk, high - low) * buffer.size
        elif buffer.scope is not Scope.BATCH:
            yield begin, begin + buffer.size - buffer.offset
        elif of_images:
            yield begin + low * buffer.size, begin + min(high, total) * buffer.size
        else:
            yield begin, begin + self._program.batch * buffer.size

    def _described(self, place):
        begin, end, name = max(extent for extent in self._extents if extent[0] <= place)
        return f"{place - end} behind {name}" if place >= end else f"{place - begin} in {name}"

    def borders_not_zero(self):
        """The maps, and their gradients, whose borders are not zero."""
        plan, found = self._program.plan, []
        for tensor in self._tensors:
            maps = [(tensor.name, tensor.map)]
            if tensor.name in plan.gradients:
                maps.append((plan.gradients[tensor.name], tensor.gradient_map))
            found += [name for name, m in maps if self._border(name, m).any()]
        return sorted(set(found))

    def _border(self, name, m):
        buffer = self._program.plan.buffers[name]
        begin, end, _ = self._extent(buffer)
        items = self._bytes[begin:end].view(np.float32).reshape(-1, buffer.size // 4)
        rows = items[:, : m.content].reshape(len(items), -1, m.row // m.pixel, m.pixel).copy()
        rows[:, m.border_h : m.border_h + m.height, m.border_w : m.border_w + m.width] = 0
        return rows


def _own(buffer):
    return buffer.scope not in _OUTSIDE and not buffer.place
