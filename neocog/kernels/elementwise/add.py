"""Adds maps, copies them, and spaces them out with zeros.

    add_maps      y ← y + x                      copy_map      y ← x
    zero_insert   y[sh · i, sw · j, c] ← x[i, j, c], and 0 everywhere else inside y

The first joins two branches of a network, and the gradients of a map with two consumers. The last
is the gradient of a stride: with dy spaced out like this, the gradients of a strided convolution
are those of one with stride 1, because pixels that the stride skips have no gradient.
"""

from dataclasses import dataclass

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.pointers import advance, pointer
from neocog.kernels.codegen.vector_types import FLOATS, LANES
from neocog.kernels.compiler.jit import inlined, kernel
from neocog.kernels.layout import FeatureMap, padded

__all__ = ["ElementwiseAdd", "ZeroInsert", "add_maps", "copy_map", "zero_insert"]


@dataclass(frozen=True)
class ElementwiseAdd:
    """From the map x to the map y of the same size; either may be dense."""

    x: FeatureMap
    y: FeatureMap

    @property
    def runs(self) -> int:
        """Runs of a row with the same layout in both maps: the whole row, or each pixel."""
        return 1 if self.x.pixel == self.y.pixel else self.x.width

    @property
    def vectors(self) -> int:
        """Whole vectors of a run; 0 for a pixel of a dense map."""
        return self.x.width * self.x.pixel // LANES if self.runs == 1 else 0

    @property
    def unroll(self) -> int:
        """Number of vectors to unroll."""
        return next(n for n in (6, 4, 5, 3, 2, 1) if self.vectors % n == 0)

    @property
    def rest_x(self) -> int:
        """Floats of x after the whole vectors of a run."""
        return self.x.width * self.x.pixel % LANES if self.runs == 1 else self.x.pixel

    @property
    def rest_y(self) -> int:
        """Floats of y after the whole vectors of a run."""
        return self.y.width * self.y.pixel % LANES if self.runs == 1 else self.y.pixel


@block(nothing)
def add_some(emit, spec, x, y):
    """Add `unroll` vectors of x to y."""
    places = [v * LANES for v in range(spec.unroll)]
    sums = [emit.add(emit.load(y, at), emit.load(x, at)) for at in places]
    for value, at in zip(sums, places, strict=True):
        emit.store(value, y, at)


@block(nothing)
def add_rest(emit, spec, x, y):
    """Add the rest of a run."""
    if spec.rest_x:
        value = emit.add(emit.load_first(y, 0, spec.rest_y), emit.load_first(x, 0, spec.rest_x))
        emit.store_first(value, y, 0, spec.rest_y)


@kernel
def add_maps(spec, operands, first, count):
    """Add x to y. Operands: x, y."""
    for n in range(count):
        x_map = advance(pointer(operands, 0, FLOATS), n * spec.x.size + spec.x.start)
        y_map = advance(pointer(operands, 1, FLOATS), n * spec.y.size + spec.y.start)
        for row in range(spec.x.height):
            for run in range(spec.runs):
                x = advance(x_map, row * spec.x.row + run * spec.x.pixel)
                y = advance(y_map, row * spec.y.row + run * spec.y.pixel)
                for at in range(0, spec.vectors * LANES, spec.unroll * LANES):
                    add_some(spec, advance(x, at), advance(y, at))
                add_rest(spec, advance(x, spec.vectors * LANES), advance(y, spec.vectors * LANES))


@block(nothing)
def copy_some(emit, spec, x, y):
    """Copy `unroll` vectors of x to y."""
    places = [v * LANES for v in range(spec.unroll)]
    values = [emit.load(x, at) for at in places]
    for value, at in zip(values, places, strict=True):
        emit.store(value, y, at)


@block(nothing)
def copy_rest(emit, spec, x, y):
    """Copy the rest of a run."""
    if spec.rest_x:
        emit.store_first(emit.load_first(x, 0, spec.rest_x), y, 0, spec.rest_y)


@kernel
def copy_map(spec, operands, first, count):
    """Copy x to y, except for y's border. Operands: x, y."""
    for n in range(count):
        x_map = advance(pointer(operands, 0, FLOATS), n * spec.x.size + spec.x.start)
        y_map = advance(pointer(operands, 1, FLOATS), n * spec.y.size + spec.y.start)
        for row in range(spec.x.height):
            for run in range(spec.runs):
                x = advance(x_map, row * spec.x.row + run * spec.x.pixel)
                y = advance(y_map, row * spec.y.row + run * spec.y.pixel)
                for at in range(0, spec.vectors * LANES, spec.unroll * LANES):
                    copy_some(spec, advance(x, at), advance(y, at))
                copy_rest(spec, advance(x, spec.vectors * LANES), advance(y, spec.vectors * LANES))


@dataclass(frozen=True)
class ZeroInsert:
    """From the map x to the map y, at least (rows − 1) · stride + 1 high, and as wide."""

    x: FeatureMap
    y: FeatureMap
    stride_h: int
    stride_w: int

    @property
    def floats(self) -> int:
        """Floats of a pixel, rounded up to whole vectors."""
        return padded(self.x.channels)

    @property
    def row(self) -> int:
        """Floats of y's rows without their border that fill vectors."""
        return self.y.width * self.y.pixel // LANES * LANES

    @property
    def row_rest(self) -> int:
        """Floats of y's rows without their border after the whole vectors."""
        return self.y.width * self.y.pixel % LANES


@block(nothing)
def clear_vector(emit, spec, y):
    """Write a vector of zeros."""
    emit.store(emit.constant(0.0), y)


@block(nothing)
def clear_rest(emit, spec, y):
    """Write zeros to the rest of a row."""
    if spec.row_rest:
        emit.store_first(emit.constant(0.0), y, 0, spec.row_rest)


@block(nothing)
def copy_pixel(emit, spec, x, y):
    """Copy one vector of a pixel, or a dense pixel."""
    emit.store_first(emit.load_first(x, 0, spec.x.pixel), y, 0, spec.y.pixel)


@inlined
def clear_row(spec, y):
    """Set one row of y to zero, except for its border."""
    for at in range(0, spec.row, LANES):
        clear_vector(spec, advance(y, at))
    clear_rest(spec, advance(y, spec.row))


@kernel
def zero_insert(spec, operands, first, count):
    """Space x out over y, except for y's border. Operands: x, y."""
    for n in range(count):
        x_map = advance(pointer(operands, 0, FLOATS), n * spec.x.size + spec.x.start)
        y_map = advance(pointer(operands, 1, FLOATS), n * spec.y.size + spec.y.start)
        for row in range(spec.y.height):
            clear_row(spec, advance(y_map, row * spec.y.row))
        for row in range(spec.x.height):
            for column in range(spec.x.width):
                x = advance(x_map, row * spec.x.row + column * spec.x.pixel)
                to = row * spec.stride_h * spec.y.row + column * spec.stride_w * spec.y.pixel
                y = advance(y_map, to)
                for c in range(0, spec.floats, LANES):
                    copy_pixel(spec, advance(x, c), advance(y, c))
