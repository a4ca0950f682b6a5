"""Strips of a single image, of which workers take one after another.

A strip of a map is a map itself: it begins where its first row does, and has fewer rows. So a
kernel that computes rows alone works on a strip if its spec is that of the strip.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

__all__ = ["Rows"]

_FLOAT = 4

# Bytes of a map from which on workers share its rows, which takes a barrier; the least bytes of a
# strip, and the most strips.
_LEAST_SHARED = 32 * 1024
_STRIP_BYTES, _MOST_STRIPS = 8 * 1024, 64


@dataclass(frozen=True)
class Rows:
    """What an instruction computes, row by row.

    Attributes:
        spec_of: gives the spec for the rows from the first number to that before the second; all
            are of one kind.
        height: rows in all.
        floats: of operands that are other ones for other rows, the floats from a row to the next.
        even: whether all strips must have equally many rows.
        apart: whether rows other than those it computes are read.
    """

    spec_of: Callable[[int, int], Any]
    height: int
    floats: Mapping[str, int]
    even: bool = False
    apart: bool = False

    @classmethod
    def of_maps(cls, spec: Any, names: Sequence[str]) -> "Rows":
        """Those of maps of one height, which have these names in the spec and as operands."""
        maps = {name: getattr(spec, name) for name in names}

        def spec_of(begin: int, end: int) -> Any:
            return replace(spec, **{n: replace(m, height=end - begin) for n, m in maps.items()})

        return cls(spec_of, maps[names[0]].height, {name: m.row for name, m in maps.items()})

    def strips(self) -> list[tuple[int, int]]:
        """The first row of every strip and the one after it; none if there is too little to do."""
        row = max(self.floats.values()) * _FLOAT
        if self.height * row < _LEAST_SHARED:
            return []
        rows = -(-max(_STRIP_BYTES, self.height * row // _MOST_STRIPS) // row)
        if self.even:
            rows = next((n for n in range(rows, self.height) if self.height % n == 0), self.height)
        begins = range(0, self.height, rows)
        return [(at, min(at + rows, self.height)) for at in begins] if len(begins) > 1 else []
