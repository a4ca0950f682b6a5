"""Group normalization: each group of an image's channels by its own mean and variance.

    mean = Σ x / m,  var = Σ (x − mean)² / m          m numbers: C / groups · H · W
    x̂ = (x − mean) · invstd,  invstd = 1 / √(var + eps)
    y = x̂ · weight + bias

and back, with sums over the group and g = dy · weight,

    dweight = Σ dy · x̂,  dbias = Σ dy                 of a channel
    dx = invstd · (g − Σ g / m − x̂ · Σ g·x̂ / m)

Y. Wu and K. He, "Group normalization", 2018. A channel's sums are float32, a row after the other;
groups add those of their channels in float64. Mean and invstd are kept per channel.
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

__all__ = ["GroupNormalization", "group_norm_backward", "group_norm_forward", "kinds"]

# Pixels of a row that are added at a time, and the sums of two numbers of each.
_TOGETHER, _BOTH = 4, 8


@dataclass(frozen=True)
class GroupNormalization(Spec):
    """From the map x to the map y, and from dy to dx, none of them dense.

    Without `affine` there are no weight and bias; without `passes` no dx is computed.
    """

    x: FeatureMap
    y: FeatureMap
    dy: FeatureMap
    dx: FeatureMap
    groups: int
    eps: float = 1e-5
    affine: bool = True
    passes: bool = True

    @property
    def size(self) -> int:
        """Floats of one number per channel."""
        return padded(self.x.channels)

    @property
    def statistics_size(self) -> int:
        """Floats of an image's statistics: the mean of every channel, then invstd."""
        return 2 * self.size

    @property
    def each(self) -> int:
        """Channels of a group."""
        return self.x.channels // self.groups

    @property
    def numbers(self) -> int:
        """Numbers of a group."""
        return self.each * self.x.height * self.x.width


# Forward


def _add(emit, sums, x, pixel, places):
    sums = list(sums)
    for place in range(places):
        sums[place] = emit.add(sums[place], emit.load(x, place * pixel))
    return sums


@block(accumulators)
def add_pixels(emit, spec, sums, x):
    """Add a vector of each of several pixels."""
    return _add(emit, sums, x, spec.x.pixel, _TOGETHER)


@block(accumulators)
def add_pixel(emit, spec, sums, x):
    """Add a vector of a pixel."""
    return _add(emit, sums, x, spec.x.pixel, 1)


def _add_squares(emit, sums, x, pixel, mean, places):
    sums, mean = list(sums), emit.load(mean)
    for place in range(places):
        apart = emit.sub(emit.load(x, place * pixel), mean)
        sums[place] = emit.fma(apart, apart, sums[place])
    return sums


@block(accumulators)
def add_squares(emit, spec, sums, x, mean):
    """Add (x − mean)² of several pixels."""
    return _add_squares(emit, sums, x, spec.x.pixel, mean, _TOGETHER)


@block(accumulators)
def add_square(emit, spec, sums, x, mean):
    """Add (x − mean)² of a pixel."""
    return _add_squares(emit, sums, x, spec.x.pixel, mean, 1)


@block(nothing)
def add_to(emit, spec, sums, to):
    """Add a row's sums to those of the rows before."""
    left, right = emit.add(sums[0], sums[1]), emit.add(sums[2], sums[3])
    emit.store(emit.add(emit.load(to), emit.add(left, right)), to)


@block(nothing)
def store_zero(emit, spec, to):
    """A vector of zeros."""
    emit.store(emit.constant(0.0), to)


@inlined
def sum_channels(spec, x, to):
    """Σ x of each channel."""
    whole = spec.x.width // _TOGETHER * _TOGETHER
    for c in range(0, spec.size, LANES):
        store_zero(spec, advance(to, c))
        for row in range(spec.x.height):
            line = advance(x, row * spec.x.row + c)
            sums = zeros(_TOGETHER)
            for column in range(0, whole, _TOGETHER):
                sums = add_pixels(spec, sums, advance(line, column * spec.x.pixel))
            for column in range(whole, spec.x.width):
                sums = add_pixel(spec, sums, advance(line, column * spec.x.pixel))
            add_to(spec, sums, advance(to, c))


@inlined
def sum_squares(spec, x, mean, to):
    """Σ (x − mean)² of each channel."""
    whole = spec.x.width // _TOGETHER * _TOGETHER
    for c in range(0, spec.size, LANES):
        store_zero(spec, advance(to, c))
        for row in range(spec.x.height):
            line, by = advance(x, row * spec.x.row + c), advance(mean, c)
            sums = zeros(_TOGETHER)
            for column in range(0, whole, _TOGETHER):
                sums = add_squares(spec, sums, advance(line, column * spec.x.pixel), by)
            for column in range(whole, spec.x.width):
                sums = add_square(spec, sums, advance(line, column * spec.x.pixel), by)
            add_to(spec, sums, advance(to, c))


@inlined
def find_statistics(spec, x, mean, invstd, sums):
    """Every channel's mean and invstd, which are those of its group; zeros fill the last vector."""
    sum_channels(spec, x, sums)
    for group in range(spec.groups):
        begin, total = group * spec.each, 0.0
        for c in range(begin, begin + spec.each):
            total += sums[c]
        for c in range(begin, begin + spec.each):
            mean[c] = float32(total / spec.numbers)
    for c in range(spec.x.channels, spec.size):
        mean[c], invstd[c] = float32(0), float32(0)
    sum_squares(spec, x, mean, sums)
    for group in range(spec.groups):
        begin, total = group * spec.each, 0.0
        for c in range(begin, begin + spec.each):
            total += sums[c]
        factor = 1.0 / sqrt(total / spec.numbers + spec.eps)
        for c in range(begin, begin + spec.each):
            invstd[c] = float32(factor)


@block(nothing)
def normalize(emit, spec, x, mean, scale, shift, y):
    """y of a vector of a pixel."""
    apart = emit.sub(emit.load(x), emit.load(mean))
    emit.store(emit.fma(apart, emit.load(scale), emit.load(shift)), y)


@kernel(
    x=FLOATS,
    weight=maybe(FLOATS),
    bias=maybe(FLOATS),
    y=FLOATS,
    statistics=FLOATS,
    scratch=FLOATS,
)
def group_norm_forward(spec, o, first, count):
    """y, and an image's statistics. `scratch` has two floats for each channel, padded."""
    scale, shift = o.scratch, advance(o.scratch, spec.size)
    for n in range(count):
        x = advance(o.x, n * spec.x.size + spec.x.start)
        y = advance(o.y, n * spec.y.size + spec.y.start)
        mean = advance(o.statistics, n * spec.statistics_size)
        invstd = advance(mean, spec.size)
        find_statistics(spec, x, mean, invstd, scale)
        for c in range(spec.size):
            scale[c] = invstd[c] * o.weight[c] if spec.affine else invstd[c]
            shift[c] = o.bias[c] if spec.affine else float32(0)
        for row in range(spec.x.height):
            for column in range(spec.x.width):
                of = advance(x, row * spec.x.row + column * spec.x.pixel)
                to = advance(y, row * spec.y.row + column * spec.y.pixel)
                for c in range(0, spec.size, LANES):
                    by, plus = advance(scale, c), advance(shift, c)
                    normalize(spec, advance(of, c), advance(mean, c), by, plus, advance(to, c))


# Backward


def _add_gradients(emit, spec, sums, x, dy, mean, places):
    sums, mean = list(sums), emit.load(mean)
    for place in range(places):
        slope = emit.load(dy, place * spec.dy.pixel)
        apart = emit.sub(emit.load(x, place * spec.x.pixel), mean)
        sums[place] = emit.fma(slope, apart, sums[place])
        sums[_TOGETHER + place] = emit.add(sums[_TOGETHER + place], slope)
    return sums


@block(accumulators)
def add_gradients(emit, spec, sums, x, dy, mean):
    """Add dy · (x − mean) and dy of several pixels."""
    return _add_gradients(emit, spec, sums, x, dy, mean, _TOGETHER)


@block(accumulators)
def add_gradient(emit, spec, sums, x, dy, mean):
    """Add dy · (x − mean) and dy of a pixel."""
    return _add_gradients(emit, spec, sums, x, dy, mean, 1)


@block(nothing)
def add_both(emit, spec, sums, of_weight, of_bias):
    """Add a row's sums to those of the rows before."""
    for to, four in ((of_weight, sums[:_TOGETHER]), (of_bias, sums[_TOGETHER:])):
        total = emit.add(emit.add(four[0], four[1]), emit.add(four[2], four[3]))
        emit.store(emit.add(emit.load(to), total), to)


@block(nothing)
def scale_by(emit, spec, to, factor):
    """Multiply a vector."""
    emit.store(emit.mul(emit.load(to), emit.load(factor)), to)


@inlined
def parameter_gradients(spec, x, dy, mean, invstd, of_weight, of_bias):
    """Σ dy · x̂ and Σ dy of each channel of an image."""
    whole = spec.x.width // _TOGETHER * _TOGETHER
    for c in range(0, spec.size, LANES):
        to_weight, to_bias, by = advance(of_weight, c), advance(of_bias, c), advance(mean, c)
        store_zero(spec, to_weight)
        store_zero(spec, to_bias)
        for row in range(spec.x.height):
            x_row, dy_row = advance(x, row * spec.x.row + c), advance(dy, row * spec.dy.row + c)
            sums = zeros(_BOTH)
            for column in range(0, whole, _TOGETHER):
                at = advance(x_row, column * spec.x.pixel)
                sums = add_gradients(spec, sums, at, advance(dy_row, column * spec.dy.pixel), by)
            for column in range(whole, spec.x.width):
                at = advance(x_row, column * spec.x.pixel)
                sums = add_gradient(spec, sums, at, advance(dy_row, column * spec.dy.pixel), by)
            add_both(spec, sums, to_weight, to_bias)
        scale_by(spec, to_weight, advance(invstd, c))


@inlined
def weight_of(spec, weight, c):
    """A channel's weight."""
    return weight[c] if spec.affine else float32(1)


@block(nothing)
def backward(emit, spec, x, dy, mean, invstd, factors, dx):
    """dx of a vector of a pixel; `factors` are weight, Σ g / m and Σ g·x̂ / m, a vector each."""
    weight, through_mean, through_var = (emit.load(factors, n * spec.size) for n in range(3))
    factor = emit.load(invstd)
    normalized = emit.mul(emit.sub(emit.load(x), emit.load(mean)), factor)
    slope = emit.fma(weight, emit.load(dy), emit.sub(emit.constant(0.0), through_mean))
    slope = emit.sub(slope, emit.mul(normalized, through_var))
    emit.store(emit.mul(factor, slope), dx)


@kernel(
    x=FLOATS,
    dy=FLOATS,
    weight=maybe(FLOATS),
    statistics=FLOATS,
    sums=FLOATS,
    scratch=FLOATS,
    dx=maybe(FLOATS),
)
def group_norm_backward(spec, o, first, count):
    """dx, and in `sums` the gradients of weight and bias that an image gives.

    `scratch` has three floats for each channel, padded.
    """
    for n in range(count):
        x = advance(o.x, n * spec.x.size + spec.x.start)
        dy = advance(o.dy, n * spec.dy.size + spec.dy.start)
        mean = advance(o.statistics, n * spec.statistics_size)
        invstd = advance(mean, spec.size)
        of_weight = advance(o.sums, n * 2 * spec.size)
        of_bias = advance(of_weight, spec.size)
        parameter_gradients(spec, x, dy, mean, invstd, of_weight, of_bias)
        if spec.passes:
            for group in range(spec.groups):
                begin, total, product = group * spec.each, 0.0, 0.0
                for c in range(begin, begin + spec.each):
                    weight = weight_of(spec, o.weight, c)
                    total += weight * of_bias[c]
                    product += weight * of_weight[c]
                for c in range(begin, begin + spec.each):
                    o.scratch[c] = weight_of(spec, o.weight, c)
                    o.scratch[spec.size + c] = float32(total / spec.numbers)
                    o.scratch[2 * spec.size + c] = float32(product / spec.numbers)
            for c in range(spec.x.channels, spec.size):
                for part in range(3):
                    o.scratch[part * spec.size + c] = float32(0)
            dx = advance(o.dx, n * spec.dx.size + spec.dx.start)
            for row in range(spec.x.height):
                for column in range(spec.x.width):
                    of = advance(x, row * spec.x.row + column * spec.x.pixel)
                    by = advance(dy, row * spec.dy.row + column * spec.dy.pixel)
                    to = advance(dx, row * spec.dx.row + column * spec.dx.pixel)
                    for c in range(0, spec.size, LANES):
                        backward(
                            spec,
                            advance(of, c),
                            advance(by, c),
                            advance(mean, c),
                            advance(invstd, c),
                            advance(o.scratch, c),
                            advance(to, c),
                        )


def kinds() -> Iterator[tuple[Any, Any]]:
    """Each kernel with a spec of the only kind that it has."""
    one = FeatureMap(1, 1, 1)
    for kernel_ in (group_norm_forward, group_norm_backward):
        yield kernel_, GroupNormalization(one, one, one, one, 1)
