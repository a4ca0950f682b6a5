"""How a kernel passes over the places and channels of maps that are equal but for their borders.

Channels in blocks of a few vectors, so that what belongs to a channel stays in registers; a block's
rows; in a row several places at once, and those that are left over one by one. A pixel of a dense
map is part of a vector: what is read behind it is zero, and nothing is written there.
"""

from dataclasses import dataclass

from neocog.kernels.layout import FeatureMap, padded
from neocog.kernels.simd import LANES, accumulators, block

__all__ = ["WIDE", "Sweep", "add_row", "load_place", "over", "store_place"]

#: How many vectors of channels may form a block: the first that divides them evenly.
WIDE = (4, 3, 5, 2, 7, 1)


@dataclass(frozen=True)
class Sweep:
    """A pass over maps; `joined` where rows lie one behind another in all of them.

    `blocks_of` are the numbers of vectors that may form a block, the best first; `unrolled` is how
    many vectors' code may stand in a row.
    """

    height: int
    width: int
    channels: int
    joined: bool = False
    blocks_of: tuple[int, ...] = WIDE
    unrolled: int = 8

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
    def blocks(self) -> int:
        """How many blocks there are."""
        return padded(self.channels) // self.block

    @property
    def rows(self) -> int:
        """Rows, of which one may be all that the map holds."""
        return 1 if self.joined else self.height

    @property
    def columns(self) -> int:
        """Places of a row."""
        return self.width * self.height if self.joined else self.width

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
        return min(self.places, max(1, 4 // self.vectors))

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


def over(
    *maps: FeatureMap, blocks_of: tuple[int, ...] = WIDE, unrolled: int = 8, join: bool = True
) -> Sweep:
    """The pass over these maps, its rows joined where no map has a border beside them."""
    m = maps[0]
    joined = join and all(other.border_w == 0 for other in maps)
    return Sweep(m.height, m.width, m.channels, joined, blocks_of, unrolled)


def load_place(e, m, pointer, place, vector):
    """A vector of the channels of the place so many after `pointer`."""
    return e.load_first(pointer, place * m.pixel + vector * LANES, min(m.pixel, LANES))


def store_place(e, m, value, pointer, place, vector):
    """Write a vector of the channels of the place so many after `pointer`."""
    e.store_first(value, pointer, place * m.pixel + vector * LANES, min(m.pixel, LANES))


@block(accumulators)
def add_row(e, s, totals, sums):
    """Add a row's sums, chain by chain, to the totals."""
    totals = list(totals)
    for chain in range(s.chains):
        for at in range(s.totals):
            totals[at] = e.add(totals[at], sums[chain * s.totals + at])
    return totals
