"""Tiles of sums that stay in registers while products are added to them."""

from itertools import accumulate, chain
from math import nan
from typing import ClassVar

from neocog.kernels.codegen.vector_types import LANES, REGISTERS, SUMS
from neocog.kernels.convolution.places import places_of, table
from neocog.kernels.elementwise.limits import Limited
from neocog.kernels.layout import ConvolutionWeight, FeatureMap

__all__ = ["LINE", "RegisterTile"]

# Sums that hide the latency of an FMA: fewer take as long.
_LEAST_SUMS = 8

#: Floats of a cache line.
LINE = 16


class RegisterTile(Limited):
    """What specs have in common whose results are computed in tiles of sums.

    A tile is some *places*, pixels of y, × a block of output channels. A kernel has tiles of three
    sizes. What specs name otherwise is what most of them do.
    """

    w: ConvolutionWeight
    gated: bool
    gate: FeatureMap
    accumulate: bool
    #: The function of the results, one of `LIMITS`, and whether another map is added before it.
    function: str = "identity"
    adds: bool = False
    addend: FeatureMap = FeatureMap(1, 1, 1)
    #: Whether a place is the maximum of four pixels, and whether their positions are kept.
    pool: bool = False
    winners: bool = False
    bias: bool = False
    constants: ClassVar[tuple[str, ...]] = (
        *("w.vectors", "w.block", "most", "some", "few", "has_some", "has_few"),
        *("depth", "kept_size", "pool", "unroll", "straight", "x_step"),
    )

    @property
    def result(self) -> FeatureMap:
        """The map that is written."""
        raise NotImplementedError

    @property
    def unroll(self) -> int:
        """Channels that are unrolled; see `products`."""
        return 4

    @property
    def straight(self) -> tuple[int, ...]:
        """Floats of x from the first channel of a kernel row to all, if rows are unrolled."""
        return ()

    @property
    def x_step(self) -> int:
        """Floats of x from one place to the next where they are constant; else 0.

        All tiles are within rows then.
        """
        return 0

    @property
    def lines_ahead(self) -> int:
        """Cache lines of the weights that every step of a tile prefetches."""
        return 0

    @property
    def unrolled_lines(self) -> int:
        """Cache lines of the weights of `unroll` channels."""
        return self.unroll * self.w.block // LINE

    @property
    def most(self) -> int:
        """Places of a large tile."""
        return max(1, SUMS // self._sums)

    @property
    def some(self) -> int:
        """Places of a medium tile."""
        return min(self.most, max(self._least, -(-self.most * 2 // 3)))

    @property
    def few(self) -> int:
        """Places of a small tile."""
        return min(self.most, max(self._least, -(-self.most // 3)))

    @property
    def _sums(self) -> int:
        """Sums of a place."""
        return self.w.vectors * (4 if self.pool else 1)

    @property
    def _least(self) -> int:
        """Places that take no longer than one."""
        return -(-_LEAST_SUMS // self._sums)

    @property
    def has_some(self) -> bool:
        """Whether there is a medium tile."""
        return self.few < self.some < self.most

    @property
    def has_few(self) -> bool:
        """Whether there is a small tile."""
        return self.few < self.most

    @property
    def depth(self) -> int:
        """Channels whose weights are in registers together."""
        fitting = (REGISTERS - SUMS - 2) // self.w.vectors
        return next(n for n in (4, 2, 1) if n <= max(1, fitting))

    @property
    def kept_size(self) -> int:
        """Floats of a large tile."""
        return self.most * self._sums * LANES

    # Tables of places

    @property
    def stretches(self) -> list[tuple[int, int]]:
        """Rows and columns of all stretches, as far as they differ; see `places`."""
        raise NotImplementedError

    @property
    def steps(self) -> list[tuple[int, int]]:
        """Floats from one row and column of the result to the next, in x, y and `other`."""
        raise NotImplementedError

    @property
    def tile_sizes(self) -> tuple[int, ...]:
        """Places of the tiles that there are."""
        return self.most, self.some, self.few

    @property
    def table_rows(self) -> tuple[int, ...]:
        """Rows of the stretch that each table is for."""
        return tuple(rows for rows, _ in self.stretches)

    @property
    def table_columns(self) -> tuple[int, ...]:
        """Columns of the stretch that each table is for."""
        return tuple(columns for _, columns in self.stretches)

    @property
    def table_lengths(self) -> tuple[int, ...]:
        """Places in each table, of one map."""
        return tuple(places_of(rows * columns, self.tile_sizes) for rows, columns in self.stretches)

    @property
    def table_starts(self) -> tuple[int, ...]:
        """Where each table begins in `offsets`."""
        return tuple(accumulate((0, *self.table_lengths[:-1]), lambda at, n: at + 3 * n))

    @property
    def offsets(self) -> tuple[int, ...]:
        """All tables."""
        tables = (table(*shape, self.tile_sizes, self.steps) for shape in self.stretches)
        return tuple(chain.from_iterable(tables))

    # Channels

    @property
    def length(self) -> int:
        """Channels of a tap."""
        return self.w.group_in

    @property
    def whole(self) -> int:
        """Steps of `unroll` channels in a tap."""
        return self.length // self.unroll

    @property
    def rest(self) -> int:
        """Channels left of a tap."""
        return self.length % self.unroll

    @property
    def last_lanes(self) -> int:
        """Lanes of the last vector of a group's channels."""
        return min(self.w.lanes_left or LANES, self.result.pixel)

    # What becomes of the sums

    @property
    def gate_limit(self) -> float:
        """Where the gate is at most this, the result is zero; nothing is at most NaN."""
        return 0.0 if self.gated else nan

    @property
    def added(self) -> float:
        """One if the addend is added, else zero."""
        return float(self.adds)

    @property
    def accumulated(self) -> float:
        """One if the result is added to y, else zero."""
        return float(self.accumulate)

    @property
    def other(self) -> FeatureMap:
        """The map that is read or written beside y: winners, gate, addend; y if there is none."""
        if self.pool:
            return self.result.bare
        if self.gated:
            return self.gate
        return self.addend if self.adds else self.result

    @property
    def is_passed(self) -> bool:
        """Whether the gate, the addend or y is read."""
        return self.gated or self.adds or self.accumulate
