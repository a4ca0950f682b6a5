"""How a kernel traverses the pixels and channels of maps that differ only in their borders.

It goes row by row. Within a row it takes channels in blocks of four vectors, then two, then one, so
that the numbers of a channel stay in registers, and for each block several pixels at once, then the
remaining ones one by one. (With the loop over blocks outside of that over rows, maps beyond the
first-level cache took a third longer; with blocks of one vector only, maps of several took a fifth
longer.) A pixel of a dense map is a partial vector, so its pixels
are all taken one by one: zeros are read after it, and nothing is written there.

`traverse` emits the loops around what a kernel does with a vector of a pixel. Sums over pixels are
first those of a row, in a few chains, which `end` adds to those of the rows before.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from neocog.kernels.codegen.vector_types import LANES
from neocog.kernels.layout import FeatureMap, padded

__all__ = ["Pass", "Place", "Traversal", "first_pixels", "over", "traverse"]

#: Vectors of a block of channels, and the most that are unrolled.
_BLOCKS = (4, 2, 1)
_UNROLLED = 8
#: Pixels of a row that is long enough by itself.
_SHORT = 32


@dataclass(frozen=True)
class Traversal:
    """A pass over maps.

    Attributes:
        height: rows of a map.
        width: pixels of a row.
        channels: floats of the channels of a pixel.
        step: rows that are treated as one, because they are short and lie one behind another.
        full: whether every pixel fills whole vectors.
    """

    height: int
    width: int
    channels: int
    step: int
    full: bool

    @property
    def joint(self) -> int:
        """Pixels of a row that may be taken together: all or none."""
        return self.width if self.full else 0


def _step(height: int, width: int) -> int:
    """Short rows, as many as make whole blocks."""
    if width >= _SHORT:
        return 1
    enough = -(-_SHORT // width)
    steps = range(enough, enough + _UNROLLED)
    return min(height, next(n for n in steps if n * width % _UNROLLED == 0))


def over(*maps: FeatureMap, alike: bool = False) -> Traversal:
    """The traversal of maps of the same size.

    Args:
        maps: rows of maps without borders beside them may be treated as one.
        alike: whether all channels are treated alike. Then a row is nothing but vectors, and of
            these a few are a pixel.
    """
    first = maps[0]
    full = all(m.pixel == padded(m.channels) for m in maps)
    width, channels = first.width, padded(first.channels)
    if alike and full:
        vectors = width * channels // LANES
        block = next(n for n in _BLOCKS if vectors % n == 0)
        width, channels = vectors // block, block * LANES
    joined = all(m.border_w == 0 for m in maps)
    step = _step(first.height, width) if joined else 1
    return Traversal(first.height, width, channels, step, full)


class Place:
    """A vector of channels of one pixel in every map.

    Attributes:
        number: which of a block's vectors it is.
        pixel: the pixel's number in the map.
    """

    def __init__(
        self, emit: Any, maps: Any, number: int, pixel: Any, offset: Any, *, partial: bool
    ) -> None:
        self._emit, self._maps, self._partial = emit, maps, partial
        self.number, self.pixel, self._offset = number, pixel, offset

    def load(self, n: int) -> Any:
        """The vector in the n-th map."""
        pointer, m = self._maps[n]
        if self._partial:
            return self._emit.load_lanes(pointer, self._offset, m.pixel)
        return self._emit.load(pointer, self._offset)

    def store(self, n: int, value: Any) -> None:
        """Write the vector to the n-th map."""
        pointer, m = self._maps[n]
        if self._partial:
            self._emit.store_lanes(value, pointer, self._offset, m.pixel)
        else:
            self._emit.store(value, pointer, self._offset)


def first_pixels(emit: Any, n: Any, *pairs: tuple[Any, FeatureMap]) -> list[tuple[Any, Any]]:
    """The pointers to the first pixels of the n-th image's maps, with the maps."""
    return [(emit.advance(pointer, n * m.size + m.start), m) for pointer, m in pairs]


#: Of the first channel and the vectors of a block: what its visits are told.
_Begin = Callable[[Any, int], Any]
#: Of that and a place: what is added to the sums, each one value or two that are multiplied.
_Visit = Callable[[Any, Place], Sequence[tuple[Any, ...]]]
#: Of the row, the first channel of a vector, and its sums.
_End = Callable[[Any, Any, Sequence[Any]], None]


@dataclass(frozen=True)
class Pass:
    """What a kernel does on its way.

    Attributes:
        visit: called for each vector of a pixel.
        begin: called for each block of channels.
        end: called for each vector of channels at the end of a row.
        sums: of how many sums every visit gives terms.
        chained: chains of every sum of a block of one vector; larger blocks have fewer.
        unrolled: vectors to unroll, 8 or 4.
    """

    visit: _Visit
    begin: _Begin = lambda c, vectors: None
    end: _End = lambda row, c, sums: None
    sums: int = 0
    chained: int = 2
    unrolled: int = _UNROLLED


def traverse(emit: Any, p: Traversal, maps: Sequence[tuple[Any, FeatureMap]], does: Pass) -> None:
    """Emit a pass over maps; each comes with the pointer to its first pixel."""
    with emit.loop(0, p.height, p.step) as row:
        rows = [(emit.advance(pointer, row * m.row), m) for pointer, m in maps]
        count, c = emit.smaller(p.step, p.height - row), 0
        for vectors in _BLOCKS[does.unrolled < _UNROLLED :]:
            done = emit.multiple(p.channels, vectors * LANES)
            with emit.loop(c, done, vectors * LANES) as at:
                _traverse_block(emit, p, rows, does, (row, count, at), vectors)
            c = done


def _traverse_block(emit, p, rows, does, where, vectors):
    """A block of channels in one row, or in several that are treated as one."""
    row, count, c = where
    told, zero = does.begin(c, vectors), emit.constant(0.0)
    chains = max(1, does.chained // vectors)
    totals = [
        [[emit.variable(zero) for _ in range(does.sums)] for _ in range(vectors)]
        for _ in range(chains)
    ]

    def visit(maps, pixel, offset, sums, *, partial):
        for v in range(vectors):
            at = offset + v * LANES
            terms = does.visit(told, Place(emit, maps, v, pixel, at, partial=partial))
            for total, term in zip(sums[v], terms, strict=True):
                before = total.get()
                total.set(emit.add(before, *term) if len(term) == 1 else emit.fma(*term, before))

    here = [(emit.advance(pointer, c), m) for pointer, m in rows]
    places = does.unrolled // vectors
    whole, first = emit.multiple(count * p.joint, places), row * p.width
    with emit.loop(0, whole, places) as column:
        maps = [(emit.advance(pointer, column * p.channels), m) for pointer, m in here]
        for place in range(places):
            number, offset = first + column + place, place * p.channels
            visit(maps, number, offset, totals[place % chains], partial=False)
    with emit.loop(whole, count * p.width) as column:
        apart = [emit.select(p.full, p.channels, m.pixel) for _, m in here]
        maps = [(emit.advance(at, column * by), m) for (at, m), by in zip(here, apart, strict=True)]
        visit(maps, first + column, 0, totals[0], partial=vectors == 1)
    for v in range(vectors):
        sums = [[chain[v][n].get() for chain in totals] for n in range(does.sums)]
        does.end(row, c + v * LANES, [reduce(emit.add, chain) for chain in sums])
