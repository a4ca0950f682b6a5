"""Batch normalization: a channel's mean and variance over all images and pixels, and gradients.

    mean = Σ x / m,  var = Σ (x − mean)² / m          m = N · H · W numbers in a channel
    x̂ = (x − mean) · invstd,  invstd = 1 / √(var + eps)
    y = x̂ · weight + bias = (x − mean) · scale + bias,  scale = weight · invstd

(S. Ioffe and C. Szegedy, 2015); y, and g = ∂loss/∂(x̂ · weight + bias) with its sums, are
`pointwise`. Then

    dweight = Σ g · x̂,  dbias = Σ g,  dx = scale · (g − Σ g / m − x̂ · Σ g·x̂ / m)

where dx is computed from g, or from dy and the function that came after, g = dy · f′(y).

An image's statistics are its mean and M2 = Σ (x − mean)², both from sums of d = x − p:

    mean = p + Σ d / n,  M2 = Σ d² − (Σ d)² / n       n = H · W

where p is the mean of the first eighth of the image's rows, so that little is read twice ("shifted
data" in T. F. Chan, G. H. Golub and R. J. LeVeque, "Algorithms for computing the sample variance",
1983). The difference loses at most three bits: those rows are part of the image, so if p is far
from the other rows' mean, M2 is at least an eighth of Σ d². The batch's statistics are merged from
the images' in float64, as in T. F. Chan et al., 1979, for parts of the same size n:

    mean = Σ mean_i / N,  Σ (x − mean)² = Σ M2_i + n · Σ (mean_i − mean)²
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import sqrt

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.vector_types import FLOATS, LANES, LONGS, float32
from neocog.kernels.compiler.jit import Kernel, inlined, kernel
from neocog.kernels.compiler.operands import maybe
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.elementwise.functions import FUNCTIONS
from neocog.kernels.elementwise.limits import LIMITS
from neocog.kernels.elementwise.traversal import Pass, Traversal, first_pixels, over, traverse
from neocog.kernels.layout import FeatureMap, padded

__all__ = [
    "Normalization",
    "batch_norm_backward",
    "batch_norm_backward_finish",
    "batch_norm_finish",
    "batch_norm_statistics",
    "kinds",
]


@dataclass(frozen=True)
class Normalization(Spec):
    """Of the map x; back from dy to dx.

    dx may be the same buffer as dy if their maps are equal. Without `affine` the weight is 1, and
    there are no gradients of weight and bias. With `fixed` statistics dx = scale · g. `function` is
    f, one of `FUNCTIONS` without numbers, or the identity: then dy is g. What is merged has parts
    for each of an image's `strips`, all equally high.
    """

    x: FeatureMap
    dy: FeatureMap
    dx: FeatureMap
    eps: float = 1e-5
    momentum: float = 0.1
    affine: bool = True
    fixed: bool = False
    function: str = "identity"
    strips: int = 1

    constants = ("function",)

    @property
    def statistics(self) -> Traversal:
        """The pass over x, row by row."""
        return over(self.x)

    @property
    def first(self) -> Traversal:
        """The pass over the first rows of x."""
        p = self.statistics
        return replace(p, height=self.first_rows, step=min(p.step, self.first_rows))

    @property
    def centered(self) -> int:
        """Lanes of g from which means are subtracted."""
        return 0 if self.fixed else LANES

    @property
    def backward(self) -> Traversal:
        """The pass that computes dx."""
        return over(self.x, self.dy, self.dx)

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
        """Elements of one channel in one image or strip, n."""
        return self.x.height // self.strips * self.x.width

    @property
    def n(self) -> float:
        """`places`, for vectors."""
        return float(self.places)

    @property
    def first_n(self) -> float:
        """The elements of one channel in the first rows."""
        return float(self.first_rows * self.x.width)


# Statistics of an image


@block(nothing)
def measure(emit, spec, count, images, statistics):
    """The statistics of so many images."""
    zero = emit.constant(0.0)

    def add_up(p, x, pivots, to):
        """Write Σ (x − p) and Σ (x − p)² to two of the `to`; p is 0 where there are no pivots."""

        def begin(c, vectors):
            return [
                zero if pivots is None else emit.load(pivots, c + v * LANES) for v in range(vectors)
            ]

        def visit(pivot, place):
            value = emit.sub(place.load(0), pivot[place.number])
            return (value,), (value, value)

        def end(row, c, sums):
            for at, total in zip(to, sums, strict=True):
                before = emit.select(row < 1, zero, emit.load(at, c))
                emit.store(emit.add(before, total), at, c)

        traverse(emit, p, [x], Pass(visit, begin, end, sums=2, chained=4))

    with emit.loop(0, count) as n:
        (x,) = first_pixels(emit, n, (images, spec.x))
        mean, m2, pivots = (
            emit.advance(statistics, (3 * n + part) * spec.channels) for part in range(3)
        )
        add_up(spec.first, x, None, (pivots, m2))
        with emit.loop(0, spec.channels, LANES) as c:
            emit.store(emit.div(emit.load(pivots, c), emit.constant(spec.first_n)), pivots, c)
        add_up(spec.statistics, x, pivots, (mean, m2))
        with emit.loop(0, spec.channels, LANES) as c:
            total, square = emit.load(mean, c), emit.load(m2, c)
            rest = emit.div(total, emit.constant(spec.n))
            emit.store(emit.add(emit.load(pivots, c), rest), mean, c)
            square = emit.fma(emit.sub(zero, total), rest, square)
            emit.store(emit.relu(square), m2, c)  # not below zero by rounding


@kernel(x=FLOATS, statistics=FLOATS)
def batch_norm_statistics(spec, o, first, count):
    """`statistics`: for each image the channels' means, then their M2, then p."""
    measure(spec, count, o.x, o.statistics)


# The batch. There are few numbers per channel, so these are plain loops in float64.


@inlined
def inverse(spec, var):
    """1 / √(var + eps); 0 if both are 0, as in PyTorch: then the channel is constant, and x̂ 0."""
    if var + spec.eps == 0:
        return 0.0
    return 1.0 / sqrt(var + spec.eps)


@kernel(
    statistics=FLOATS,
    step=LONGS,
    weight=maybe(FLOATS),
    running_mean=FLOATS,
    running_var=FLOATS,
    mean=FLOATS,
    scale=FLOATS,
    invstd=FLOATS,
)
def batch_norm_finish(spec, o, first, count):
    """The batch's statistics and the running ones from all images', for vectors of channels.

    The running variance follows the unbiased one. With one number per channel, with which PyTorch
    does not train, it follows the biased one.
    """
    stats, parts = o.statistics, o.step[1] * spec.strips
    numbers = parts * spec.places
    for c in range(first * LANES, (first + count) * LANES):
        if c >= spec.x.channels:
            o.mean[c] = float32(0)
            o.scale[c] = float32(0)
            o.invstd[c] = float32(0)
            continue
        average = 0.0
        for n in range(parts):
            average += stats[n * 3 * spec.channels + c]
        average /= parts
        square = 0.0
        for n in range(parts):
            at = n * 3 * spec.channels + c
            apart = stats[at] - average
            square += stats[at + spec.channels] + spec.places * (apart * apart)
        var = square / numbers
        unbiased = square / max(numbers - 1, 1)
        factor = inverse(spec, var)
        o.mean[c] = float32(average)
        o.invstd[c] = float32(factor)
        o.scale[c] = float32(factor * o.weight[c]) if spec.affine else float32(factor)
        keep, move = 1.0 - spec.momentum, spec.momentum
        o.running_mean[c] = float32(keep * o.running_mean[c] + move * average)
        o.running_var[c] = float32(keep * o.running_var[c] + move * unbiased)


@kernel(sums=FLOATS, step=LONGS, dweight=maybe(FLOATS), dbias=maybe(FLOATS), means=FLOATS)
def batch_norm_backward_finish(spec, o, first, count):
    """The gradients of weight and bias, and the means for `dx`, for vectors of channels.

    `sums` are those of all images (`pointwise_backward`), `means` every channel's of g, then every
    channel's of g · x̂.
    """
    sums, parts = o.sums, o.step[1] * spec.strips
    numbers = parts * spec.places
    for c in range(first * LANES, (first + count) * LANES):
        of_g, of_product = 0.0, 0.0
        for n in range(parts):
            at = n * 2 * spec.channels + c
            of_g += sums[at]
            of_product += sums[at + spec.channels]
        if spec.affine:
            o.dbias[c] = float32(of_g)
            o.dweight[c] = float32(of_product)
        o.means[c] = float32(of_g / numbers)
        o.means[spec.channels + c] = float32(of_product / numbers)


# The gradient of x


@block(nothing)
def backward(emit, spec, count, x, dy, mean, invstd, scale, bias, means, dx):
    """dx of so many images."""
    recomputes, function = spec.function != "identity", FUNCTIONS[spec.function]
    pointers = (mean, scale, means, bias) if recomputes else (mean, scale, means)

    def begin(c, vectors):
        numbers = []
        for at in (c + v * LANES for v in range(vectors)):
            factor = emit.mul(emit.load(invstd, at), emit.load(means, at + spec.channels))
            numbers.append([factor, *(emit.load(pointer, at) for pointer in pointers)])
        return numbers

    def visit(numbers, place):
        factor, mean, scale, mean_g, *bias = numbers[place.number]
        below, slope = emit.sub(mean, place.load(0)), place.load(1)
        if recomputes:
            u = emit.fma(emit.sub(emit.constant(0.0), below), scale, *bias)
            slope = function.gradient(emit, (), u, slope)
        centered = emit.fma(below, factor, emit.sub(slope, mean_g))
        slope = emit.select(emit.lanes_below(spec.centered), centered, slope)
        place.store(2, emit.mul(scale, slope))
        return ()

    with emit.loop(0, count) as n:
        maps = first_pixels(emit, n, (x, spec.x), (dy, spec.dy), (dx, spec.dx))
        traverse(emit, spec.backward, maps, Pass(visit, begin))


@kernel(
    x=FLOATS,
    dy=FLOATS,
    mean=FLOATS,
    invstd=FLOATS,
    scale=FLOATS,
    bias=maybe(FLOATS),
    means=FLOATS,
    dx=FLOATS,
)
def batch_norm_backward(spec, o, first, count):
    """dx from x, dy, the batch's statistics and `means` of `batch_norm_backward_finish`.

    The bias is needed where there is a function.
    """
    backward(spec, count, o.x, o.dy, o.mean, o.invstd, o.scale, o.bias, o.means, o.dx)


def kinds() -> Iterator[tuple[Kernel, Normalization]]:
    """A spec of every kind, with its kernel."""
    spec = Normalization(*(FeatureMap(1, 1, 1),) * 3)
    yield batch_norm_statistics, spec
    yield batch_norm_finish, spec
    yield batch_norm_backward_finish, spec
    for function in LIMITS:
        yield batch_norm_backward, replace(spec, function=function)
