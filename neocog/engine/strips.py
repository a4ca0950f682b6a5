"""Strips of images: some rows after others, of a single image for several workers, or in a cache.

A strip of a map is a map itself: it begins where its first row does, and has fewer rows. So a
kernel that computes rows alone works on a strip if its spec is that of the strip.

Instructions on large images run over one strip after another in *runs*, so that an instruction
finds what the one before wrote in the second-level cache. One that reads rows above and below those
it computes, as a 3 × 3 convolution does, begins a run of its own, unless other instructions wrote
these rows long before.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import lcm
from typing import Any

from neocog.engine.plan import Instruction

__all__ = ["Emitted", "Rows", "runs"]

_FLOAT = 4

# Bytes of a map from which on workers share its rows, which takes a barrier; the least bytes of a
# strip, and the most strips.
_LEAST_SHARED = 32 * 1024
_STRIP_BYTES, _MOST_STRIPS = 8 * 1024, 64

# Bytes of a run's maps that stay in a second-level cache.
_NEAR = 1024 * 1024


@dataclass(frozen=True)
class Rows:
    """What an instruction computes, row by row.

    Attributes:
        spec_of: gives the spec for the rows from the first number to that before the second; all
            are of one kind.
        height: rows in all.
        floats: of operands that are other ones for other rows, the floats from a row to the next.
        even: whether all strips must have equally many rows.
        apart: the operands of which rows other than those it computes are read.
        each: of operands of which every strip has one of its own, floats. They are allocated when
            the strips are known.
        multiple: the rows of a strip are a multiple of it.
    """

    spec_of: Callable[[int, int], Any]
    height: int
    floats: Mapping[str, int | Fraction]
    even: bool = False
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

    def strips(self) -> list[tuple[int, int]]:
        """The first row of every strip and the one after it, of a single image that workers share.

        None if there is too little to do.
        """
        row = int(max(self.floats.values()) * _FLOAT)
        if self.height * row < _LEAST_SHARED:
            return []
        rows = -(-max(_STRIP_BYTES, self.height * row // _MOST_STRIPS) // row)
        rows = -(-rows // self.multiple) * self.multiple
        if self.even:
            rows = next((n for n in range(rows, self.height) if self.height % n == 0), self.height)
        return self.of_size(rows)

    def of_size(self, rows: int) -> list[tuple[int, int]]:
        """Strips of so many rows, of which the last may have less; none if it is the only one."""
        begins = range(0, self.height, rows)
        return [(at, min(at + rows, self.height)) for at in begins] if len(begins) > 1 else []


@dataclass(eq=False)
class Emitted:
    """An instruction on images, before it is known how many strips these have.

    Attributes:
        instruction: on whole images.
        named: the buffers of its operands by the operand's name.
        rows: what it computes row by row; None if it needs whole images.
        strips: how many it runs over, one after another, once that is known.
    """

    instruction: Instruction
    named: Mapping[str, str]
    rows: Rows | None = None
    strips: int = 1

    @property
    def _apart(self) -> set[str]:
        apart = self.rows.apart if self.rows else ()
        return {self.named[name] for name in apart if name in self.named}

    def follows(self, other: "Emitted") -> bool:
        """Whether it may run over a strip before the other one has run over the next."""
        if self.rows is None or other.rows is None or self.rows.height != other.rows.height:
            return False
        touched, by_other = set(self.named.values()), set(other.named.values())
        return not (self._apart & by_other or other._apart & touched)


def runs(emitted: Sequence[Emitted]) -> list[tuple[list[Emitted], int]]:
    """Instructions that run together, with the number of their strips; 0 if they need none."""
    found: list[list[Emitted]] = []
    for one in emitted:
        if found and all(one.follows(other) for other in found[-1]):
            found[-1].append(one)
        else:
            found.append([one])
    joined: list[tuple[list[Emitted], int]] = []
    for run in found:
        strips = _strips(run)
        if joined and strips == joined[-1][1] == 0:
            joined[-1][0].extend(run)
        else:
            joined.append((run, strips))
    return joined


def _strips(run: Sequence[Emitted]) -> int:
    """Into how many strips a run cuts images, so that all maps of a strip stay in the cache.

    0 if it does not pay: for a single instruction, or where all of an image stays there.
    """
    rows = [one.rows for one in run if one.rows is not None]
    if len(rows) < 2:
        return 0
    sizes: dict[str, int] = {}
    for one, of in zip(run, rows, strict=True):
        for name in of.floats.keys() & one.named.keys():
            buffer = one.named[name]
            sizes[buffer] = max(sizes.get(buffer, 0), of.bytes_of(name, of.height))
    height, total = rows[0].height, sum(sizes.values())
    multiple = lcm(*(of.multiple for of in rows))
    for strips in range(max(2, -(-total // _NEAR)), height + 1):
        if total > _NEAR and height % strips == 0 and height // strips % multiple == 0:
            return strips
    return 0
