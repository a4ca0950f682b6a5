"""The gradient behind a convolution's own 2 × 2 max pooling, spread out to what stood before it.

    dx = dy at each region's winner, 0 at its other three pixels

A winner is the offset in floats of the convolution's input x from its region's first pixel, as
`convolution` leaves it. An odd last row or column is in no region; it stays zero.
"""

from dataclasses import dataclass

from neocog.kernels.compiling import kernel
from neocog.kernels.convolution_tiling import region
from neocog.kernels.layout import FeatureMap
from neocog.kernels.simd import FLOATS, INTS, LANES, advance, block, nothing, pointer

__all__ = ["Spreading", "spread_winners"]


@dataclass(frozen=True)
class Spreading:
    """From the pooled map's gradient dy to dx; winners are offsets within `x`."""

    x: FeatureMap
    dy: FeatureMap
    dx: FeatureMap


@block(nothing)
def spread(e, s, dy, winners, dx):
    """Pass one vector of dy to the winners, and zero to the other three pixels."""
    slope, winner = e.load(dy), e.load_indices(winners)
    for at, to in zip(region(s.x), region(s.dx), strict=True):
        mine = e.equal_indices(winner, e.indices(at))
        e.store(e.select(mine, slope, e.constant(0.0)), dx, to)


@kernel
def spread_winners(s, operands, first, count):
    """Operands: dy (no border), winners, dx, whose last odd row and column stay zero."""
    for n in range(count):
        dy = advance(pointer(operands, 0, FLOATS), n * s.dy.bare.size)
        winners = advance(pointer(operands, 1, INTS), n * s.dy.bare.size)
        dx = advance(pointer(operands, 2, FLOATS), n * s.dx.size + s.dx.start)
        for row in range(s.dy.height):
            for column in range(s.dy.width):
                for c in range(0, s.dy.pixel, LANES):
                    at = row * s.dy.bare.row + column * s.dy.pixel + c
                    to = 2 * (row * s.dx.row + column * s.dx.pixel) + c
                    spread(s, advance(dy, at), advance(winners, at), advance(dx, to))
