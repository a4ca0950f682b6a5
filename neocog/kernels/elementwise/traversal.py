"""How a kernel traverses the pixels and channels of maps that differ only in their borders.

It goes row by row. Within a row it takes channels in blocks of a few vectors, so that the numbers
of a channel stay in registers, and for each block several pixels at once, then the remaining ones
one by one. (With the loop over blocks outside of that over rows, maps beyond the first-level cache
took a third longer.) A pixel of a dense map is a partial vector: zeros are read after it, and
nothing is written there.
"""

from dataclasses import dataclass
from typing import Any

from neocog.kernels.codegen.block import accumulators, block
from neocog.kernels.codegen.vector_types import LANES
from neocog.kernels.layout import FeatureMap, padded

__all__ = ["Traversal", "add_row", "load_place", "over", "store_place"]

#: Vectors of channels in a block: the first of these that divides them evenly.
_WIDE = (4, 3, 2, 1)
#: Pixels of a row that is long enough by itself.
_SHORT = 32


@dataclass(frozen=True)
class Traversal:
    """A pass over maps; `joined` if rows are contiguous in all of them.

    Short rows are then treated as one, so that the loops over them are long enough. `blocks_of` are
    the numbers of vectors that may form a block, the best first, `unrolled` is the most vectors to
    unroll, and `chained` the number of independent sums per channel.
    """

    height: int
    width: int
    channels: int
    joined: bool = False
    blocks_of: tuple[int, ...] = _WIDE
    unrolled: int = 8
    chained: int = 4

    @property
    def vectors(self) -> int:
        """Vectors of one block."""
        total = padded(self.channels) // LANES
        return next(n for n in self.blocks_of if total % n == 0)

    @property
    def block(self) -> int:
        """Channels of one block."""
        return self.vectors * LANES

    @property
    def padded(self) -> int:
        """Channels including those that only pad a vector."""
        return padded(self.channels)

    @property
    def step(self) -> int:
        """Rows that are treated as one."""
        most = max(1, _SHORT // self.width) if self.joined else 1
        return next(n for n in range(min(most, self.height), 0, -1) if self.height % n == 0)

    @property
    def columns(self) -> int:
        """Pixels of a row, or of the rows that are treated as one."""
        return self.width * self.step

    @property
    def places(self) -> int:
        """Pixels of a row that are processed together."""
        most = min(max(1, self.unrolled // self.vectors), self.columns)
        return next((n for n in range(most, most // 2, -1) if self.columns % n == 0), most)

    @property
    def whole(self) -> int:
        """Columns that are processed several at a time."""
        return self.columns - self.columns % self.places

    @property
    def chains(self) -> int:
        """Independent sums per channel, to hide the latency of additions."""
        return min(self.places, max(1, self.chained // self.vectors))

    @property
    def totals(self) -> int:
        """Vectors of two totals per channel: all first ones, then all second ones."""
        return 2 * self.vectors

    @property
    def sums(self) -> int:
        """Vectors of two sums per channel and chain."""
        return self.totals * self.chains

    def first(self, place: int, vector: int) -> int:
        """The index of the first sum of a pixel and vector; the second is `vectors` further on.

        Consecutive pixels use the chains in turn.
        """
        return place % self.chains * self.totals + vector


def over(*maps: FeatureMap, join: bool = True, **settings: Any) -> Traversal:
    """The traversal of these maps; rows are joined if no map has a border beside them."""
    m = maps[0]
    joined = join and all(other.border_w == 0 for other in maps)
    return Traversal(m.height, m.width, m.channels, joined, **settings)


def load_place(emit, m, pointer, place, vector):
    """A vector of the channels of the pixel `place` pixels after `pointer`."""
    return emit.load_first(pointer, place * m.pixel + vector * LANES, min(m.pixel, LANES))


def store_place(emit, m, value, pointer, place, vector):
    """Write a vector of the channels of the pixel `place` pixels after `pointer`."""
    emit.store_first(value, pointer, place * m.pixel + vector * LANES, min(m.pixel, LANES))


@block(accumulators)
def add_row(emit, spec, totals, sums):
    """Add a row's sums, chain by chain, to the totals."""
    totals = list(totals)
    for chain in range(spec.chains):
        for at in range(spec.totals):
            totals[at] = emit.add(totals[at], sums[chain * spec.totals + at])
    return totals
