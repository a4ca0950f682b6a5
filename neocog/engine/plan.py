"""What a program consists of, before it has addresses: buffers, and instructions in groups."""

from collections.abc import Sequence
from dataclasses import dataclass, field
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


@dataclass(frozen=True)
class Buffer:
    """A named piece of memory; `size` is the bytes of one item."""

    name: str
    size: int
    scope: Scope


@dataclass(frozen=True)
class Instruction:
    """A kernel for a stage's sizes; `operands` are names of buffers, None where it takes none."""

    kernel: Any
    stage: Any
    operands: tuple[str | None, ...]
    layer: str = ""


@dataclass(frozen=True)
class Group:
    """Instructions that run over the same items; `items` of 0 means the images of the batch."""

    instructions: Sequence[Instruction]
    items: int = 0
    chunk: int = 1
    barrier: bool = False
    judge: bool = False


@dataclass
class Plan:
    """All of a program; images are cut into shards of `shard`, `chunk` of them at a time."""

    shard: int = 1
    chunk: int = 1
    buffers: dict[str, Buffer] = field(default_factory=dict)
    groups: list[Group] = field(default_factory=list)

    def buffer(self, name: str, size: int, scope: Scope) -> str:
        """Ask for a buffer; gives its name."""
        self.buffers[name] = Buffer(name, size, scope)
        return name

    @property
    def instructions(self) -> list[Instruction]:
        """Every instruction, in order."""
        return [i for group in self.groups for i in group.instructions]
