"""The windows of pooling: their positions, and which of them contain a pixel.

The window of y[h, w] has kh × kw pixels, the taps, numbered t = i · kw + j, at

    x[sh · h − ph + i, sw · w − pw + j],    0 ≤ i < kh,  0 ≤ j < kw

of which only those inside the map count. The windows of adaptive pooling to R rows have different
sizes: that of y[h] is rows ⌊h · H / R⌋ to ⌈(h + 1) · H / R⌉ − 1, and kh is the largest of them.

Kernels read positions from tables: there is no other difference between these kinds of pooling, and
none of the divisions by the stride takes time.
"""

from bisect import bisect_right
from dataclasses import dataclass, replace
from typing import ClassVar

from neocog.kernels.codegen.vector_types import LANES
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.layout import FeatureMap, padded

__all__ = ["Side", "WindowGradient", "WindowPooling", "adaptive_side", "small_pooling"]

# Sizes of square windows whose taps are unrolled.
_UNROLLED = (2, 3)


@dataclass(frozen=True)
class Side:
    """The windows along one side of a map; none lies wholly outside of it.

    Attributes:
        size: pixels of the map.
        windows: how many there are.
        kernel: taps of a window, of an adaptive one at most.
        stride: pixels from one window to the next; 0 if they are adaptive.
        padding: how many pixels before the map the first window begins.
        begin, of: where these windows are but a part: the number of the first, and how many there
            are in all, or 0.
    """

    size: int
    windows: int
    kernel: int
    stride: int
    padding: int = 0
    begin: int = 0
    of: int = 0

    def part(self, begin: int, end: int) -> "Side":
        """Some of the windows."""
        return replace(self, windows=end - begin, begin=begin, of=self.windows)

    @property
    def _numbers(self) -> range:
        return range(self.begin, self.begin + self.windows)

    @property
    def origins(self) -> tuple[int, ...]:
        """Where each window's tap 0 is; before the map it is negative."""
        if self.stride:
            return tuple(n * self.stride - self.padding for n in self._numbers)
        return tuple(n * self.size // (self.of or self.windows) for n in self._numbers)

    @property
    def firsts(self) -> tuple[int, ...]:
        """The first pixel of each window."""
        return tuple(max(0, origin) for origin in self.origins)

    @property
    def ends(self) -> tuple[int, ...]:
        """The pixel after the last one of each window."""
        if self.stride:
            return tuple(min(self.size, origin + self.kernel) for origin in self.origins)
        return tuple(-(-(n + 1) * self.size // (self.of or self.windows)) for n in self._numbers)

    @property
    def taps(self) -> tuple[int, ...]:
        """How many taps of each window lie in the map."""
        return tuple(end - first for first, end in zip(self.firsts, self.ends, strict=True))

    @property
    def padded_taps(self) -> tuple[int, ...]:
        """How many taps of each window lie in the map or its padding."""
        if not self.stride:
            return self.taps
        end = self.size + self.padding
        return tuple(min(end, origin + self.kernel) - origin for origin in self.origins)

    @property
    def first_windows(self) -> tuple[int, ...]:
        """The first window that contains each pixel."""
        return tuple(bisect_right(self.ends, place) for place in range(self.size))

    @property
    def end_windows(self) -> tuple[int, ...]:
        """The window after the last one that contains each pixel."""
        return tuple(bisect_right(self.firsts, place) for place in range(self.size))

    @property
    def first_whole(self) -> int:
        """The first of the windows whose taps all lie in the map."""
        whole = [n for n, taps in enumerate(self.taps) if taps == self.kernel]
        return min(whole, default=0) if self.stride else 0

    @property
    def end_whole(self) -> int:
        """The window after the last one of them; adaptive ones do not count."""
        whole = [n for n, taps in enumerate(self.taps) if taps == self.kernel]
        return max(whole, default=-1) + 1 if self.stride else 0

    @property
    def end(self) -> int:
        """The pixel after the last window."""
        return self.ends[-1]

    @property
    def is_tiled(self) -> bool:
        """Whether no pixel is in two windows, and only pixels after the last are in none."""
        return self.firsts == (0, *self.ends[:-1])


def adaptive_side(size: int, windows: int) -> Side:
    """The windows that divide a side as evenly as possible, overlapping where they must."""
    if size % windows == 0:
        return Side(size, windows, size // windows, size // windows)
    return Side(size, windows, max(Side(size, windows, 0, 0).taps), 0)


@dataclass(frozen=True)
class WindowPooling(Spec):
    """From the map x to the map y, and from dy to dx. Any of them may be dense.

    Attributes:
        rows, columns: the windows.
        winners: whether winners are kept.
        count_include_pad: whether padding counts in the divisor of a mean.
        divisor: the divisor of all means; 0 if it is the number of taps.
    """

    x: FeatureMap
    y: FeatureMap
    dy: FeatureMap
    dx: FeatureMap
    rows: Side
    columns: Side
    winners: bool = True
    count_include_pad: bool = True
    divisor: int = 0

    constants: ClassVar[tuple[str, ...]] = ("unrolled", "tracked", "dense")

    @property
    def unrolled(self) -> int:
        """Rows and columns of a window whose taps are unrolled; 0 if none are."""
        size = self.rows.kernel
        return size if size == self.columns.kernel and size in _UNROLLED and not self.dense else 0

    @property
    def tracked(self) -> bool:
        """Whether unrolled taps are compared one after another, so that the winner is known."""
        return self.winners and self.unrolled > 0

    @property
    def dense(self) -> bool:
        """Whether a pixel of some map is less than a vector."""
        return any(m.pixel < LANES for m in (self.x, self.y, self.dy, self.dx))

    @property
    def won(self) -> FeatureMap:
        """The layout of the winners."""
        return self.y.bare

    @property
    def floats(self) -> int:
        """Floats of a pixel's channels in whole vectors."""
        return padded(self.x.channels)

    @property
    def is_tiled(self) -> bool:
        """Whether each pixel is in one window at most, so that no gradients are added."""
        return self.rows.is_tiled and self.columns.is_tiled

    @property
    def row_counts(self) -> tuple[int, ...]:
        """The rows of each window that count in the mean's divisor d, rows × columns."""
        return (self.divisor,) * self.rows.windows if self.divisor else self._counts(self.rows)

    @property
    def column_counts(self) -> tuple[int, ...]:
        """The columns of each window that count."""
        return (1,) * self.columns.windows if self.divisor else self._counts(self.columns)

    def _counts(self, side: Side) -> tuple[int, ...]:
        return side.padded_taps if self.count_include_pad else side.taps

    @property
    def is_uniform(self) -> bool:
        """Whether all windows have the same divisor."""
        return len(set(self.row_counts)) == len(set(self.column_counts)) == 1

    @property
    def scale(self) -> float:
        """1 / d of a window with the most taps."""
        return 1.0 / (max(self.row_counts) * max(self.column_counts))


@dataclass(frozen=True)
class WindowGradient(WindowPooling):
    """A `WindowPooling` for the gradients, whose machine code depends on less."""

    constants: ClassVar[tuple[str, ...]] = ("paired", "dense")

    @property
    def paired(self) -> bool:
        """Whether windows are of 2 × 2 and tile the map: then their taps are unrolled."""
        taps = {*self.rows.taps, *self.columns.taps}
        return self.is_tiled and taps == {2} and not self.dense


def small_pooling(
    of: type[WindowPooling], kernel: int, *, winners: bool = False, dense: bool = False
) -> WindowPooling:
    """A spec of a map with one row of windows, for listing kinds."""
    m = FeatureMap(2 * kernel, 2 * kernel, 1, dense=dense)
    pooled = FeatureMap(2, 2, 1, dense=dense)
    side = Side(2 * kernel, 2, kernel, kernel)
    return of(m, pooled, pooled, m, side, side, winners)
