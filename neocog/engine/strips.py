"""Strips of images: some rows after others, of a single image for several workers, or in a cache.

A strip of a map is a map itself: it begins where its first row does, and has fewer rows. So a
kernel that computes rows alone works on a strip if its spec is that of the strip.

Instructions on large images run over one strip after another, in *runs*, so that an instruction
finds in the second-level cache what the one before it wrote. Where workers share a single image,
each takes some strips of a run.

A convolution that reads rows above and below those that it computes begins another run, if the
instructions before it write these. (Letting them keep a row ahead of it within one run was tried,
and gave nothing beyond noise.)
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from math import lcm
from typing import Any

from neocog.engine.plan import Instruction

__all__ = ["Emitted", "Part", "Rows", "parts_of"]

_FLOAT = 4

# Bytes of a run's maps from which on workers share a single image's rows, which takes a barrier.
_LEAST_SHARED = 64 * 1024

# Bytes of a run's maps that stay in a second-level cache.
_NEAR = 1024 * 1024

#: The first rows of strips and those after the last.
Strips = list[tuple[int, int]]


@dataclass(frozen=True)
class Rows:
    """What an instruction computes, row by row.

    Attributes:
        spec_of: gives the spec for the rows from the first number to that before the second; all
            are of one kind.
        height: rows in all.
        floats: of operands that are other ones for other rows, the floats from a row to the next.
        apart: the operands of which rows other than those it computes are read.
        each: of operands of which every strip has one of its own, floats. They are allocated when
            the strips are known.
        multiple: the rows of a strip are a multiple of it.
    """

    spec_of: Callable[[int, int], Any]
    height: int
    floats: Mapping[str, int | Fraction]
    apart: tuple[str, ...] = ()
    each: Mapping[str, int] = field(default_factory=dict)
    multiple: int = 1

    @classmethod
    def of_maps(cls, spec: Any, names: Sequence[str], **others: Any) -> "Rows":
        """Those of maps of one height, which have these names in the spec and as operands."""
        maps = {name: getattr(spec, name) for name in names}

        def spec_of(begin: int, end: int) -> Any:
            return replace(spec, **{n: replace(m, height=end - begin) for n, m in maps.items()})

        floats = {name: m.row for name, m in maps.items()}
        return cls(spec_of, maps[names[0]].height, floats, **others)

    def bytes_of(self, name: str, rows: int) -> int:
        """From the first of so many rows of an operand to the first behind them."""
        return int(self.floats[name] * rows * _FLOAT)


@dataclass(eq=False)
class Emitted:
    """An instruction on images, before it is known how many strips these have.

    Attributes:
        instruction: on whole images.
        named: the buffers of its operands by the operand's name.
        rows: what it computes row by row; None if it needs whole images.
        strips: how many strips it runs over, once that is known.
    """

    instruction: Instruction
    named: Mapping[str, str]
    rows: Rows | None = None
    strips: int = 1

    @property
    def apart(self) -> set[str]:
        """`Rows.apart`, as buffers."""
        names = self.rows.apart if self.rows else ()
        return {self.named[name] for name in names if name in self.named}

    def follows(self, other: "Emitted") -> bool:
        """Whether it may run over a strip before the other one has run over the next."""
        if self.rows is None or other.rows is None or self.rows.height != other.rows.height:
            return False
        touched, by_other = set(self.named.values()), set(other.named.values())
        return not (self.apart & by_other or other.apart & touched)


@dataclass(frozen=True)
class Part:
    """Instructions that run together.

    Attributes:
        members: them.
        strips: what they run over, one strip after another; none for whole images.
    """

    members: list[Emitted]
    strips: Strips


def parts_of(emitted: Sequence[Emitted], workers: int) -> list[Part]:
    """Instructions in their order, as they run together.

    So many workers share the strips of a single image; 0 workers: each takes whole images.
    """
    parts: list[Part] = []
    for run in _runs(emitted):
        rows = [one.rows for one in run if one.rows is not None]
        strips = _strips(rows, _bytes(run), workers) if rows else []
        if parts and not strips and not parts[-1].strips:
            parts[-1].members.extend(run)
        else:
            parts.append(Part(run, strips))
    return parts


def _runs(emitted: Sequence[Emitted]) -> list[list[Emitted]]:
    found: list[list[Emitted]] = []
    for one in emitted:
        if found and all(one.follows(other) for other in found[-1]):
            found[-1].append(one)
        else:
            found.append([one])
    return found


def _bytes(run: Sequence[Emitted]) -> int:
    """All maps of an image."""
    sizes: dict[str, int] = {}
    for one in run:
        for name, buffer in one.named.items():
            if one.rows is not None and name in one.rows.floats:
                size = one.rows.bytes_of(name, one.rows.height)
                sizes[buffer] = max(sizes.get(buffer, 0), size)
    return sum(sizes.values())


def _strips(rows: Sequence[Rows], size: int, workers: int) -> Strips:
    """The strips of maps of so many bytes, each but the last with equally many rows.

    None if they do not pay.
    """
    shared = workers > 1 and size >= _LEAST_SHARED
    if not shared and (len(rows) == 1 or size <= _NEAR):
        return []
    height, multiple = rows[0].height, lcm(*(of.multiple for of in rows))
    most = max(1, min(height * _NEAR // size, -(-height // max(1, workers))))
    if workers:
        each = _balanced(height, workers, most, multiple)
    else:  # in the last one, too, as statistics of strips need it; and not much less than fit
        sizes = range(most, most // 2, -1)
        fitting = (n for n in sizes if height % n == 0 and n % multiple == 0)
        each = next(fitting, height)
    begins = list(range(0, height, each))
    if len(begins) > 1 and height - begins[-1] < multiple:
        begins.pop()
    return list(zip(begins, [*begins[1:], height], strict=True)) if len(begins) > 1 else []


def _balanced(height: int, workers: int, most: int, multiple: int) -> int:
    """Rows of strips, about at most so many, of which all workers get equally many."""

    def load(rows: int) -> int:
        strips = -(-height // rows)
        ends = [min(height, strips * n // workers * rows) for n in range(workers + 1)]
        return max(end - begin for begin, end in pairwise(ends))

    sizes = range(multiple, max(multiple, most) + 1, multiple)
    return min(sizes, key=lambda rows: (load(rows), -rows))
