"""Max pooling of 2 × 2 regions where no convolution takes it in, and its way back.

    y[h, w, c] = max of x[2h, 2w, c], x[2h, 2w + 1, c], x[2h + 1, 2w, c], x[2h + 1, 2w + 1, c]

The first of equals wins, and a NaN stays one. A winner is the offset in floats of x from its
region's first pixel. An odd last row or column of x is in no region.
"""

from dataclasses import dataclass

from neocog.kernels.compiling import kernel
from neocog.kernels.convolution import region
from neocog.kernels.layout import FeatureMap
from neocog.kernels.simd import FLOATS, INTS, LANES, advance, block, float32, nothing, pointer

__all__ = ["Pooling", "copy_rows", "max_pool2d_backward", "max_pool2d_forward"]


@dataclass(frozen=True)
class Pooling:
    """From the map x to the pooled map y.

    Winners are offsets within `x`; the gradient dx goes to a map of its own border.
    """

    x: FeatureMap
    y: FeatureMap
    dx: FeatureMap
    winners: bool = True


@kernel
def max_pool2d_forward(s, operands, first, count):
    """Operands: x, y, winners."""
    for n in range(count):
        x = advance(pointer(operands, 0, FLOATS), n * s.x.size + s.x.start)
        y = advance(pointer(operands, 1, FLOATS), n * s.y.size + s.y.start)
        winners = advance(pointer(operands, 2, INTS), n * s.y.bare.size)
        for row in range(s.y.height):
            for column in range(s.y.width):
                corner = 2 * (row * s.x.row + column * s.x.pixel)
                for c in range(s.y.pixel):
                    best = x[corner + c]
                    winner = 0
                    for r in range(1, 4):
                        at = r // 2 * s.x.row + r % 2 * s.x.pixel
                        value = x[corner + at + c]
                        if value > best or value != value:
                            best = value
                            winner = at
                    y[row * s.y.row + column * s.y.pixel + c] = best
                    if s.winners:
                        winners[row * s.y.bare.row + column * s.y.pixel + c] = winner


@block(nothing)
def spread(e, s, dy, winners, dx):
    """Pass one vector of dy to the winners, and zero to the other three pixels."""
    slope, winner = e.load(dy), e.load_indices(winners)
    for at, to in zip(region(s.x), region(s.dx), strict=True):
        mine = e.equal_indices(winner, e.indices(at))
        e.store(e.select(mine, slope, e.constant(0.0)), dx, to)


@kernel
def max_pool2d_backward(s, operands, first, count):
    """Operands: dy (no border), winners, dx, whose last odd row and column stay zero."""
    for n in range(count):
        dy = advance(pointer(operands, 0, FLOATS), n * s.y.bare.size)
        winners = advance(pointer(operands, 1, INTS), n * s.y.bare.size)
        dx = advance(pointer(operands, 2, FLOATS), n * s.dx.size + s.dx.start)
        for row in range(s.y.height):
            for column in range(s.y.width):
                for c in range(0, s.y.pixel, LANES):
                    at = row * s.y.bare.row + column * s.y.pixel + c
                    to = 2 * (row * s.dx.row + column * s.dx.pixel) + c
                    spread(s, advance(dy, at), advance(winners, at), advance(dx, to))


@kernel
def copy_rows(s, operands, first, count):
    """Put a map without a border into one. Operands: dy (no border), dx, both of the size of x."""
    for n in range(count):
        dy = advance(pointer(operands, 0, FLOATS), n * s.x.bare.size)
        dx = advance(pointer(operands, 1, FLOATS), n * s.dx.size + s.dx.start)
        for row in range(s.x.height):
            for at in range(s.x.bare.row):
                dx[row * s.dx.row + at] = dy[row * s.x.bare.row + at] + float32(0)
