"""Convolution with zero padding, and all that is fused behind it.

    H, W size           C input channels        i, j row and column within the kernel
    N images            K output channels

    y[n, h, w, k] = bias[k] + Σ_i Σ_j Σ_c  x[n, h + i, w + j, c] · weight[i, j, c, k]

where x carries its border of zeros (`neocog.reference.conv2d_forward` is this in PyTorch's
layout). The gradient of the input is the same sum over dy with the kernel turned by 180° and C and
K exchanged, so it runs the same kernel.

Registers hold the sums of `spots` output pixels × one block of output channels. A convolution
that is followed by 2 × 2 max pooling keeps only each region's maximum, and where it stood, as the
offset in floats of x from the region's first pixel. ReLU after the maximum equals ReLU before it.
"""

from dataclasses import dataclass
from math import nan

from neocog.kernels.compiling import inlined, kernel
from neocog.kernels.layout import ConvolutionWeight, FeatureMap
from neocog.kernels.simd import (
    FLOATS,
    INTS,
    LANES,
    REGISTERS,
    accumulators,
    advance,
    block,
    nothing,
    pointer,
    vectors,
)

__all__ = ["SUMS", "Convolution", "conv2d_forward", "region"]

#: Sums to keep in registers. Sixteen registers hold 12 sums beside 2 vectors of weights and 2 of
#: pixels; Zen 3 needs 8 sums in flight to hide the latency of an FMA.
SUMS = 12 if REGISTERS == 16 else 24


def region(x: FeatureMap) -> tuple[int, ...]:
    """Where the four pixels that are pooled together start, in floats from the first of them."""
    return (0, x.pixel, x.row, x.row + x.pixel)


@dataclass(frozen=True)
class Convolution:
    """One convolution; `y` is the map after pooling, where `pool` is set.

    `crop_*` skips rows and columns of x: the gradient of a convolution whose padding is wider than
    its kernel reaches needs it. `gate` is the map, behind a ReLU, whose zeros the result takes
    over where `gated` is set: a gradient does not pass where ReLU gave zero.
    """

    x: FeatureMap
    y: FeatureMap
    w: ConvolutionWeight
    bias: bool = True
    relu: bool = False
    pool: bool = False
    winners: bool = False
    crop_h: int = 0
    crop_w: int = 0
    gated: bool = False
    gate: FeatureMap = FeatureMap(1, 1, 1)

    @property
    def x_start(self) -> int:
        """The first float of x that is read."""
        return self.crop_h * self.x.row + self.crop_w * self.x.pixel

    @property
    def row_step(self) -> int:
        """Floats of x from one row of y to the next."""
        return self.x.row * (2 if self.pool else 1)

    @property
    def step(self) -> int:
        """Floats of x from one column of y to the next."""
        return self.x.pixel * (2 if self.pool else 1)

    @property
    def spots(self) -> int:
        """Columns of y that are computed together; one is four pixels when pooling."""
        most = max(1, SUMS // self.w.vectors // (4 if self.pool else 1))
        even = (n for n in range(most, most // 2, -1) if self.y.width % n == 0)
        return next(even, min(most, self.y.width))

    @property
    def rest(self) -> int:
        """Columns of y that are left over at the end of a row."""
        return self.y.width % self.spots

    def sums(self, spots: int) -> int:
        """Vectors that hold the sums of so many columns."""
        return max(1, spots) * (4 if self.pool else 1) * self.w.vectors

    @property
    def unroll(self) -> int:
        """Input channels whose code stands in a row."""
        return min(self.w.in_channels, 4)

    @property
    def channels_unrolled(self) -> int:
        """Input channels but for a last few that do not fill an unrolled row."""
        return self.w.in_channels - self.w.in_channels % self.unroll

    @property
    def small(self) -> bool:
        """Whether the code of every tap of every channel stands in a row."""
        return self.w.kernel_h * self.w.kernel_w * self.w.in_channels <= 48


# Forward


def _full(s, *_):
    return vectors(s.sums(s.spots))


def _rest(s, *_):
    return vectors(s.sums(s.rest))


def _start(e, s, bias, sums):
    if not s.bias:
        return [e.constant(0.0)] * sums
    loaded = [e.load(bias, v * LANES) for v in range(s.w.vectors)]
    return loaded * (sums // s.w.vectors)


@block(_full)
def start_full(e, s, bias):
    """The sums of a full block, begun with the bias."""
    return _start(e, s, bias, s.sums(s.spots))


@block(_rest)
def start_rest(e, s, bias):
    """The sums of the block at the end of a row."""
    return _start(e, s, bias, s.sums(s.rest))


def _multiply(e, s, sums, x, w, taps):
    spots = len(sums) // s.w.vectors
    if s.pool:
        places = [n * s.step + at for n in range(spots // 4) for at in region(s.x)]
    else:
        places = [n * s.step for n in range(spots)]
    sums = list(sums)
    for x_at, w_at in taps:
        weight = [e.load(w, w_at + v * LANES) for v in range(s.w.vectors)]
        for n, place in enumerate(places):
            value = e.broadcast(x, x_at + place)
            for v in range(s.w.vectors):
                at = n * s.w.vectors + v
                sums[at] = e.fma(value, weight[v], sums[at])
    return sums


@block(accumulators)
def multiply_all(e, s, sums, x, w):
    """Add every tap of every channel."""
    taps = [
        (
            i * s.x.row + j * s.x.pixel + c,
            ((i * s.w.kernel_w + j) * s.w.in_channels + c) * s.w.block,
        )
        for c in range(s.w.in_channels)
        for i in range(s.w.kernel_h)
        for j in range(s.w.kernel_w)
    ]
    return _multiply(e, s, sums, x, w, taps)


@block(accumulators)
def multiply_some(e, s, sums, x, w):
    """Add one tap of `unroll` channels."""
    return _multiply(e, s, sums, x, w, [(c, c * s.w.block) for c in range(s.unroll)])


@block(accumulators)
def multiply_last(e, s, sums, x, w):
    """Add one tap of the channels that are left over."""
    taps = [(c, c * s.w.block) for c in range(s.w.in_channels % s.unroll)]
    return _multiply(e, s, sums, x, w, taps)


@block(nothing)
def finish(e, s, sums, y, gate):
    """Write the sums to y, through ReLU or through the gate of one."""
    for n, value in enumerate(sums):
        at = n // s.w.vectors * s.y.pixel + n % s.w.vectors * LANES
        if s.relu:
            value = e.relu(value)
        if s.gated:
            zero = e.constant(0.0)
            value = e.select(e.at_most(e.load(gate, at), zero), zero, value)
        e.store(value, y, at)


@block(nothing)
def finish_pooled(e, s, sums, y, winners):
    """Write the maximum of every region to y, and where it stood.

    The first of equals wins, and where one is NaN the maximum is, as in PyTorch.
    """
    regions = len(sums) // s.w.vectors // 4
    right, below = (e.indices(at) for at in region(s.x)[1:3])
    for n in range(regions):
        for v in range(s.w.vectors):
            a, b, c, d = (sums[(n * 4 + r) * s.w.vectors + v] for r in range(4))
            upper, lower = e.greater(b, a), e.greater(d, c)
            top, bottom = e.larger(b, a), e.larger(d, c)
            second = e.greater(bottom, top)
            best = e.larger(bottom, top)
            any_nan = e.either(e.unordered(a, b), e.unordered(c, d))
            best = e.select(any_nan, e.constant(nan), best)
            at = n * s.y.pixel + v * LANES
            e.store(e.relu(best) if s.relu else best, y, at)
            if s.winners:
                column = e.select(e.select(second, lower, upper), right, e.indices(0))
                row = e.select(second, below, e.indices(0))
                e.store(e.add_indices(row, column), winners, at)


@inlined
def multiply(s, sums, x, w):
    """Add every tap of every channel, x and w standing at the first."""
    if s.small:
        return multiply_all(s, sums, x, w)
    for i in range(s.w.kernel_h):
        for j in range(s.w.kernel_w):
            tap = advance(x, i * s.x.row + j * s.x.pixel)
            tap_w = advance(w, (i * s.w.kernel_w + j) * s.w.in_channels * s.w.block)
            for c in range(0, s.channels_unrolled, s.unroll):
                sums = multiply_some(s, sums, advance(tap, c), advance(tap_w, c * s.w.block))
            c = s.channels_unrolled
            sums = multiply_last(s, sums, advance(tap, c), advance(tap_w, c * s.w.block))
    return sums


@inlined
def finish_either(s, sums, y, gate, winners):
    """Write the sums of a block."""
    if s.pool:
        finish_pooled(s, sums, y, winners)
    else:
        finish(s, sums, y, gate)


@kernel
def conv2d_forward(s, operands, first, count):
    """y from x, weight and bias; with pooling, also the winners.

    Operands: x, weight, bias, y, winners (pooling in training), gate.
    """
    images = advance(pointer(operands, 0, FLOATS), s.x_start)
    weight = pointer(operands, 1, FLOATS)
    bias = pointer(operands, 2, FLOATS)
    results = advance(pointer(operands, 3, FLOATS), s.y.start)
    won = pointer(operands, 4, INTS)
    gates = advance(pointer(operands, 5, FLOATS), s.gate.start)
    for n in range(count):
        for k in range(s.w.blocks):
            w = advance(weight, k * s.w.block_size)
            b = advance(bias, k * s.w.block)
            for row in range(s.y.height):
                x = advance(images, n * s.x.size + row * s.row_step)
                y = advance(results, n * s.y.size + row * s.y.row + k * s.w.block)
                gate = advance(gates, n * s.gate.size + row * s.gate.row + k * s.w.block)
                at = n * s.y.bare.size + row * s.y.bare.row + k * s.w.block
                winners = advance(won, at)
                for column in range(0, s.y.width - s.rest, s.spots):
                    sums = multiply(s, start_full(s, b), advance(x, column * s.step), w)
                    to = column * s.y.pixel
                    finish_either(s, sums, advance(y, to), advance(gate, to), advance(winners, to))
                if s.rest > 0:
                    column = s.y.width - s.rest
                    sums = multiply(s, start_rest(s, b), advance(x, column * s.step), w)
                    to = column * s.y.pixel
                    finish_either(s, sums, advance(y, to), advance(gate, to), advance(winners, to))
