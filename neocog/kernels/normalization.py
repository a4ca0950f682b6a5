"""Batch normalisation: a channel's mean and variance over all images and places, and the way back.

    mean = Σ x / m,  var = Σ (x − mean)² / m          m = N · H · W numbers in a channel
    x̂ = (x − mean) · invstd,  invstd = 1 / √(var + eps)
    y = x̂ · weight + bias = (x − mean) · scale + bias,  scale = weight · invstd

(S. Ioffe and C. Szegedy, 2015); y, and g = ∂loss/∂(x̂ · weight + bias) with its sums, are
`pointwise`. Then

    dweight = Σ g · x̂,  dbias = Σ g,  dx = scale · (g − Σ g / m − x̂ · Σ g·x̂ / m)

An image's statistics are its mean and M2 = Σ (x − mean)², both from sums of d = x − p:

    mean = p + Σ d / n,  M2 = Σ d² − (Σ d)² / n       n = H · W

where p is the mean of the image's first rows, an eighth of them, so that little is read twice (in
T. F. Chan, G. H. Golub and R. J. LeVeque, "Algorithms for computing the sample variance", 1983,
shifted data). The difference loses no more than three bits: those rows are part of the image, so
if p is far from the others' mean, M2 is at least an eighth of Σ d². A batch's statistics are the
images', merged in float64 as T. F. Chan et al., 1979, have it for parts of one size n:

    mean = Σ mean_i / N,  Σ (x − mean)² = Σ M2_i + n · Σ (mean_i − mean)²
"""

from dataclasses import dataclass
from math import sqrt

from neocog.kernels.compiling import inlined, kernel
from neocog.kernels.layout import FeatureMap, padded
from neocog.kernels.simd import (
    FLOATS,
    LANES,
    LONGS,
    accumulators,
    advance,
    block,
    float32,
    nothing,
    pointer,
    vectors,
    zeros,
)
from neocog.kernels.sweep import Sweep, add_row, load_place, over, store_place

__all__ = [
    "Normalization",
    "batch_norm_backward",
    "batch_norm_backward_finish",
    "batch_norm_finish",
    "batch_norm_statistics",
]


@dataclass(frozen=True)
class Normalization:
    """Of the map x; back from dy, which is g, to dx.

    dx may be the very buffer g if their maps are equal. Without `affine` weight is 1, and there
    are no gradients of weight and bias. Where the statistics are `fixed`, dx = scale · g.
    """

    x: FeatureMap
    dy: FeatureMap
    dx: FeatureMap
    eps: float = 1e-5
    momentum: float = 0.1
    affine: bool = True
    fixed: bool = False

    @property
    def statistics(self) -> Sweep:
        """The pass over x, row by row."""
        return over(self.x, join=False)

    @property
    def backward(self) -> Sweep:
        """The pass that gives dx. Four numbers a channel: more vectors would not fit registers."""
        return over(self.x, self.dy, self.dx, blocks_of=(3, 2, 1))

    @property
    def first_rows(self) -> int:
        """Rows whose mean the others are taken relative to."""
        return -(-self.x.height // 8)

    @property
    def channels(self) -> int:
        """Floats that hold a number a channel."""
        return padded(self.x.channels)

    @property
    def places(self) -> int:
        """Numbers of one channel in one image."""
        return self.x.height * self.x.width


# Statistics of an image


def _one_a_vector(s, *_):
    return vectors(s.statistics.vectors)


def _add(e, s, places, sums, x, pivots):
    """Add x − p, if there is p, and its square."""
    p = s.statistics
    sums = list(sums)
    for place in range(places):
        for v in range(p.vectors):
            value = load_place(e, s.x, x, place, v)
            at = p.first(place, v)
            if pivots is not None:
                value = e.sub(value, pivots[v])
                sums[at + p.vectors] = e.fma(value, value, sums[at + p.vectors])
            sums[at] = e.add(sums[at], value)
    return sums


@block(accumulators)
def add_places(e, s, sums, x):
    """Several places of a row, as they are."""
    return _add(e, s, s.statistics.places, sums, x, None)


@block(accumulators)
def add_place(e, s, sums, x):
    """One place, as it is."""
    return _add(e, s, 1, sums, x, None)


@block(accumulators)
def add_shifted_places(e, s, sums, x, pivots):
    """Several places of a row, relative to the first rows' mean."""
    return _add(e, s, s.statistics.places, sums, x, pivots)


@block(accumulators)
def add_shifted_place(e, s, sums, x, pivots):
    """One place, relative to the first rows' mean."""
    return _add(e, s, 1, sums, x, pivots)


@block(_one_a_vector)
def first_mean(e, s, totals):
    """The first rows' mean."""
    count = e.constant(s.first_rows * s.x.width)
    return [e.div(total, count) for total in totals[: s.statistics.vectors]]


@block(nothing)
def write_statistics(e, s, totals, pivots, mean, m2):
    """Write an image's mean and M2, which rounding must not leave below zero."""
    n = s.statistics.vectors
    count = e.constant(s.places)
    for v in range(n):
        rest = e.div(totals[v], count)
        e.store(e.add(pivots[v], rest), mean, v * LANES)
        square = e.fma(e.sub(e.constant(0.0), totals[v]), rest, totals[n + v])
        e.store(e.relu(square), m2, v * LANES)


@kernel
def batch_norm_statistics(s, operands, first, count):
    """Operands: x, statistics: of each image every channel's mean, then every channel's M2."""
    p = s.statistics
    for n in range(count):
        x = advance(pointer(operands, 0, FLOATS), n * s.x.size + s.x.start)
        written = advance(pointer(operands, 1, FLOATS), n * 2 * s.channels)
        for c in range(0, s.channels, p.block):
            totals = zeros(p.totals)
            for row in range(s.first_rows):
                x_row = advance(x, row * s.x.row + c)
                sums = zeros(p.sums)
                for column in range(0, p.whole, p.places):
                    sums = add_places(s, sums, advance(x_row, column * s.x.pixel))
                for column in range(p.whole, p.columns):
                    sums = add_place(s, sums, advance(x_row, column * s.x.pixel))
                totals = add_row(p, totals, sums)
            pivots = first_mean(s, totals)
            totals = zeros(p.totals)
            for row in range(s.x.height):
                x_row = advance(x, row * s.x.row + c)
                sums = zeros(p.sums)
                for column in range(0, p.whole, p.places):
                    here = advance(x_row, column * s.x.pixel)
                    sums = add_shifted_places(s, sums, here, pivots)
                for column in range(p.whole, p.columns):
                    here = advance(x_row, column * s.x.pixel)
                    sums = add_shifted_place(s, sums, here, pivots)
                totals = add_row(p, totals, sums)
            at = advance(written, c)
            write_statistics(s, totals, pivots, at, advance(at, s.channels))


# The batch. A few numbers a channel: plain loops, in float64.


@inlined
def inverse(s, var):
    """1 / √(var + eps); 0 if both are 0, as in PyTorch: the channel is constant, and x̂ is 0."""
    if var + s.eps == 0:
        return 0.0
    return 1.0 / sqrt(var + s.eps)


@kernel
def batch_norm_finish(s, operands, first, count):
    """Vectors of channels: the batch's statistics from the images', and the running ones.

    Operands: statistics of all images, the step, weight, bias (not read: `pointwise` adds it),
    running_mean, running_var, mean, scale, invstd. The running variance follows the unbiased one;
    one number a channel, with which PyTorch does not train, has only the biased one.
    """
    stats = pointer(operands, 0, FLOATS)
    images = pointer(operands, 1, LONGS)[1]
    weight = pointer(operands, 2, FLOATS)
    running_mean, running_var = pointer(operands, 4, FLOATS), pointer(operands, 5, FLOATS)
    mean, scale = pointer(operands, 6, FLOATS), pointer(operands, 7, FLOATS)
    invstd = pointer(operands, 8, FLOATS)
    numbers = images * s.places
    for c in range(first * LANES, (first + count) * LANES):
        if c >= s.x.channels:
            mean[c] = float32(0)
            scale[c] = float32(0)
            invstd[c] = float32(0)
            continue
        average = 0.0
        for n in range(images):
            average += stats[n * 2 * s.channels + c]
        average /= images
        square = 0.0
        for n in range(images):
            at = n * 2 * s.channels + c
            apart = stats[at] - average
            square += stats[at + s.channels] + s.places * (apart * apart)
        var = square / numbers
        unbiased = square / max(numbers - 1, 1)
        factor = inverse(s, var)
        mean[c] = float32(average)
        invstd[c] = float32(factor)
        scale[c] = float32(factor * weight[c]) if s.affine else float32(factor)
        running_mean[c] = float32((1.0 - s.momentum) * running_mean[c] + s.momentum * average)
        running_var[c] = float32((1.0 - s.momentum) * running_var[c] + s.momentum * unbiased)


@kernel
def batch_norm_backward_finish(s, operands, first, count):
    """Vectors of channels: the gradients of weight and bias, and the means for `dx`.

    Operands: sums of all images (`pointwise_backward`), the step, dweight, dbias, means: every
    channel's of g, then every channel's of g · x̂.
    """
    sums = pointer(operands, 0, FLOATS)
    images = pointer(operands, 1, LONGS)[1]
    dweight, dbias = pointer(operands, 2, FLOATS), pointer(operands, 3, FLOATS)
    means = pointer(operands, 4, FLOATS)
    numbers = images * s.places
    for c in range(first * LANES, (first + count) * LANES):
        of_g, of_product = 0.0, 0.0
        for n in range(images):
            at = n * 2 * s.channels + c
            of_g += sums[at]
            of_product += sums[at + s.channels]
        if s.affine:
            dbias[c] = float32(of_g)
            dweight[c] = float32(of_product)
        means[c] = float32(of_g / numbers)
        means[s.channels + c] = float32(of_product / numbers)


# The gradient of x


def _constants(s, *_):
    return vectors(4 * s.backward.vectors)


@block(_constants)
def load_constants(e, s, mean, invstd, scale, means, products):
    """Of a block's channels: the mean, the scale, the mean of g, and invstd · the mean of g · x̂."""
    n = s.backward.vectors
    loaded = [[e.load(p, v * LANES) for v in range(n)] for p in (mean, scale, means)]
    factors = [e.mul(e.load(invstd, v * LANES), e.load(products, v * LANES)) for v in range(n)]
    return [value for part in (*loaded, factors) for value in part]


def _backward(e, s, places, constants, x, g, dx):
    n = s.backward.vectors
    for place in range(places):
        for v in range(n):
            mean, scale, mean_g, factor = (constants[part * n + v] for part in range(4))
            if s.fixed:
                slope = load_place(e, s.dy, g, place, v)
                store_place(e, s.dx, e.mul(scale, slope), dx, place, v)
                continue
            below = e.sub(mean, load_place(e, s.x, x, place, v))
            centred = e.sub(load_place(e, s.dy, g, place, v), mean_g)
            value = e.mul(scale, e.fma(below, factor, centred))
            store_place(e, s.dx, value, dx, place, v)


@block(nothing)
def backward_places(e, s, constants, x, g, dx):
    """Several places of a row."""
    _backward(e, s, s.backward.places, constants, x, g, dx)


@block(nothing)
def backward_place(e, s, constants, x, g, dx):
    """One place."""
    _backward(e, s, 1, constants, x, g, dx)


@kernel
def batch_norm_backward(s, operands, first, count):
    """Operands: x, g, mean, invstd, scale, means, dx."""
    p = s.backward
    mean, invstd = pointer(operands, 2, FLOATS), pointer(operands, 3, FLOATS)
    scale, means = pointer(operands, 4, FLOATS), pointer(operands, 5, FLOATS)
    for n in range(count):
        x = advance(pointer(operands, 0, FLOATS), n * s.x.size + s.x.start)
        g = advance(pointer(operands, 1, FLOATS), n * s.dy.size + s.dy.start)
        dx = advance(pointer(operands, 6, FLOATS), n * s.dx.size + s.dx.start)
        for row in range(0, s.x.height, p.step):
            for c in range(0, p.padded, p.block):
                constants = load_constants(
                    s,
                    advance(mean, c),
                    advance(invstd, c),
                    advance(scale, c),
                    advance(means, c),
                    advance(means, p.padded + c),
                )
                x_row = advance(x, row * s.x.row + c)
                g_row = advance(g, row * s.dy.row + c)
                dx_row = advance(dx, row * s.dx.row + c)
                for column in range(0, p.whole, p.places):
                    backward_places(
                        s,
                        constants,
                        advance(x_row, column * s.x.pixel),
                        advance(g_row, column * s.dy.pixel),
                        advance(dx_row, column * s.dx.pixel),
                    )
                for column in range(p.whole, p.columns):
                    backward_place(
                        s,
                        constants,
                        advance(x_row, column * s.x.pixel),
                        advance(g_row, column * s.dy.pixel),
                        advance(dx_row, column * s.dx.pixel),
                    )
