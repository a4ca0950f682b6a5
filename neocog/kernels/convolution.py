"""Convolution with zero padding, and all that is fused behind it.

    H, W size           C input channels        i, j row and column within the kernel
    N images            K output channels       s stride, d dilation

    y[n, h, w, k] = bias[k] + Σ_i Σ_j Σ_c  x[n, s·h + d·i, s·w + d·j, c] · weight[i, j, c, k]

where x carries its border of zeros, of which `crop` rows and columns are skipped, and c runs over
the input channels of k's group (`neocog.reference.conv2d_forward` is this in PyTorch's layout).
With stride 1 the gradient of the input is the same sum over dy with the kernel turned by 180° and C
and K exchanged, so it runs the same kernel; see `conv2d_flip_weight`.

Registers hold the sums of a few output pixels × one block of output channels. A convolution
that is followed by 2 × 2 max pooling keeps only each region's maximum, and where it stood, as the
offset in floats of x from the region's first pixel. ReLU after the maximum equals ReLU before it.
"""

from dataclasses import dataclass
from math import nan

from neocog.kernels.compiling import always_inlined, kernel
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
    rolled,
    zeros,
)

__all__ = [
    "SUMS",
    "Convolution",
    "conv2d_forward",
    "finish",
    "finish_last",
    "multiply_channels",
    "region",
    "tile",
    "weight_first",
]

#: Sums to keep in registers. Sixteen registers hold 12 sums beside 2 vectors of weights and 2 of
#: pixels; Zen 3 needs 8 sums in flight to hide the latency of an FMA.
SUMS = 12 if REGISTERS == 16 else 24

#: Taps of channels whose code stands in a row, where a kernel has no more than these.
_SMALL = 48

#: Bytes of a map that should stay in the second-level cache while weights pass by.
_CACHE = 128 * 1024


def region(x: FeatureMap, stride_h: int = 1, stride_w: int = 1) -> tuple[int, ...]:
    """Where the four pixels that are pooled together start, in floats from the first of them."""
    right, below = stride_w * x.pixel, stride_h * x.row
    return (0, right, below, below + right)


def tile(height: int, width: int, vectors: int, pixels: int = 1) -> tuple[int, int]:
    """Rows and columns of a map whose sums should be in registers together.

    Each place takes `pixels` times `vectors` sums. Either some columns of one row, or several whole
    rows, so that what is left over at the end is one kind of rest; what costs the fewest cycles of
    multiplying, loading and waiting for the sum before.
    """
    most = max(1, SUMS // (vectors * pixels))

    def cycles(places: int) -> float:
        loads = (places * pixels + vectors) / 2
        return max(4, places * pixels * vectors / 2, loads) if places else 0

    def cost(shape: tuple[int, int]) -> tuple[float, bool, int]:
        rows, columns = shape
        if rows == 1:
            taken = height * (width // columns * cycles(columns) + cycles(width % columns))
            return taken, width % columns > 0, -columns
        rest = height % rows
        return height // rows * cycles(rows * width) + cycles(rest * width), rest > 0, -rows

    in_a_row = [(1, columns) for columns in range(1, min(most, width) + 1)]
    whole_rows = [(rows, width) for rows in range(2, min(most // width, height) + 1)]
    return min(in_a_row + whole_rows, key=cost)


def weight_first(w: ConvolutionWeight, x: FeatureMap) -> bool:
    """Whether a block of weights should meet all images before the next block is read.

    For weights that the cache would not keep from one image to the next, of small maps.
    """
    return 4 * w.size > 2 * _CACHE and x.size < w.block_size


@dataclass(frozen=True)
class Convolution:
    """One convolution; `y` is the map after pooling, where `pool` is set.

    The first window begins `crop_*` rows and columns into x's border: padding above and on the left
    is x's border less these. `gate` is the map, behind a ReLU, whose zeros the result takes over
    where `gated` is set: a gradient does not pass where ReLU gave zero. With `accumulate` the
    result is added to what y holds. Neither goes with `pool`. With `parts` items are not images but
    blocks of channels of bands of one image.
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
    stride_h: int = 1
    stride_w: int = 1
    dilation_h: int = 1
    dilation_w: int = 1
    accumulate: bool = False
    parts: bool = False

    @property
    def x_start(self) -> int:
        """The first float of x that is read."""
        return self.crop_h * self.x.row + self.crop_w * self.x.pixel

    @property
    def row_step(self) -> int:
        """Floats of x from one row of y to the next."""
        return self.x.row * self.stride_h * (2 if self.pool else 1)

    @property
    def step(self) -> int:
        """Floats of x from one column of y to the next."""
        return self.x.pixel * self.stride_w * (2 if self.pool else 1)

    @property
    def tap_row(self) -> int:
        """Floats of x from one kernel row to the next."""
        return self.x.row * self.dilation_h

    @property
    def tap(self) -> int:
        """Floats of x from one tap of a kernel row to the next."""
        return self.x.pixel * self.dilation_w

    @property
    def pixels(self) -> int:
        """Sums of a block of channels that make one place of y."""
        return 4 if self.pool else 1

    @property
    def rows(self) -> int:
        """Rows of y that are computed together: one, or several whole rows."""
        return tile(self.y.height, self.y.width, self.w.vectors, self.pixels)[0]

    @property
    def columns(self) -> int:
        """Columns of y that are computed together."""
        return tile(self.y.height, self.y.width, self.w.vectors, self.pixels)[1]

    @property
    def rest_rows(self) -> int:
        """Rows of y that are left over at its end."""
        return self.y.height % self.rows

    @property
    def rest_columns(self) -> int:
        """Columns of y that are left over at the end of a row."""
        return self.y.width % self.columns

    @property
    def sums(self) -> int:
        """Vectors that hold the sums of so many rows and columns."""
        return self.rows * self.columns * self.pixels * self.w.vectors

    @property
    def rest_sums(self) -> int:
        """Vectors that hold the sums of what is left over."""
        rest = self.rest_columns or self.rest_rows * self.columns
        return max(1, rest) * self.pixels * self.w.vectors

    @property
    def unroll(self) -> int:
        """Input channels whose code stands in a row."""
        return min(self.w.group_in, 8)

    @property
    def small(self) -> bool:
        """Whether the code of every tap of every channel stands in a row."""
        return self.w.kernel_h * self.w.kernel_w * self.w.group_in <= _SMALL

    @property
    def band(self) -> int:
        """Rows of y that all blocks of channels are computed for before the next rows are read.

        What they read should stay in the second-level cache.
        """
        if 4 * self.x.size <= 2 * _CACHE:
            return self.y.height
        rows = _CACHE // (4 * self.row_step) // self.rows * self.rows
        return min(self.y.height, max(self.rows, rows))

    @property
    def bands(self) -> int:
        """How many bands a map has."""
        return -(-self.y.height // self.band)

    @property
    def weight_first(self) -> bool:
        """Whether a block of weights meets all images before the next is read."""
        return not self.parts and self.bands == 1 and weight_first(self.w, self.x)

    def x_places(self, places: int) -> list[int]:
        """Where in x the pixels of the first so many places in registers stand."""
        first = [
            n // self.columns * self.row_step + n % self.columns * self.step for n in range(places)
        ]
        inner = region(self.x, self.stride_h, self.stride_w) if self.pool else (0,)
        return [at + pixel for at in first for pixel in inner]

    def places_in(self, m: FeatureMap, places: int) -> list[int]:
        """Where in a map like y the first so many places in registers stand."""
        return [n // self.columns * m.row + n % self.columns * m.pixel for n in range(places)]


# Blocks


@block(accumulators)
def start(e, s, sums, bias):
    """The sums of a block, begun with the bias."""
    return _start(e, s, sums, bias, LANES)


@block(accumulators)
def start_last(e, s, sums, bias):
    """The sums of a group's last block, whose last vector is not whole."""
    return _start(e, s, sums, bias, s.w.lanes_left) if s.w.lanes_left else sums


def _start(e, s, sums, bias, lanes):
    if not s.bias:
        return sums
    loaded = [e.load(bias, v * LANES) for v in range(s.w.vectors - 1)]
    loaded.append(e.load_first(bias, len(loaded) * LANES, lanes))
    return loaded * (len(sums) // s.w.vectors)


def _multiply(e, s, sums, x, w, taps):
    pixels = s.x_places(len(sums) // s.w.vectors // s.pixels)
    sums = list(sums)
    for x_at, w_at in taps:
        e.fence()
        weight = [e.load(w, w_at + v * LANES) for v in range(s.w.vectors)]
        for n, place in enumerate(pixels):
            value = e.broadcast(x, x_at + place)
            for v in range(s.w.vectors):
                at = n * s.w.vectors + v
                sums[at] = e.fma(value, weight[v], sums[at])
    return sums


@block(accumulators)
def multiply_all(e, s, sums, x, w):
    """Add every tap of every channel, if they are few."""
    if not s.small:
        return sums  # compiled all the same, and thrown away: thousands of taps took seconds
    taps = [
        (
            i * s.tap_row + j * s.tap + c,
            ((i * s.w.kernel_w + j) * s.w.group_in + c) * s.w.block,
        )
        for c in range(s.w.group_in)
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
    taps = [(c, c * s.w.block) for c in range(s.w.group_in % s.unroll)]
    return _multiply(e, s, sums, x, w, taps)


@block(nothing)
def finish(e, s, sums, y, gate):
    """Write the sums to y, through ReLU or through the gate of one."""
    _finish(e, s, sums, y, gate, LANES)


@block(nothing)
def finish_last(e, s, sums, y, gate):
    """Write the sums of a group's last block, whose last vector is not whole."""
    if s.w.lanes_left:
        _finish(e, s, sums, y, gate, s.w.lanes_left)


def _finish(e, s, sums, y, gate, last_lanes):
    vectors = s.w.vectors
    places = len(sums) // vectors
    gates = s.places_in(s.gate, places) if s.gated else [0] * places
    for n, (place, gate_at) in enumerate(zip(s.places_in(s.y, places), gates, strict=True)):
        for v in range(vectors):
            value = sums[n * vectors + v]
            lanes = last_lanes if v == vectors - 1 else LANES
            at = place + v * LANES
            if s.relu:
                value = e.relu(value)
            if s.gated:
                zero = e.constant(0.0)
                passed = e.load_first(gate, gate_at + v * LANES, lanes)
                value = e.select(e.at_most(passed, zero), zero, value)
            if s.accumulate:
                value = e.add(e.load_first(y, at, lanes), value)
            e.store_first(value, y, at, lanes)


@block(nothing)
def finish_pooled(e, s, sums, y, winners):
    """Write the maximum of every region to y, and where it stood.

    The first of equals wins, and where one is NaN the maximum is, as in PyTorch.
    """
    _finish_pooled(e, s, sums, y, winners, LANES)


@block(nothing)
def finish_pooled_last(e, s, sums, y, winners):
    """The same for a group's last block, whose last vector is not whole."""
    if s.w.lanes_left:
        _finish_pooled(e, s, sums, y, winners, s.w.lanes_left)


def _finish_pooled(e, s, sums, y, winners, last_lanes):
    regions = len(sums) // s.w.vectors // 4
    right, below = (e.indices(at) for at in region(s.x, s.stride_h, s.stride_w)[1:3])
    places = zip(s.places_in(s.y, regions), s.places_in(s.y.bare, regions), strict=True)
    for n, (place, bare_place) in enumerate(places):
        for v in range(s.w.vectors):
            lanes = last_lanes if v == s.w.vectors - 1 else LANES
            a, b, c, d = (sums[(n * 4 + r) * s.w.vectors + v] for r in range(4))
            upper, lower = e.greater(b, a), e.greater(d, c)
            top, bottom = e.larger(b, a), e.larger(d, c)
            second = e.greater(bottom, top)
            best = e.larger(bottom, top)
            any_nan = e.either(e.unordered(a, b), e.unordered(c, d))
            best = e.select(any_nan, e.constant(nan), best)
            value = e.relu(best) if s.relu else best
            e.store_first(value, y, place + v * LANES, lanes)
            if s.winners:
                column = e.select(e.select(second, lower, upper), right, e.indices(0))
                row = e.select(second, below, e.indices(0))
                won = e.add_indices(row, column)
                e.store_first(won, winners, bare_place + v * LANES, lanes)


# Forward


@always_inlined
def multiply_channels(s, sums, x, w):
    """Add every channel of one tap, x and w standing at the first."""
    for some in range(rolled(s.w.group_in // s.unroll)):
        c = rolled(some) * s.unroll
        sums = multiply_some(s, sums, advance(x, c), advance(w, c * s.w.block))
    c = s.w.group_in // s.unroll * s.unroll
    return multiply_last(s, sums, advance(x, c), advance(w, c * s.w.block))


@always_inlined
def multiply(s, sums, x, w):
    """Add every tap of every channel, x and w standing at the first."""
    if s.small:
        return multiply_all(s, sums, x, w)
    for i in range(rolled(s.w.kernel_h)):
        for j in range(rolled(s.w.kernel_w)):
            tap = advance(x, i * s.tap_row + j * s.tap)
            tap_w = advance(w, (i * s.w.kernel_w + j) * s.w.tap_size)
            sums = multiply_channels(s, sums, tap, tap_w)
    return sums


@always_inlined
def compute(s, sums, last, x, w, bias, y, gate, winners):
    """Some places of y, of one block of channels; `last`: the last of its group."""
    part = s.w.lanes_left > 0 and last
    sums = start_last(s, sums, bias) if part else start(s, sums, bias)
    sums = multiply(s, sums, x, w)
    if s.pool:
        if part:
            finish_pooled_last(s, sums, y, winners)
        else:
            finish_pooled(s, sums, y, winners)
    elif part:
        finish_last(s, sums, y, gate)
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
    begin = first if s.parts else 0
    for item in range(begin, begin + (count if s.parts else count * s.bands * s.w.blocks)):
        if s.weight_first:
            n, band, k = item % count, 0, item // count
        else:
            n, band, k = (
                item // s.w.blocks // s.bands,
                item // s.w.blocks % s.bands,
                item % s.w.blocks,
            )
        until = min((band + 1) * s.band, s.y.height - s.rest_rows)
        group, place = k // s.w.group_blocks, k % s.w.group_blocks
        last = place == s.w.group_blocks - 1
        channel = group * s.w.group_out + place * s.w.block
        w = advance(weight, k * s.w.block_size)
        b = advance(bias, channel)
        x_image = advance(images, n * s.x.size + group * s.w.group_in)
        y_image = advance(results, n * s.y.size + channel)
        gate_image = advance(gates, n * s.gate.size + channel)
        won_image = advance(won, n * s.y.bare.size + channel)
        for row in range(band * s.band, until, s.rows):
            x = advance(x_image, row * s.row_step)
            y = advance(y_image, row * s.y.row)
            gate = advance(gate_image, row * s.gate.row)
            winners = advance(won_image, row * s.y.bare.row)
            for column in range(0, rolled(s.y.width - s.rest_columns), s.columns):
                x_at = advance(x, column * s.step)
                y_at = advance(y, column * s.y.pixel)
                gate_at = advance(gate, column * s.gate.pixel)
                won_at = advance(winners, column * s.y.pixel)
                compute(s, zeros(s.sums), last, x_at, w, b, y_at, gate_at, won_at)
            if s.rest_columns > 0:
                column = s.y.width - s.rest_columns
                x_at = advance(x, column * s.step)
                y_at = advance(y, column * s.y.pixel)
                gate_at = advance(gate, column * s.gate.pixel)
                won_at = advance(winners, column * s.y.pixel)
                compute(s, zeros(s.rest_sums), last, x_at, w, b, y_at, gate_at, won_at)
        if s.rest_rows > 0 and band == s.bands - 1:
            row = s.y.height - s.rest_rows
            x_at = advance(x_image, row * s.row_step)
            y_at = advance(y_image, row * s.y.row)
            gate_at = advance(gate_image, row * s.gate.row)
            won_at = advance(won_image, row * s.y.bare.row)
            compute(s, zeros(s.rest_sums), last, x_at, w, b, y_at, gate_at, won_at)
