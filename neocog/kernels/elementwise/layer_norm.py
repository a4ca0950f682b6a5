"""Layer normalization of maps: each pixel's channels by their own mean and variance.

    mean = Σ x / C,  var = Σ (x − mean)² / C          over the channels of a pixel
    x̂ = (x − mean) · invstd,  invstd = 1 / √(var + eps)
    y = x̂ · weight + bias

and back, with g = dy · weight,

    dweight = Σ dy · x̂,  dbias = Σ dy                 over all pixels
    dx = invstd · (g − Σ g / C − x̂ · Σ g·x̂ / C)

J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer normalization", 2016; over the channels only, as in
ConvNeXt (Z. Liu et al., "A ConvNet for the 2020s", 2022). The gradients of weight and bias are
summed pixel by pixel in each row, and then row by row.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from typing import Any

from neocog.kernels.codegen.block import accumulators, block, nothing
from neocog.kernels.codegen.pointers import advance, zeros
from neocog.kernels.codegen.vector_types import FLOATS, LANES, float32
from neocog.kernels.compiler.jit import inlined, kernel
from neocog.kernels.compiler.operands import maybe
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.layout import FeatureMap, padded

__all__ = ["LayerNormalization", "kinds", "layer_norm_backward", "layer_norm_forward"]


@dataclass(frozen=True)
class LayerNormalization(Spec):
    """From the map x to the map y, and from dy to dx, none of them dense.

    Without `affine` there are no weight and bias; without `passes` no dx is computed.
    """

    x: FeatureMap
    y: FeatureMap
    dy: FeatureMap
    dx: FeatureMap
    eps: float = 1e-6
    affine: bool = True
    passes: bool = True

    @property
    def size(self) -> int:
        """Floats of one number per channel."""
        return padded(self.x.channels)

    @property
    def statistics_size(self) -> int:
        """Floats of an image's statistics: mean and invstd of each pixel."""
        return 2 * self.x.height * self.x.width


@block(lambda *_: float32)
def total(emit, spec, sums):
    """The sum of all lanes."""
    return emit.sum(sums[0])


@block(nothing)
def store_zero(emit, spec, to):
    """A vector of zeros."""
    emit.store(emit.constant(0.0), to)


# Forward


@block(accumulators)
def add_vector(emit, spec, sums, x):
    """Add a vector of a pixel."""
    return [emit.add(sums[0], emit.load(x))]


@block(accumulators)
def add_squares(emit, spec, sums, mean, left, x):
    """Add (x − mean)² of a vector of a pixel, of which `left` lanes are channels."""
    apart = emit.sub(emit.load(x), emit.splat(mean))
    apart = emit.select(emit.lanes_below(left), apart, emit.constant(0.0))
    return [emit.fma(apart, apart, sums[0])]


@block(nothing)
def normalize(emit, spec, mean, invstd, left, x, y):
    """y of a vector of a pixel, without weight and bias."""
    value = emit.mul(emit.sub(emit.load(x), emit.splat(mean)), emit.splat(invstd))
    emit.store(emit.select(emit.lanes_below(left), value, emit.constant(0.0)), y)


@block(nothing)
def normalize_affine(emit, spec, mean, invstd, left, x, weight, bias, y):
    """y of a vector of a pixel."""
    value = emit.mul(emit.sub(emit.load(x), emit.splat(mean)), emit.splat(invstd))
    value = emit.fma(value, emit.load(weight), emit.load(bias))
    emit.store(emit.select(emit.lanes_below(left), value, emit.constant(0.0)), y)


@inlined
def normalize_pixel(spec, x, weight, bias, y):
    """y of a pixel; returns its mean and invstd."""
    channels = spec.x.channels
    sums = zeros(1)
    for c in range(0, channels, LANES):
        sums = add_vector(spec, sums, advance(x, c))
    mean = float32(total(spec, sums) / float32(channels))
    sums = zeros(1)
    for c in range(0, channels, LANES):
        sums = add_squares(spec, sums, mean, channels - c, advance(x, c))
    var = total(spec, sums) / float32(channels)
    invstd = float32(1.0 / sqrt(var + spec.eps))
    for c in range(0, channels, LANES):
        of, to, left = advance(x, c), advance(y, c), channels - c
        if spec.affine:
            by, plus = advance(weight, c), advance(bias, c)
            normalize_affine(spec, mean, invstd, left, of, by, plus, to)
        else:
            normalize(spec, mean, invstd, left, of, to)
    return mean, invstd


@kernel(x=FLOATS, weight=maybe(FLOATS), bias=maybe(FLOATS), y=FLOATS, statistics=FLOATS)
def layer_norm_forward(spec, o, first, count):
    """y, and the statistics of each pixel."""
    for n in range(count):
        x = advance(o.x, n * spec.x.size + spec.x.start)
        y = advance(o.y, n * spec.y.size + spec.y.start)
        statistics = advance(o.statistics, n * spec.statistics_size)
        for row in range(spec.x.height):
            for column in range(spec.x.width):
                of = advance(x, row * spec.x.row + column * spec.x.pixel)
                to = advance(y, row * spec.y.row + column * spec.y.pixel)
                mean, invstd = normalize_pixel(spec, of, o.weight, o.bias, to)
                at = 2 * (row * spec.x.width + column)
                statistics[at], statistics[at + 1] = mean, invstd


# Backward


@block(accumulators)
def add_products(emit, spec, sums, mean, x, dy):
    """Add g and g · (x − mean) of a vector of a pixel; without a weight g is dy."""
    slope = emit.load(dy)
    apart = emit.sub(emit.load(x), emit.splat(mean))
    return [emit.add(sums[0], slope), emit.fma(slope, apart, sums[1])]


@block(accumulators)
def add_weighted(emit, spec, sums, mean, invstd, x, dy, weight, of_weight, of_bias):
    """The same with a weight; add dy · x̂ and dy to the gradients of weight and bias."""
    slope = emit.load(dy)
    apart = emit.sub(emit.load(x), emit.splat(mean))
    normalized = emit.mul(apart, emit.splat(invstd))
    emit.store(emit.fma(slope, normalized, emit.load(of_weight)), of_weight)
    emit.store(emit.add(emit.load(of_bias), slope), of_bias)
    slope = emit.mul(slope, emit.load(weight))
    return [emit.add(sums[0], slope), emit.fma(slope, apart, sums[1])]


@block(lambda *_: float32)
def second_total(emit, spec, sums):
    """The sum of all lanes of the second vector."""
    return emit.sum(sums[1])


def _store_gradient(emit, slope, mean, invstd, through_mean, through_var, left, x, dx):
    factor = emit.splat(invstd)
    normalized = emit.mul(emit.sub(emit.load(x), emit.splat(mean)), factor)
    slope = emit.sub(emit.sub(slope, emit.splat(through_mean)), emit.mul(normalized, through_var))
    value = emit.mul(factor, slope)
    emit.store(emit.select(emit.lanes_below(left), value, emit.constant(0.0)), dx)


@block(nothing)
def backward(emit, spec, mean, invstd, through_mean, through_var, left, x, dy, dx):
    """dx of a vector of a pixel, without weight."""
    factors = mean, invstd, through_mean, emit.splat(through_var)
    _store_gradient(emit, emit.load(dy), *factors, left, x, dx)


@block(nothing)
def backward_weighted(emit, spec, mean, invstd, through_mean, through_var, left, x, dy, weight, dx):
    """dx of a vector of a pixel."""
    factors = mean, invstd, through_mean, emit.splat(through_var)
    _store_gradient(emit, emit.mul(emit.load(dy), emit.load(weight)), *factors, left, x, dx)


@inlined
def backward_of_pixel(spec, mean, invstd, x, dy, weight, of_weight, of_bias, dx):
    """dx of a pixel; adds to the gradients of weight and bias."""
    channels = spec.x.channels
    sums = zeros(2)
    for c in range(0, channels, LANES):
        of, by = advance(x, c), advance(dy, c)
        if spec.affine:
            w, to_weight, to_bias = advance(weight, c), advance(of_weight, c), advance(of_bias, c)
            sums = add_weighted(spec, sums, mean, invstd, of, by, w, to_weight, to_bias)
        else:
            sums = add_products(spec, sums, mean, of, by)
    if spec.passes:
        through_mean = float32(total(spec, sums) / float32(channels))
        through_var = float32(second_total(spec, sums) * invstd / float32(channels))
        for c in range(0, channels, LANES):
            of, by, to, left = advance(x, c), advance(dy, c), advance(dx, c), channels - c
            if spec.affine:
                w = advance(weight, c)
                backward_weighted(
                    spec, mean, invstd, through_mean, through_var, left, of, by, w, to
                )
            else:
                backward(spec, mean, invstd, through_mean, through_var, left, of, by, to)


@block(nothing)
def take_over(emit, spec, row, image):
    """Add a vector of a row's sums to those of the rows before, and begin the next row's."""
    emit.store(emit.add(emit.load(image), emit.load(row)), image)
    emit.store(emit.constant(0.0), row)


@kernel(
    x=FLOATS,
    dy=FLOATS,
    weight=maybe(FLOATS),
    statistics=FLOATS,
    sums=maybe(FLOATS),
    scratch=maybe(FLOATS),
    dx=maybe(FLOATS),
)
def layer_norm_backward(spec, o, first, count):
    """dx, and in `sums` the gradients of weight and bias that an image gives.

    `scratch` has two floats for each channel, padded. It and `sums` are used if there is a weight.
    """
    of_row = o.scratch
    for n in range(count):
        x = advance(o.x, n * spec.x.size + spec.x.start)
        dy = advance(o.dy, n * spec.dy.size + spec.dy.start)
        dx = advance(o.dx, n * spec.dx.size + spec.dx.start)
        statistics = advance(o.statistics, n * spec.statistics_size)
        of_image = advance(o.sums, n * 2 * spec.size)
        if spec.affine:
            for c in range(0, 2 * spec.size, LANES):
                store_zero(spec, advance(of_row, c))
                store_zero(spec, advance(of_image, c))
        for row in range(spec.x.height):
            for column in range(spec.x.width):
                of = advance(x, row * spec.x.row + column * spec.x.pixel)
                by = advance(dy, row * spec.dy.row + column * spec.dy.pixel)
                to = advance(dx, row * spec.dx.row + column * spec.dx.pixel)
                at = 2 * (row * spec.x.width + column)
                mean, invstd = statistics[at], statistics[at + 1]
                of_bias = advance(of_row, spec.size)
                backward_of_pixel(spec, mean, invstd, of, by, o.weight, of_row, of_bias, to)
            if spec.affine:
                for c in range(0, 2 * spec.size, LANES):
                    take_over(spec, advance(of_row, c), advance(of_image, c))


def kinds() -> Iterator[tuple[Any, Any]]:
    """Each kernel with a spec of the only kind that it has."""
    one = FeatureMap(1, 1, 1)
    for kernel_ in (layer_norm_forward, layer_norm_backward):
        yield kernel_, LayerNormalization(one, one, one, one)
