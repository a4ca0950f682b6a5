"""A program before it has addresses: buffers, and instructions in groups."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Any

__all__ = ["Buffer", "Group", "Instruction", "Plan", "Scope"]


class Scope(Enum):
    """How many copies of a buffer exist, and how long its contents are needed."""

    CHUNK = auto()  # an item per image of a worker's chunk, until the chunk is done
    BATCH = auto()  # an item per image of the batch, until the step is done
    WORKER = auto()  # one per worker
    SHARED = auto()  # one for all workers
    OUTSIDE = auto()  # the caller's array, with an item per image
    WHOLE = auto()  # the caller's array, which kernels index themselves


@dataclass(frozen=True)
class Buffer:
    """A named piece of memory.

    Attributes:
        size: bytes of one item.
        chunk: items per worker, if the scope is `CHUNK`.
        place: the buffer whose memory it uses, `offset` bytes from its start; "" for its own.
        strip: bytes from one strip of an image to the next, in groups of strips.
        layout: must be equal for two buffers to share memory at different times, because borders
            of zeros are written once. None for a buffer that must not share.
    """

    name: str
    size: int
    scope: Scope
    chunk: int = 1
    place: str = ""
    offset: int = 0
    strip: int = 0
    layout: Any = None


@dataclass(frozen=True)
class Instruction:
    """A kernel compiled for a spec; `operands` are names of buffers, or None if unused.

    In a group of strips, `specs` are those of each strip, all of one kind, if they differ.
    """

    kernel: Any
    spec: Any
    operands: tuple[str | None, ...]
    layer: str = ""
    specs: tuple[Any, ...] = ()

    @classmethod
    def of(
        cls,
        kernel: Any,
        spec: Any,
        layer: str,
        specs: Sequence[Any] = (),
        /,
        **operands: str | None,
    ) -> "Instruction":
        """An instruction on named operands.

        Raises:
            TypeError: the kernel has no operand of such a name, or needs one that is missing.
        """
        return cls(kernel, spec, kernel.in_order(operands), layer, tuple(specs))


@dataclass(frozen=True)
class Group:
    """Instructions that run over the same items; `items` of 0 means the images of the batch.

    `check_loss` says that the losses are checked behind the barrier, `refreshes` that the group
    only computes other layouts of parameters. It runs in every step, or at the last of each `every`
    steps, or, where `every` is 0, only when parameters were written from outside.

    With `strips` the instructions run over one strip of an image after another. Then `items` are
    the strips, which workers share, of the only image; or 0, and a worker takes all strips of its
    images. Kernels are told the image as their one item, not the strip. A group that is `joined`
    runs with the one before, chunk by chunk of the images of both.
    """

    instructions: Sequence[Instruction]
    items: int = 0
    chunk: int = 1
    barrier: bool = False
    check_loss: bool = False
    refreshes: bool = False
    every: int = 1
    strips: int = 0
    joined: bool = False


# Bytes that a worker's chunk of images may touch and stay in the second-level cache.
_CHUNK_BYTES = 256 * 1024
_MOST_CHUNK = 16
# Bytes that an image touches from which on its strips leave nothing to gain from a second image.
_LARGE_IMAGE = 2 * 1024 * 1024


@dataclass
class Plan:
    """All buffers and groups of a program; workers take images in whole shards of `shard`.

    `gradients` maps the names of tensors to the buffers of their gradients.
    """

    shard: int = 1
    buffers: dict[str, Buffer] = field(default_factory=dict)
    groups: list[Group] = field(default_factory=list)
    gradients: dict[str, str] = field(default_factory=dict)
    _maps: set[str] = field(default_factory=set)
    _parts: list[str] = field(default_factory=list)

    def buffer(self, name: str, size: int, scope: Scope) -> str:
        """Add a buffer; returns its name."""
        self.buffers[name] = Buffer(name, size, scope)
        return name

    def map(self, name: str, size: int, layout: Any = None) -> str:
        """Add a buffer with an item per image; `settle` finds out how long it is needed.

        Buffers with the same `layout`, unless it is None, may share memory at different times.
        """
        self.buffers[name] = Buffer(name, size, Scope.CHUNK, layout=layout)
        self._maps.add(name)
        return name

    def part(self, name: str, offset: int, strip: int = 0) -> str:
        """Add a buffer that is another one's memory from byte `offset` on; returns its name.

        In a group of strips each has its part, `strip` bytes behind that of the one before. The
        other one is not the caller's array.
        """
        part = f"{name}+{offset}/{strip}" if strip else f"{name}+{offset}"
        if part not in self.buffers:
            whole = self.buffers[name]
            self.buffers[part] = replace(
                whole, name=part, place=name, offset=offset, strip=strip, layout=None
            )
            self._parts.append(part)
        return part

    def whole(self, name: str) -> str:
        """The buffer that a buffer is a part of, or itself; before `settle`."""
        return self.whole(self.buffers[name].place) if self.buffers[name].place else name

    @property
    def beginnings(self) -> list[int]:
        """Of each group, the first of those that it runs with."""
        found: list[int] = []
        for g, group in enumerate(self.groups):
            found.append(found[-1] if group.joined else g)
        return found

    @property
    def instructions(self) -> list[Instruction]:
        """Every instruction, in order."""
        return [i for group in self.groups for i in group.instructions]

    def settle(self) -> None:
        """Once all groups exist, choose the images per chunk and how long each map is needed."""
        used: dict[str, list[int]] = {}
        beginnings = self.beginnings
        touched: dict[int, set[str]] = {begin: set() for begin in beginnings}
        pairs = zip(beginnings, self.groups, strict=True)
        in_strips = {begin for begin, group in pairs if group.strips}
        for g, group in enumerate(self.groups):
            for instruction in group.instructions:
                for name in instruction.operands:
                    if name is not None:
                        whole = self.whole(name)
                        used.setdefault(whole, []).append(g)
                        touched[beginnings[g]].add(whole)
        for g, group in enumerate(self.groups):
            if group.items == 0:
                begin = beginnings[g]
                chunk = self._chunk(touched[begin], one_by_one=begin in in_strips)
                self.groups[g] = replace(group, chunk=chunk)
        for name in self._maps & used.keys():
            together = {beginnings[g] for g in used[name]}
            only = self.groups[min(together)]
            alone = len(together) == 1 and only.items == 0
            scope, chunk = (Scope.CHUNK, only.chunk) if alone else (Scope.BATCH, 1)
            self.buffers[name] = replace(self.buffers[name], scope=scope, chunk=chunk)
        self._share(used)
        for name in self._parts:
            of = self.buffers[self.buffers[name].place]
            self.buffers[name] = replace(
                self.buffers[name], size=of.size, scope=of.scope, chunk=of.chunk
            )

    def _chunk(self, touched: set[str], *, one_by_one: bool) -> int:
        each = sum(self.buffers[name].size for name in touched & self._maps)
        if one_by_one and each > _LARGE_IMAGE:
            return 1
        # Even, because linear layers take two images at a time.
        return max(2, min(_MOST_CHUNK, _CHUNK_BYTES // max(1, each)) // 2 * 2)

    def _share(self, used: dict[str, list[int]]) -> None:
        """Let buffers of the batch reuse the memory of earlier ones that are no longer needed."""
        waiting = [
            b for b in self.buffers.values() if b.scope is Scope.BATCH and b.layout is not None
        ]
        until: dict[str, int] = {}  # the last group that uses each piece of memory
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
