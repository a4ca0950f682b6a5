"""Depthwise convolution, one kernel per channel, and the gradient of its input.

    y[h, w, c]  = bias[c] + Σ_i Σ_j  x[sh·h + dh·i − top, sw·w + dw·j − left, c] · weight[i, j, c]
    dx[p, q, c] = Σ dy[h, w, c] · weight[i, j, c]
                  over p = sh·h + dh·i − top,  q = sw·w + dw·j − left

(`neocog.reference.conv2d_forward` and `conv2d_backward_input` with as many groups as channels; F.
Chollet, "Xception", 2017.) The weight's layout is [i][j][c], channels in whole vectors.

Every element of x is multiplied by only a few weights, so speed depends on the number of loads.
Registers hold the sums of `spots` columns of one vector of channels, and the weights of a kernel
row; a pixel of x that several columns need is loaded once. The same holds for the gradient of x:
stride and dilation decide which taps reach a column, and these are the same in every block, because
blocks start at multiples of the stride. Near the ends of a row, unless dy's border covers them,
pixels are summed one by one.
"""

from dataclasses import dataclass

from neocog.kernels.codegen.block import accumulators, block, nothing
from neocog.kernels.codegen.pointers import advance, pointer, rolled, zeros
from neocog.kernels.codegen.vector_types import FLOATS, LANES, REGISTERS, vectors
from neocog.kernels.compiler.jit import inlined, kernel
from neocog.kernels.layout import FeatureMap, padded

__all__ = [
    "Depthwise",
    "depthwise_backward_input",
    "depthwise_forward",
    "pairs_of_columns",
]

# Columns with sums in registers: enough to hide the latency of an FMA. Weights of a wide kernel
# that do not fit into registers are memory operands instead, at no cost.
_SPOTS = 8
# The most multiplications to unroll.
_STRAIGHT = 120
# Sums of taps in registers, besides the dy of a run of columns and one pixel.
_TAPS = REGISTERS - 6
# Bytes that every vector of channels reads again; they should stay in the first-level cache.
_BAND_BYTES = 24 * 1024


@dataclass(frozen=True)
class Depthwise:
    """One depthwise convolution; any of its maps may be dense.

    x has `top` rows and `left` columns of zeros before it, and its border covers all that the taps
    reach. dy may have any border: the wider, the faster. `shard` is the images of a shard.
    """

    x: FeatureMap
    y: FeatureMap
    dy: FeatureMap
    dx: FeatureMap
    kernel_h: int
    kernel_w: int
    stride_h: int = 1
    stride_w: int = 1
    dilation_h: int = 1
    dilation_w: int = 1
    top: int = 0
    left: int = 0
    bias: bool = True
    relu: bool = False
    shard: int = 1

    @property
    def floats(self) -> int:
        """Floats of a pixel's channels in whole vectors; also of a tap's weights and the bias."""
        return padded(self.x.channels)

    @property
    def taps(self) -> int:
        """Taps of the kernel."""
        return self.kernel_h * self.kernel_w

    @property
    def size(self) -> int:
        """Floats of the weight."""
        return self.taps * self.floats

    @property
    def corner(self) -> int:
        """Floats of x from its first pixel back to the first tap of y's first pixel."""
        return self.top * self.x.row + self.left * self.x.pixel

    # Forward

    @property
    def spots(self) -> int:
        """Columns of y that are computed together."""
        even = (n for n in range(_SPOTS, _SPOTS // 2 - 1, -1) if self.y.width % n == 0)
        return next(even, min(_SPOTS, self.y.width))

    @property
    def straight(self) -> bool:
        """Whether all taps of a block are unrolled."""
        return self.taps * self.spots <= _STRAIGHT

    @property
    def rest(self) -> int:
        """Columns of y left at the end of a row after whole blocks."""
        return self.y.width % self.spots

    # Gradient of x

    @property
    def inner(self) -> int:
        """The first column of dx, a multiple of the stride, with all taps within dy's border."""
        reach = self.dilation_w * (self.kernel_w - 1) - self.left
        least = max(0, reach - self.dy.border_w * self.stride_w)
        return min(-(-least // self.stride_w) * self.stride_w, self.dx.width)

    @property
    def inner_width(self) -> int:
        """The number of columns from `inner` on whose taps all lie within dy's border."""
        end = self.stride_w * (self.dy.width + self.dy.border_w) - self.left
        return max(0, min(end, self.dx.width) - self.inner)

    @property
    def dx_spots(self) -> int:
        """Columns of dx that are computed together, a multiple of the stride."""
        most = max(1, min(_SPOTS, self.inner_width) // self.stride_w)
        choices = [n * self.stride_w for n in range(most, most // 2, -1)]
        return min(choices, key=lambda n: self.inner_width % n)

    @property
    def inner_end(self) -> int:
        """The column of dx after the last whole block."""
        return self.inner + self.inner_width // self.dx_spots * self.dx_spots

    @property
    def together(self) -> int:
        """Vectors of channels of one column of dx that are computed together."""
        return next(n for n in (4, 3, 2, 1) if self.floats // LANES % n == 0)

    # Gradient of the weight

    @property
    def band(self) -> int:
        """Rows of dy that are processed at a time."""
        row = 4 * (self.stride_h * self.x.row + self.dy.row)
        return max(1, min(self.dy.height, _BAND_BYTES // row))

    @property
    def rows(self) -> int:
        """Kernel rows whose sums are in registers at a time."""
        return max(1, min(self.kernel_h, _TAPS // self.kernel_w))

    @property
    def rows_rest(self) -> int:
        """Kernel rows that remain."""
        return self.kernel_h % self.rows

    @property
    def run(self) -> int:
        """Columns of dy that are processed together."""
        return min(4, self.dy.width)


def pairs_of_columns(columns, taps, step, spread):
    """For blocks: the (column of y, tap) pairs that read each column of x."""
    seen: dict[int, list[tuple[int, int]]] = {}
    for n in range(columns):
        for j in range(taps):
            seen.setdefault(n * step + j * spread, []).append((n, j))
    return sorted(seen.items())


# Forward


@block(lambda spec, *_: vectors(spec.spots))
def start_full(emit, spec, bias):
    """The sums of a whole block, starting with the bias."""
    return [emit.load(bias) if spec.bias else emit.constant(0.0)] * spec.spots


@block(lambda spec, *_: vectors(max(1, spec.rest)))
def start_rest(emit, spec, bias):
    """The sums of the block at the end of a row."""
    return [emit.load(bias) if spec.bias else emit.constant(0.0)] * max(1, spec.rest)


@block(accumulators)
def multiply_row(emit, spec, sums, x, w):
    """Add one kernel row to the sums of all columns."""
    sums = list(sums)
    weights = [emit.load(w, j * spec.floats) for j in range(spec.kernel_w)]
    for place, pairs in pairs_of_columns(len(sums), spec.kernel_w, spec.stride_w, spec.dilation_w):
        value = emit.load_first(x, place * spec.x.pixel, spec.x.pixel)
        for n, j in pairs:
            sums[n] = emit.fma(value, weights[j], sums[n])
    return sums


@block(nothing)
def finish(emit, spec, sums, y):
    """Write the sums to y."""
    for n, value in enumerate(sums):
        emit.store_first(
            emit.relu(value) if spec.relu else value, y, n * spec.y.pixel, spec.y.pixel
        )


@inlined
def multiply(spec, sums, x, w):
    """Add every tap; x and w point to the first."""
    for i in range(spec.kernel_h if spec.straight else rolled(spec.kernel_h)):
        row = advance(x, i * spec.dilation_h * spec.x.row)
        sums = multiply_row(spec, sums, row, advance(w, i * spec.kernel_w * spec.floats))
    return sums


@kernel
def depthwise_forward(spec, operands, first, count):
    """y from x, weight and bias. Operands: x, weight, bias, y."""
    weight = pointer(operands, 1, FLOATS)
    bias = pointer(operands, 2, FLOATS)
    for n in range(count):
        x_map = advance(pointer(operands, 0, FLOATS), n * spec.x.size + spec.x.start - spec.corner)
        y_map = advance(pointer(operands, 3, FLOATS), n * spec.y.size + spec.y.start)
        for row in range(rolled(spec.y.height)):
            for c in range(0, rolled(spec.floats), LANES):
                w, b = advance(weight, c), advance(bias, c)
                x = advance(x_map, row * spec.stride_h * spec.x.row + c)
                y = advance(y_map, row * spec.y.row + c)
                for block_column in range(0, rolled(spec.y.width - spec.rest), spec.spots):
                    column = rolled(block_column)
                    at = advance(x, column * spec.stride_w * spec.x.pixel)
                    sums = multiply(spec, start_full(spec, b), at, w)
                    finish(spec, sums, advance(y, column * spec.y.pixel))
                if spec.rest > 0:
                    column = spec.y.width - spec.rest
                    at = advance(x, column * spec.stride_w * spec.x.pixel)
                    sums = multiply(spec, start_rest(spec, b), at, w)
                    finish(spec, sums, advance(y, column * spec.y.pixel))


# Gradient of x


@block(accumulators)
def multiply_back(emit, spec, sums, dy, w):
    """Add one kernel row to a block of columns of dx; dy points to its column / stride."""
    sums = list(sums)
    weights = [emit.load(w, j * spec.floats) for j in range(spec.kernel_w)]
    seen: dict[int, list[tuple[int, int]]] = {}
    for n in range(len(sums)):
        for j in range(spec.kernel_w):
            place, odd = divmod(n + spec.left - j * spec.dilation_w, spec.stride_w)
            if not odd:
                seen.setdefault(place, []).append((n, j))
    for place, pairs in sorted(seen.items()):
        slope = emit.load_first(dy, place * spec.dy.pixel, spec.dy.pixel)
        for n, j in pairs:
            sums[n] = emit.fma(slope, weights[j], sums[n])
    return sums


@block(accumulators)
def multiply_tap(emit, spec, sums, dy, w):
    """Add one tap to several vectors of channels of one pixel."""
    return [
        emit.fma(emit.load_first(dy, v * LANES, spec.dy.pixel), emit.load(w, v * LANES), total)
        for v, total in enumerate(sums)
    ]


@block(nothing)
def keep_columns(emit, spec, sums, dx):
    """Write a block of columns of dx."""
    for n, total in enumerate(sums):
        emit.store_first(total, dx, n * spec.dx.pixel, spec.dx.pixel)


@block(nothing)
def keep_channels(emit, spec, sums, dx):
    """Write several vectors of channels of one pixel."""
    for v, total in enumerate(sums):
        emit.store_first(total, dx, v * LANES, spec.dx.pixel)


@inlined
def met(place, before, tap, dilation, stride, size):
    """The row or column of dy that reads a row or column of x through a tap, or −1."""
    at = place + before - tap * dilation
    if at < 0 or at % stride != 0 or at // stride >= size:
        return -1
    return at // stride


@inlined
def block_back(spec, dy, w, row, column):
    """The sums of a block of columns."""
    sums = zeros(spec.dx_spots)
    for i in range(spec.kernel_h if spec.straight else rolled(spec.kernel_h)):
        h = met(row, spec.top, i, spec.dilation_h, spec.stride_h, spec.dy.height)
        if h >= 0:
            at = advance(dy, h * spec.dy.row + column // spec.stride_w * spec.dy.pixel)
            sums = multiply_back(spec, sums, at, advance(w, i * spec.kernel_w * spec.floats))
    return sums


@inlined
def place_back(spec, dy, w, row, column):
    """The sums of one pixel."""
    sums = zeros(spec.together)
    for i in range(rolled(spec.kernel_h)):
        h = met(row, spec.top, i, spec.dilation_h, spec.stride_h, spec.dy.height)
        if h >= 0:
            for j in range(rolled(spec.kernel_w)):
                at = met(column, spec.left, j, spec.dilation_w, spec.stride_w, spec.dy.width)
                if at >= 0:
                    slope = advance(dy, h * spec.dy.row + at * spec.dy.pixel)
                    tap = (i * spec.kernel_w + j) * spec.floats
                    sums = multiply_tap(spec, sums, slope, advance(w, tap))
    return sums


@kernel
def depthwise_backward_input(spec, operands, first, count):
    """dx, without its border, from dy and weight. Operands: dy, weight, dx."""
    weight = pointer(operands, 1, FLOATS)
    for n in range(count):
        dy = advance(pointer(operands, 0, FLOATS), n * spec.dy.size + spec.dy.start)
        dx = advance(pointer(operands, 2, FLOATS), n * spec.dx.size + spec.dx.start)
        for row in range(rolled(spec.dx.height)):
            to = advance(dx, row * spec.dx.row)
            for c in range(0, rolled(spec.floats), LANES):
                w = advance(weight, c)
                for column in range(spec.inner, rolled(spec.inner_end), spec.dx_spots):
                    sums = block_back(spec, advance(dy, c), w, row, column)
                    keep_columns(spec, sums, advance(to, column * spec.dx.pixel + c))
            for edge in range(rolled(spec.dx.width - spec.inner_end + spec.inner)):
                column = edge if edge < spec.inner else edge + spec.inner_end - spec.inner
                for c in range(0, rolled(spec.floats), spec.together * LANES):
                    sums = place_back(spec, advance(dy, c), advance(weight, c), row, column)
                    keep_channels(spec, sums, advance(to, column * spec.dx.pixel + c))
