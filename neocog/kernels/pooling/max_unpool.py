"""Max unpooling: the gradient of a convolution's fused 2 × 2 max pooling.

    dx = dy at each region's winner, 0 at its other three pixels

A winner is an offset in floats of the convolution's input x from its region's first pixel, as
`convolution.forward` writes it. An odd last row or column is in no region and stays zero.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.pointers import advance
from neocog.kernels.codegen.vector_types import FLOATS, INTS, LANES
from neocog.kernels.compiler.jit import kernel
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.convolution.tiling import region
from neocog.kernels.layout import FeatureMap

__all__ = ["MaxUnpool", "kinds", "max_unpool"]


@dataclass(frozen=True)
class MaxUnpool(Spec):
    """From the pooled map's gradient dy to dx; winners are offsets within `x`.

    The stride is that of the convolution: how far apart in x the pixels of a region lie.
    """

    x: FeatureMap
    dy: FeatureMap
    dx: FeatureMap
    stride_h: int = 1
    stride_w: int = 1


@block(nothing)
def spread(emit, spec, dy, winners, dx):
    """Write one vector of dy to the winners, and zero to the other three pixels."""
    slope, winner = emit.load(dy), emit.load_indices(winners)
    of_x = region(spec.x, spec.stride_h, spec.stride_w)
    for at, to in zip(of_x, region(spec.dx), strict=True):
        mine = emit.equal_indices(winner, emit.indices(at))
        emit.store(emit.select(mine, slope, emit.constant(0.0)), dx, to)


@kernel(dy=FLOATS, winners=INTS, dx=FLOATS)
def max_unpool(spec, o, first, count):
    """`dy` has no border; an odd last row and column of `dx` stay zero."""
    for n in range(count):
        dy = advance(o.dy, n * spec.dy.bare.size)
        winners = advance(o.winners, n * spec.dy.bare.size)
        dx = advance(o.dx, n * spec.dx.size + spec.dx.start)
        for row in range(spec.dy.height):
            for column in range(spec.dy.width):
                for c in range(0, spec.dy.pixel, LANES):
                    at = row * spec.dy.bare.row + column * spec.dy.pixel + c
                    to = 2 * (row * spec.dx.row + column * spec.dx.pixel) + c
                    spread(spec, advance(dy, at), advance(winners, at), advance(dx, to))


def kinds() -> Iterator[tuple[Any, Any]]:
    """A kernel and a small spec for each kind that there is."""
    one, two = FeatureMap(1, 1, 1), FeatureMap(2, 2, 1)
    yield max_unpool, MaxUnpool(two, one, two)
