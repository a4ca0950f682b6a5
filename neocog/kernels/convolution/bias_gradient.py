"""The gradient of a convolution's bias.

db[k] = Σ_n Σ_h Σ_w dy[n, h, w, k]
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from neocog.kernels.codegen.block import accumulators, block, nothing
from neocog.kernels.codegen.pointers import advance, rolled, zeros
from neocog.kernels.codegen.vector_types import FLOATS, LANES, LONGS
from neocog.kernels.compiler.jit import always_inlined, inlined, kernel
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.layout import FeatureMap

__all__ = ["BiasGradient", "add_bias", "conv2d_backward_bias", "kinds"]


@dataclass(frozen=True)
class BiasGradient(Spec):
    """The sum of the pixels inside dy's border."""

    dy: FeatureMap


# Pixels that are added to separate sums, so that none waits for the one before.
_CHAINS = 4


@block(accumulators)
def add_pixels(emit, spec, sums, dy):
    """Add one vector of the next few pixels, each to its own sum."""
    return [emit.add(value, emit.load(dy, n * spec.dy.pixel)) for n, value in enumerate(sums)]


@block(accumulators)
def add_pixel(emit, spec, sums, dy):
    """Add one vector of a pixel to the first sum."""
    return [emit.add(sums[0], emit.load(dy)), *sums[1:]]


@block(nothing)
def add_total(emit, spec, sums, bias):
    """Add all sums to the bias gradient."""
    total = emit.add(emit.add(sums[0], sums[1]), emit.add(sums[2], sums[3]))
    emit.store(emit.add(emit.load(bias), total), bias)


@always_inlined
def add_vector(spec, bias, dy):
    """Add one vector of dy, summed over all pixels, to that of the bias."""
    sums = zeros(_CHAINS)
    whole = spec.dy.width // _CHAINS
    for row in range(spec.dy.height):
        at = advance(dy, row * spec.dy.row)
        for _ in range(whole):
            sums = add_pixels(spec, sums, at)
            at = advance(at, rolled(_CHAINS * spec.dy.pixel))
        for _ in range(spec.dy.width - whole * _CHAINS):
            sums = add_pixel(spec, sums, at)
            at = advance(at, rolled(spec.dy.pixel))
    add_total(spec, sums, bias)


@inlined
def add_bias(spec, bias, dy):
    """Add dy, which begins inside its border, summed over all pixels, to the bias sums."""
    for k in range(0, spec.dy.pixel, LANES):
        add_vector(spec, advance(bias, k), advance(dy, k))


@block(nothing)
def store_zero(emit, spec, to):
    """Write one vector of zeros."""
    emit.store(emit.constant(0.0), to)


@kernel(dy=FLOATS, db=FLOATS, step=LONGS)
def conv2d_backward_bias(spec, o, first, count):
    """The bias's gradient over the whole batch, for some vectors of output channels.

    `dy` is that of all images.
    """
    slopes = advance(o.dy, spec.dy.start)
    batch = o.step[1]
    for k in range(first * LANES, (first + count) * LANES, LANES):
        bias = advance(o.db, k)
        store_zero(spec, bias)
        for n in range(batch):
            add_vector(spec, bias, advance(slopes, n * spec.dy.size + k))


def kinds() -> Iterator[tuple[Any, Any]]:
    """A kernel and a small spec for each kind that there is."""
    yield conv2d_backward_bias, BiasGradient(FeatureMap(1, 1, 1))
