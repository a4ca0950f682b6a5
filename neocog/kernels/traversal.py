"""How a kernel passes over the places and channels of maps that are equal but for their borders.

Row by row; in a row channels in blocks of a few vectors, so that what belongs to a channel stays in
registers; several places at once, and those that are left over one by one. (With the blocks outside
and the rows inside, maps beyond the first-level cache took a third longer.) A pixel of a dense map
is part of a vector: what is read behind it is zero, and nothing is written there.
"""

from dataclasses import dataclass
from typing import Any

from neocog.kernels.layout import FeatureMap, padded
from neocog.kernels.simd import LANES, accumulators, block

__all__ = ["Traversal", "add_row", "load_place", "over", "store_place"]

#: How many vectors of channels form a block: the first of these that divides them evenly.
_WIDE = (4, 3, 2, 1)
#: Places of a row that is long enough by itself.
_SHORT = 32


@dataclass(frozen=True)
class Traversal:
    """A pass over maps; `joined` where rows lie one behind another in all of them.

    Short rows are then taken together, so that loops over them are worth their beginning.
    `blocks_of` are the numbers of vectors that may form a block, the best first; `unrolled` is how
    many vectors' code may stand in a row, `chained` how many channel sums should be in flight.
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
        """Channels and those that only fill a vector."""
        return padded(self.channels)

    @property
    def step(self) -> int:
        """Rows that are taken together as one."""
        most = max(1, _SHORT // self.width) if self.joined else 1
        return next(n for n in range(min(most, self.height), 0, -1) if self.height % n == 0)

    @property
    def columns(self) -> int:
        """Places of a row, or of the rows that are taken as one."""
        return self.width * self.step

    @property
    def places(self) -> int:
        """Places of a row that are worked on together."""
        most = min(max(1, self.unrolled // self.vectors), self.columns)
        return next((n for n in range(most, most // 2, -1) if self.columns % n == 0), most)

    @property
    def whole(self) -> int:
        """Columns but for those that are left over."""
        return self.columns - self.columns % self.places

    @property
    def chains(self) -> int:
        """Sums of a channel's numbers that are kept apart, to hide the latency of an addition."""
        return min(self.places, max(1, self.chained // self.vectors))

    @property
    def totals(self) -> int:
        """Vectors of two totals a channel: all first ones, then all second ones."""
        return 2 * self.vectors

    @property
    def sums(self) -> int:
        """Vectors of two sums a channel and chain."""
        return self.totals * self.chains

    def first(self, place: int, vector: int) -> int:
        """Which of the sums holds the first sum of this place and vector; `vectors` on, the second.

        Places take turns with the chains.
        """
        return place % self.chains * self.totals + vector


def over(*maps: FeatureMap, join: bool = True, **settings: Any) -> Traversal:
    """The pass over these maps, its rows joined where no map has a border beside them."""
    m = maps[0]
    joined = join and all(other.border_w == 0 for other in maps)
    return Traversal(m.height, m.width, m.channels, joined, **settings)


def load_place(emit, m, pointer, place, vector):
    """A vector of the channels of the place so many after `pointer`."""
    return emit.load_first(pointer, place * m.pixel + vector * LANES, min(m.pixel, LANES))


def store_place(emit, m, value, pointer, place, vector):
    """Write a vector of the channels of the place so many after `pointer`."""
    emit.store_first(value, pointer, place * m.pixel + vector * LANES, min(m.pixel, LANES))


@block(accumulators)
def add_row(emit, spec, totals, sums):
    """Add a row's sums, chain by chain, to the totals."""
    totals = list(totals)
    for chain in range(spec.chains):
        for at in range(spec.totals):
            totals[at] = emit.add(totals[at], sums[chain * spec.totals + at])
    return totals
