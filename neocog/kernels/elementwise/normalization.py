"""Batch normalization: a channel's mean and variance over all images and pixels, and gradients.

    mean = Σ x / m,  var = Σ (x − mean)² / m          m = N · H · W numbers in a channel
    x̂ = (x − mean) · invstd,  invstd = 1 / √(var + eps)
    y = x̂ · weight + bias = (x − mean) · scale + bias,  scale = weight · invstd

(S. Ioffe and C. Szegedy, 2015); y, and g = ∂loss/∂(x̂ · weight + bias) with its sums, are
`pointwise`. Then

    dweight = Σ g · x̂,  dbias = Σ g,  dx = scale · (g − Σ g / m − x̂ · Σ g·x̂ / m)

An image's statistics are its mean and M2 = Σ (x − mean)², both from sums of d = x − p:

    mean = p + Σ d / n,  M2 = Σ d² − (Σ d)² / n       n = H · W

where p is the mean of the first eighth of the image's rows, so that little is read twice ("shifted
data" in T. F. Chan, G. H. Golub and R. J. LeVeque, "Algorithms for computing the sample variance",
1983). The difference loses at most three bits: those rows are part of the image, so if p is far
from the other rows' mean, M2 is at least an eighth of Σ d². The batch's statistics are merged from
the images' in float64, as in T. F. Chan et al., 1979, for parts of the same size n:

    mean = Σ mean_i / N,  Σ (x − mean)² = Σ M2_i + n · Σ (mean_i − mean)²
"""

from dataclasses import dataclass
from math import sqrt

from neocog.kernels.codegen.block import accumulators, block, nothing
from neocog.kernels.codegen.pointers import advance, pointer, zeros
from neocog.kernels.codegen.vector_types import FLOATS, LANES, LONGS, float32, vectors
from neocog.kernels.compiler.jit import inlined, kernel
from neocog.kernels.elementwise.traversal import Traversal, add_row, load_place, over, store_place
from neocog.kernels.layout import FeatureMap, padded

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

    dx may be the same buffer as g if their maps are equal. Without `affine` the weight is 1, and
    there are no gradients of weight and bias. With `fixed` statistics dx = scale · g.
    """

    x: FeatureMap
    dy: FeatureMap
    dx: FeatureMap
    eps: float = 1e-5
    momentum: float = 0.1
    affine: bool = True
    fixed: bool = False

    @property
    def statistics(self) -> Traversal:
        """The pass over x, row by row."""
        return over(self.x, join=False)

    @property
    def backward(self) -> Traversal:
        """The pass that computes dx; more vectors of four numbers each would not fit registers."""
        return over(self.x, self.dy, self.dx, blocks_of=(3, 2, 1))

    @property
    def first_rows(self) -> int:
        """The first rows, whose mean is p."""
        return -(-self.x.height // 8)

    @property
    def channels(self) -> int:
        """Floats of one number per channel."""
        return padded(self.x.channels)

    @property
    def places(self) -> int:
        """Elements of one channel in one image."""
        return self.x.height * self.x.width


# Statistics of an image


def _one_a_vector(spec, *_):
    return vectors(spec.statistics.vectors)


def _add(emit, spec, places, sums, x, pivots):
    """Add x − p, if there is p, and its square."""
    p = spec.statistics
    sums = list(sums)
    for place in range(places):
        for v in range(p.vectors):
            value = load_place(emit, spec.x, x, place, v)
            at = p.first(place, v)
            if pivots is not None:
                value = emit.sub(value, pivots[v])
                sums[at + p.vectors] = emit.fma(value, value, sums[at + p.vectors])
            sums[at] = emit.add(sums[at], value)
    return sums


@block(accumulators)
def add_places(emit, spec, sums, x):
    """Add several pixels of a row."""
    return _add(emit, spec, spec.statistics.places, sums, x, None)


@block(accumulators)
def add_place(emit, spec, sums, x):
    """Add one pixel."""
    return _add(emit, spec, 1, sums, x, None)


@block(accumulators)
def add_shifted_places(emit, spec, sums, x, pivots):
    """Add several pixels of a row, minus the first rows' mean."""
    return _add(emit, spec, spec.statistics.places, sums, x, pivots)


@block(accumulators)
def add_shifted_place(emit, spec, sums, x, pivots):
    """Add one pixel, minus the first rows' mean."""
    return _add(emit, spec, 1, sums, x, pivots)


@block(_one_a_vector)
def first_mean(emit, spec, totals):
    """The first rows' mean."""
    count = emit.constant(spec.first_rows * spec.x.width)
    return [emit.div(total, count) for total in totals[: spec.statistics.vectors]]


@block(nothing)
def write_statistics(emit, spec, totals, pivots, mean, m2):
    """Write an image's mean and M2, which is clamped to zero against rounding."""
    n = spec.statistics.vectors
    count = emit.constant(spec.places)
    for v in range(n):
        rest = emit.div(totals[v], count)
        emit.store(emit.add(pivots[v], rest), mean, v * LANES)
        square = emit.fma(emit.sub(emit.constant(0.0), totals[v]), rest, totals[n + v])
        emit.store(emit.relu(square), m2, v * LANES)


@kernel
def batch_norm_statistics(spec, operands, first, count):
    """Operands: x, statistics: for each image the channels' means, then the channels' M2."""
    p = spec.statistics
    for n in range(count):
        x = advance(pointer(operands, 0, FLOATS), n * spec.x.size + spec.x.start)
        written = advance(pointer(operands, 1, FLOATS), n * 2 * spec.channels)
        for c in range(0, spec.channels, p.block):
            totals = zeros(p.totals)
            for row in range(spec.first_rows):
                x_row = advance(x, row * spec.x.row + c)
                sums = zeros(p.sums)
                for column in range(0, p.whole, p.places):
                    sums = add_places(spec, sums, advance(x_row, column * spec.x.pixel))
                for column in range(p.whole, p.columns):
                    sums = add_place(spec, sums, advance(x_row, column * spec.x.pixel))
                totals = add_row(p, totals, sums)
            pivots = first_mean(spec, totals)
            totals = zeros(p.totals)
            for row in range(spec.x.height):
                x_row = advance(x, row * spec.x.row + c)
                sums = zeros(p.sums)
                for column in range(0, p.whole, p.places):
                    here = advance(x_row, column * spec.x.pixel)
                    sums = add_shifted_places(spec, sums, here, pivots)
                for column in range(p.whole, p.columns):
                    here = advance(x_row, column * spec.x.pixel)
                    sums = add_shifted_place(spec, sums, here, pivots)
                totals = add_row(p, totals, sums)
            at = advance(written, c)
            write_statistics(spec, totals, pivots, at, advance(at, spec.channels))


# The batch. There are few numbers per channel, so these are plain loops in float64.


@inlined
def inverse(spec, var):
    """1 / √(var + eps); 0 if both are 0, as in PyTorch: then the channel is constant, and x̂ 0."""
    if var + spec.eps == 0:
        return 0.0
    return 1.0 / sqrt(var + spec.eps)


@kernel
def batch_norm_finish(spec, operands, first, count):
    """The batch's statistics and the running ones from the images', for vectors of channels.

    Operands: statistics of all images, the step, weight, bias (not read: `pointwise` adds it),
    running_mean, running_var, mean, scale, invstd. The running variance follows the unbiased one.
    With one number per channel, with which PyTorch does not train, it follows the biased one.
    """
    stats = pointer(operands, 0, FLOATS)
    images = pointer(operands, 1, LONGS)[1]
    weight = pointer(operands, 2, FLOATS)
    running_mean, running_var = pointer(operands, 4, FLOATS), pointer(operands, 5, FLOATS)
    mean, scale = pointer(operands, 6, FLOATS), pointer(operands, 7, FLOATS)
    invstd = pointer(operands, 8, FLOATS)
    numbers = images * spec.places
    for c in range(first * LANES, (first + count) * LANES):
        if c >= spec.x.channels:
            mean[c] = float32(0)
            scale[c] = float32(0)
            invstd[c] = float32(0)
            continue
        average = 0.0
        for n in range(images):
            average += stats[n * 2 * spec.channels + c]
        average /= images
        square = 0.0
        for n in range(images):
            at = n * 2 * spec.channels + c
            apart = stats[at] - average
            square += stats[at + spec.channels] + spec.places * (apart * apart)
        var = square / numbers
        unbiased = square / max(numbers - 1, 1)
        factor = inverse(spec, var)
        mean[c] = float32(average)
        invstd[c] = float32(factor)
        scale[c] = float32(factor * weight[c]) if spec.affine else float32(factor)
        running_mean[c] = float32((1.0 - spec.momentum) * running_mean[c] + spec.momentum * average)
        running_var[c] = float32((1.0 - spec.momentum) * running_var[c] + spec.momentum * unbiased)


@kernel
def batch_norm_backward_finish(spec, operands, first, count):
    """The gradients of weight and bias, and the means for `dx`, for vectors of channels.

    Operands: sums of all images (`pointwise_backward`), the step, dweight, dbias, means: every
    channel's of g, then every channel's of g · x̂.
    """
    sums = pointer(operands, 0, FLOATS)
    images = pointer(operands, 1, LONGS)[1]
    dweight, dbias = pointer(operands, 2, FLOATS), pointer(operands, 3, FLOATS)
    means = pointer(operands, 4, FLOATS)
    numbers = images * spec.places
    for c in range(first * LANES, (first + count) * LANES):
        of_g, of_product = 0.0, 0.0
        for n in range(images):
            at = n * 2 * spec.channels + c
            of_g += sums[at]
            of_product += sums[at + spec.channels]
        if spec.affine:
            dbias[c] = float32(of_g)
            dweight[c] = float32(of_product)
        means[c] = float32(of_g / numbers)
        means[spec.channels + c] = float32(of_product / numbers)


# The gradient of x


def _constants(spec, *_):
    return vectors(4 * spec.backward.vectors)


@block(_constants)
def load_constants(emit, spec, mean, invstd, scale, means, products):
    """Of a block's channels: the mean, the scale, the mean of g, and invstd · the mean of g · x̂."""
    n = spec.backward.vectors
    loaded = [[emit.load(p, v * LANES) for v in range(n)] for p in (mean, scale, means)]
    factors = [
        emit.mul(emit.load(invstd, v * LANES), emit.load(products, v * LANES)) for v in range(n)
    ]
    return [value for part in (*loaded, factors) for value in part]


def _backward(emit, spec, places, constants, x, g, dx):
    n = spec.backward.vectors
    for place in range(places):
        for v in range(n):
            mean, scale, mean_g, factor = (constants[part * n + v] for part in range(4))
            if spec.fixed:
                slope = load_place(emit, spec.dy, g, place, v)
                store_place(emit, spec.dx, emit.mul(scale, slope), dx, place, v)
                continue
            below = emit.sub(mean, load_place(emit, spec.x, x, place, v))
            centered = emit.sub(load_place(emit, spec.dy, g, place, v), mean_g)
            value = emit.mul(scale, emit.fma(below, factor, centered))
            store_place(emit, spec.dx, value, dx, place, v)


@block(nothing)
def backward_places(emit, spec, constants, x, g, dx):
    """dx of several pixels of a row."""
    _backward(emit, spec, spec.backward.places, constants, x, g, dx)


@block(nothing)
def backward_place(emit, spec, constants, x, g, dx):
    """dx of one pixel."""
    _backward(emit, spec, 1, constants, x, g, dx)


@kernel
def batch_norm_backward(spec, operands, first, count):
    """Operands: x, g, mean, invstd, scale, means, dx."""
    p = spec.backward
    mean, invstd = pointer(operands, 2, FLOATS), pointer(operands, 3, FLOATS)
    scale, means = pointer(operands, 4, FLOATS), pointer(operands, 5, FLOATS)
    for n in range(count):
        x = advance(pointer(operands, 0, FLOATS), n * spec.x.size + spec.x.start)
        g = advance(pointer(operands, 1, FLOATS), n * spec.dy.size + spec.dy.start)
        dx = advance(pointer(operands, 6, FLOATS), n * spec.dx.size + spec.dx.start)
        for row in range(0, spec.x.height, p.step):
            for c in range(0, p.padded, p.block):
                constants = load_constants(
                    spec,
                    advance(mean, c),
                    advance(invstd, c),
                    advance(scale, c),
                    advance(means, c),
                    advance(means, p.padded + c),
                )
                x_row = advance(x, row * spec.x.row + c)
                g_row = advance(g, row * spec.dy.row + c)
                dx_row = advance(dx, row * spec.dx.row + c)
                for column in range(0, p.whole, p.places):
                    backward_places(
                        spec,
                        constants,
                        advance(x_row, column * spec.x.pixel),
                        advance(g_row, column * spec.dy.pixel),
                        advance(dx_row, column * spec.dx.pixel),
                    )
                for column in range(p.whole, p.columns):
                    backward_place(
                        spec,
                        constants,
                        advance(x_row, column * spec.x.pixel),
                        advance(g_row, column * spec.dy.pixel),
                        advance(dx_row, column * spec.dx.pixel),
                    )
