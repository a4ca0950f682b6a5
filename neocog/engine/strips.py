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

# Bytes of a run's maps from which on workers share its rows, which takes a barrier.
_LEAST_SHARED = 64 * 1024

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

    def of_size(self, rows: int) -> list[tuple[int, int]]:
        """Strips of so many rows, of which the last may have less or a few more."""
        begins = list(range(0, self.height, rows))
        if len(begins) > 1 and self.height - begins[-1] < self.multiple:
            begins.pop()
        return list(zip(begins, [*begins[1:], self.height], strict=True))


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
    def _apart(self) -> set[str]:
        apart = self.rows.apart if self.rows else ()
        return {self.named[name] for name in apart if name in self.named}

    def follows(self, other: "Emitted") -> bool:
        """Whether it may run over a strip before the other one has run over the next."""
        if self.rows is None or other.rows is None or self.rows.height != other.rows.height:
            return False
        touched, by_other = set(self.named.values()), set(other.named.values())
        return not (self._apart & by_other or other._apart & touched)


def runs(emitted: Sequence[Emitted], workers: int) -> list[tuple[list[Emitted], int]]:
    """Instructions that run together, and the rows of a strip of each; 0 for whole images.

    So many workers share the strips of a single image; 0 workers: each takes whole images.
    """
    found: list[list[Emitted]] = []
    for one in emitted:
        if found and all(one.follows(other) for other in found[-1]):
            found[-1].append(one)
        else:
            found.append([one])
    joined: list[tuple[list[Emitted], int]] = []
    for run in found:
        rows = _rows(run, workers)
        if joined and rows == joined[-1][1] == 0:
            joined[-1][0].extend(run)
        else:
            joined.append((run, rows))
    return joined


def _rows(run: Sequence[Emitted], workers: int) -> int:
    """The rows of the strips into which a run cuts images; 0 if that does not pay."""
    every = [one.rows for one in run if one.rows is not None]
    if not every:
        return 0
    sizes: dict[str, int] = {}
    for one, of in zip(run, every, strict=True):
        for name in of.floats.keys() & one.named.keys():
            buffer = one.named[name]
            sizes[buffer] = max(sizes.get(buffer, 0), of.bytes_of(name, of.height))
    total, height = sum(sizes.values()), every[0].height
    shared = workers > 1 and total >= _LEAST_SHARED
    if not shared and (len(every) == 1 or total <= _NEAR):
        return 0
    most = max(1, min(height * _NEAR // total, -(-height // max(1, workers))))
    multiple = lcm(*(of.multiple for of in every))
    if not workers or any(of.even for of in every):
        fitting = (n for n in range(most, 0, -1) if height % n == 0 and n % multiple == 0)
        rows = next(fitting, 0)
    else:
        rows = _balanced(height, workers, most, multiple)
    return rows if rows < height else 0


def _balanced(height: int, workers: int, most: int, multiple: int) -> int:
    """Rows of strips, about at most so many, of which all workers get equally many."""

    def load(rows: int) -> int:
        strips = -(-height // rows)
        return -(-strips // workers) * rows

    sizes = range(multiple, max(multiple, most) + 1, multiple)
    return min(sizes, key=lambda rows: (load(rows), -rows))
