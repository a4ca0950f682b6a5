"""The gradient of a convolution's bias.

db[k] = Σ_n Σ_h Σ_w dy[n, h, w, k]
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.loops import repeat
from neocog.kernels.codegen.pointers import advance
from neocog.kernels.codegen.vector_types import FLOATS, LANES, LONGS
from neocog.kernels.compiler.jit import kernel
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.layout import FeatureMap

__all__ = ["BiasGradient", "add_bias", "clear", "conv2d_backward_bias", "kinds", "sum_of_pixels"]


@dataclass(frozen=True)
class BiasGradient(Spec):
    """The sum of the pixels inside dy's border."""

    dy: FeatureMap


# Pixels that are added to separate sums, so that none waits for the one before.
_CHAINS = 4


def sum_of_pixels(emit, spec, dy):
    """For blocks: one vector of dy, which begins inside its border, summed over all pixels."""
    pixel = spec.dy.pixel
    whole = spec.dy.width // _CHAINS

    def row(h, sums):
        def some(_, values):
            at, *sums = values
            sums = [emit.add(value, emit.load(at, n * pixel)) for n, value in enumerate(sums)]
            return [emit.opaque(emit.advance(at, _CHAINS * pixel)), *sums]

        def one(_, values):
            at, first, *others = values
            first = emit.add(first, emit.load(at))
            return [emit.opaque(emit.advance(at, pixel)), first, *others]

        values = repeat(emit, whole, [emit.advance(dy, h * spec.dy.row), *sums], some)
        return repeat(emit, spec.dy.width - whole * _CHAINS, values, one)[1:]

    begin = [emit.constant(0.0)] * _CHAINS
    first, second, third, fourth = repeat(emit, spec.dy.height, begin, row, at_least_once=True)
    return emit.add(emit.add(first, second), emit.add(third, fourth))


@block(nothing)
def add_vector(emit, spec, bias, dy):
    """Add one vector of dy, which begins inside its border, summed over all pixels."""
    emit.store(emit.add(emit.load(bias), sum_of_pixels(emit, spec, dy)), bias)


@block(nothing)
def add_bias(emit, spec, bias, dy):
    """Add dy, which begins inside its border, summed over all pixels, to the bias sums."""

    def vector(n, _):
        to, of = emit.advance(bias, n * LANES), emit.advance(dy, n * LANES)
        emit.store(emit.add(emit.load(to), sum_of_pixels(emit, spec, of)), to)
        return []

    repeat(emit, spec.dy.pixel // LANES, [], vector, at_least_once=True)


@block(nothing)
def clear(emit, spec, to, floats):
    """Set some whole vectors to zero."""

    def vector(n, _):
        emit.store(emit.constant(0.0), to, n * LANES)
        return []

    repeat(emit, floats // LANES, [], vector)


@kernel(dy=FLOATS, db=FLOATS, step=LONGS)
def conv2d_backward_bias(spec, o, first, count):
    """The bias's gradient over the whole batch, for some vectors of output channels.

    `dy` is that of all images.
    """
    slopes = advance(o.dy, spec.dy.start)
    batch = o.step[1]
    for k in range(first * LANES, (first + count) * LANES, LANES):
        bias = advance(o.db, k)
        clear(spec, bias, LANES)
        for n in range(batch):
            add_vector(spec, bias, advance(slopes, n * spec.dy.size + k))


def kinds() -> Iterator[tuple[Any, Any]]:
    """A kernel and a small spec for each kind that there is."""
    yield conv2d_backward_bias, BiasGradient(FeatureMap(1, 1, 1))
