"""Maps added, copied, and spread out with zeros between.

    add_maps      y ← y + x                      copy_map      y ← x
    zero_insert   y[sh · i, sw · j, c] ← x[i, j, c], and 0 everywhere else inside y

The first is what happens where two lanes of a network meet, and to gradients where one map has two
readers. The last is the way back through a stride: with dy spread out like this, the gradient of a
convolution with stride is that of one without, since places that were left out have none.
"""

from dataclasses import dataclass

from neocog.kernels.compiling import inlined, kernel
from neocog.kernels.layout import FeatureMap, padded
from neocog.kernels.simd import FLOATS, LANES, advance, block, nothing, pointer

__all__ = ["Adding", "ZeroInsert", "add_maps", "copy_map", "zero_insert"]


@dataclass(frozen=True)
class Adding:
    """From the map x to the map y of the same size; either may be dense."""

    x: FeatureMap
    y: FeatureMap

    @property
    def runs(self) -> int:
        """Stretches of a row that lie alike in both: one, or a pixel each."""
        return 1 if self.x.pixel == self.y.pixel else self.x.width

    @property
    def vectors(self) -> int:
        """Whole vectors of a stretch; the pixel of a dense map is none."""
        return self.x.width * self.x.pixel // LANES if self.runs == 1 else 0

    @property
    def unroll(self) -> int:
        """Vectors whose code stands in a row."""
        return next(n for n in (6, 4, 5, 3, 2, 1) if self.vectors % n == 0)

    @property
    def rest_x(self) -> int:
        """Floats of x behind the whole vectors of a stretch."""
        return self.x.width * self.x.pixel % LANES if self.runs == 1 else self.x.pixel

    @property
    def rest_y(self) -> int:
        """Floats of y behind the whole vectors of a stretch."""
        return self.y.width * self.y.pixel % LANES if self.runs == 1 else self.y.pixel


@block(nothing)
def add_some(e, s, x, y):
    """Add `unroll` vectors of x to y."""
    places = [v * LANES for v in range(s.unroll)]
    sums = [e.add(e.load(y, at), e.load(x, at)) for at in places]
    for value, at in zip(sums, places, strict=True):
        e.store(value, y, at)


@block(nothing)
def add_rest(e, s, x, y):
    """Add what is left of a stretch."""
    if s.rest_x:
        value = e.add(e.load_first(y, 0, s.rest_y), e.load_first(x, 0, s.rest_x))
        e.store_first(value, y, 0, s.rest_y)


@kernel
def add_maps(s, operands, first, count):
    """Add x to y. Operands: x, y."""
    for n in range(count):
        x_map = advance(pointer(operands, 0, FLOATS), n * s.x.size + s.x.start)
        y_map = advance(pointer(operands, 1, FLOATS), n * s.y.size + s.y.start)
        for row in range(s.x.height):
            for run in range(s.runs):
                x = advance(x_map, row * s.x.row + run * s.x.pixel)
                y = advance(y_map, row * s.y.row + run * s.y.pixel)
                for at in range(0, s.vectors * LANES, s.unroll * LANES):
                    add_some(s, advance(x, at), advance(y, at))
                add_rest(s, advance(x, s.vectors * LANES), advance(y, s.vectors * LANES))


@block(nothing)
def copy_some(e, s, x, y):
    """Copy `unroll` vectors of x to y."""
    places = [v * LANES for v in range(s.unroll)]
    values = [e.load(x, at) for at in places]
    for value, at in zip(values, places, strict=True):
        e.store(value, y, at)


@block(nothing)
def copy_rest(e, s, x, y):
    """Copy what is left of a stretch."""
    if s.rest_x:
        e.store_first(e.load_first(x, 0, s.rest_x), y, 0, s.rest_y)


@kernel
def copy_map(s, operands, first, count):
    """Copy x to y, whose border stays. Operands: x, y."""
    for n in range(count):
        x_map = advance(pointer(operands, 0, FLOATS), n * s.x.size + s.x.start)
        y_map = advance(pointer(operands, 1, FLOATS), n * s.y.size + s.y.start)
        for row in range(s.x.height):
            for run in range(s.runs):
                x = advance(x_map, row * s.x.row + run * s.x.pixel)
                y = advance(y_map, row * s.y.row + run * s.y.pixel)
                for at in range(0, s.vectors * LANES, s.unroll * LANES):
                    copy_some(s, advance(x, at), advance(y, at))
                copy_rest(s, advance(x, s.vectors * LANES), advance(y, s.vectors * LANES))


@dataclass(frozen=True)
class ZeroInsert:
    """From the map x to the map y, at least (rows − 1) · stride + 1 high, and as wide."""

    x: FeatureMap
    y: FeatureMap
    stride_h: int
    stride_w: int

    @property
    def floats(self) -> int:
        """Floats of a pixel, in whole vectors; a dense pixel is part of one."""
        return padded(self.x.channels)

    @property
    def row(self) -> int:
        """Floats of y's rows without their border that fill vectors."""
        return self.y.width * self.y.pixel // LANES * LANES

    @property
    def row_rest(self) -> int:
        """Floats of y's rows without their border that are left over."""
        return self.y.width * self.y.pixel % LANES


@block(nothing)
def clear_vector(e, s, y):
    """Write a vector of zeros."""
    e.store(e.constant(0.0), y)


@block(nothing)
def clear_rest(e, s, y):
    """Write zeros to the rest of a row."""
    if s.row_rest:
        e.store_first(e.constant(0.0), y, 0, s.row_rest)


@block(nothing)
def copy_pixel(e, s, x, y):
    """Copy one vector of a pixel, or a dense pixel."""
    e.store_first(e.load_first(x, 0, s.x.pixel), y, 0, s.y.pixel)


@inlined
def clear_row(s, y):
    """Set one row of y to zero, but for its border."""
    for at in range(0, s.row, LANES):
        clear_vector(s, advance(y, at))
    clear_rest(s, advance(y, s.row))


@kernel
def zero_insert(s, operands, first, count):
    """Spread x over y, whose border stays. Operands: x, y."""
    for n in range(count):
        x_map = advance(pointer(operands, 0, FLOATS), n * s.x.size + s.x.start)
        y_map = advance(pointer(operands, 1, FLOATS), n * s.y.size + s.y.start)
        for row in range(s.y.height):
            clear_row(s, advance(y_map, row * s.y.row))
        for row in range(s.x.height):
            for column in range(s.x.width):
                x = advance(x_map, row * s.x.row + column * s.x.pixel)
                to = row * s.stride_h * s.y.row + column * s.stride_w * s.y.pixel
                y = advance(y_map, to)
                for c in range(0, s.floats, LANES):
                    copy_pixel(s, advance(x, c), advance(y, c))
