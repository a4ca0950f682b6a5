"""What a program consists of, before it has addresses: buffers, and instructions in groups."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Any

__all__ = ["Buffer", "Group", "Instruction", "Plan", "Scope"]


class Scope(Enum):
    """How many of a buffer there are, and for how long what stands in it is needed."""

    CHUNK = auto()  # an item for each image of a worker's chunk; until the chunk is done
    BATCH = auto()  # an item for each image of the batch; until the step is done
    WORKER = auto()  # one for each worker
    SHARED = auto()  # one
    OUTSIDE = auto()  # an array of the caller's, an item for each image
    WHOLE = auto()  # an array of the caller's, which kernels index by themselves


@dataclass(frozen=True)
class Buffer:
    """A named piece of memory.

    Attributes:
        size: bytes of one item.
        chunk: items for each worker, of a buffer of a chunk.
        place: the buffer in whose memory it lies, if not in its own, `offset` bytes from its start.
        layout: what must be equal for two to share memory over time: their borders of zeros are
            written once. None for a buffer that is needed all the time.
    """

    name: str
    size: int
    scope: Scope
    chunk: int = 1
    place: str = ""
    offset: int = 0
    layout: Any = None


@dataclass(frozen=True)
class Instruction:
    """A kernel for a spec's sizes; `operands` are names of buffers, None where it takes none."""

    kernel: Any
    spec: Any
    operands: tuple[str | None, ...]
    layer: str = ""


@dataclass(frozen=True)
class Group:
    """Instructions that run over the same items; `items` of 0 means the images of the batch.

    `check_loss` says that the losses are checked behind the barrier, `refreshes` that the group
    only computes other layouts of parameters. It runs in every step, or at the last of each `every`
    steps, or, where `every` is 0, only when parameters were written from outside.
    """

    instructions: Sequence[Instruction]
    items: int = 0
    chunk: int = 1
    barrier: bool = False
    check_loss: bool = False
    refreshes: bool = False
    every: int = 1


# Bytes that a worker's chunk of images may touch, so that it stays in the second-level cache.
_CHUNK_BYTES = 256 * 1024
_MOST_CHUNK = 16


@dataclass
class Plan:
    """All of a program; workers take the images in whole shards of `shard`.

    `gradients` are the buffers of tensors' gradients, by the tensors' names.
    """

    shard: int = 1
    buffers: dict[str, Buffer] = field(default_factory=dict)
    groups: list[Group] = field(default_factory=list)
    gradients: dict[str, str] = field(default_factory=dict)
    _maps: set[str] = field(default_factory=set)

    def buffer(self, name: str, size: int, scope: Scope) -> str:
        """Ask for a buffer; gives its name."""
        self.buffers[name] = Buffer(name, size, scope)
        return name

    def map(self, name: str, size: int, layout: Any = None) -> str:
        """Ask for a buffer with an item an image; `settle` finds out how long each is needed.

        Buffers with the same `layout`, if it is not None, may share memory over time.
        """
        self.buffers[name] = Buffer(name, size, Scope.CHUNK, layout=layout)
        self._maps.add(name)
        return name

    def part(self, name: str, offset: int) -> str:
        """A buffer that is another one's memory from so many bytes on; gives its name."""
        part = f"{name}+{offset}"
        self.buffers[part] = replace(self.buffers[name], name=part, place=name, offset=offset)
        return part

    @property
    def instructions(self) -> list[Instruction]:
        """Every instruction, in order."""
        return [i for group in self.groups for i in group.instructions]

    def settle(self) -> None:
        """When all groups are there: how many images a chunk has, and how long each map lives."""
        used: dict[str, list[int]] = {}
        for g, group in enumerate(self.groups):
            for instruction in group.instructions:
                for name in instruction.operands:
                    if name is not None:
                        used.setdefault(name, []).append(g)
        for g, group in enumerate(self.groups):
            if group.items == 0:
                self.groups[g] = replace(group, chunk=self._chunk(group))
        for name in self._maps & used.keys():
            groups = set(used[name])
            only = self.groups[min(groups)]
            alone = len(groups) == 1 and only.items == 0
            scope, chunk = (Scope.CHUNK, only.chunk) if alone else (Scope.BATCH, 1)
            self.buffers[name] = replace(self.buffers[name], scope=scope, chunk=chunk)
        self._share(used)

    def _chunk(self, group: Group) -> int:
        touched = {n for i in group.instructions for n in i.operands if n in self._maps}
        each = sum(self.buffers[name].size for name in touched if name is not None)
        # Even, because linear layers take two images at a time.
        return max(2, min(_MOST_CHUNK, _CHUNK_BYTES // max(1, each)) // 2 * 2)

    def _share(self, used: dict[str, list[int]]) -> None:
        """Give buffers of a batch the memory of earlier ones that are no longer needed."""
        waiting = [
            b for b in self.buffers.values() if b.scope is Scope.BATCH and b.layout is not None
        ]
        until: dict[str, int] = {}  # the last group that needs each piece of memory
        layouts: dict[str, Any] = {}
        for buffer in sorted(waiting, key=lambda b: min(used[b.name])):
            first, last = min(used[buffer.name]), max(used[buffer.name])
            key = (buffer.layout, buffer.size)
            free = (n for n, end in until.items() if end < first and layouts[n] == key)
            place = next(free, None)
            if place is None:
                layouts[buffer.name], until[buffer.name] = key, last
            else:
                until[place] = last
                self.buffers[buffer.name] = replace(buffer, place=place)
