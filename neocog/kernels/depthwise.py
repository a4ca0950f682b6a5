"""Convolution of every channel with a kernel of its own, and the gradient of its input.

    y[h, w, c]  = bias[c] + Σ_i Σ_j  x[sh·h + dh·i − top, sw·w + dw·j − left, c] · weight[i, j, c]
    dx[p, q, c] = Σ dy[h, w, c] · weight[i, j, c]
                  over p = sh·h + dh·i − top,  q = sw·w + dw·j − left

(`neocog.reference.conv2d_forward` and `conv2d_backward_input` with as many groups as channels; F.
Chollet, "Xception", 2017.) A weight lies as [i][j][c], channels in whole vectors.

Every number of x meets but a few weights, so what counts is to load little. Registers hold the
sums of `spots` columns of one vector of channels, and a kernel row's weights; a pixel of x that
several of the columns see is loaded once for all. Likewise the gradient of x: stride and dilation
decide which taps meet a column, which are the same ones in every block, as it begins at a multiple
of the stride. Near the ends of a row, unless dy's border covers them, places are summed one by one.
"""

from dataclasses import dataclass

from neocog.kernels.compiling import inlined, kernel
from neocog.kernels.layout import FeatureMap, padded
from neocog.kernels.simd import (
    FLOATS,
    LANES,
    REGISTERS,
    accumulators,
    advance,
    block,
    nothing,
    pointer,
    rolled,
    vectors,
    zeros,
)

__all__ = [
    "Depthwise",
    "depthwise_backward_input",
    "depthwise_forward",
    "pairs_of_columns",
]

# Columns whose sums are in registers together: as many as it takes to hide the latency of an FMA.
# Weights of a wide kernel that find no register are read from memory instead, at no cost.
_SPOTS = 8
# Multiplications that may stand in straight code.
_STRAIGHT = 120
# Sums of taps in registers, beside the slopes of a run of columns and one pixel.
_TAPS = REGISTERS - 6
# What every vector of channels reads again should stay in the first-level cache.
_BAND_BYTES = 24 * 1024


@dataclass(frozen=True)
class Depthwise:
    """One depthwise convolution; any of its maps may be dense.

    x has `top` rows and `left` columns of zeros before it, and its border covers all that taps
    reach. The border of dy may be anything: the wider, the faster. A shard is so many images.
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
        """Floats of a pixel's channels in whole vectors: of a tap's weights, and of the bias."""
        return padded(self.x.channels)

    @property
    def taps(self) -> int:
        """Places of the kernel."""
        return self.kernel_h * self.kernel_w

    @property
    def size(self) -> int:
        """Floats of the weight."""
        return self.taps * self.floats

    @property
    def corner(self) -> int:
        """Floats of x from its first pixel back to what the first tap of y's first place sees."""
        return self.top * self.x.row + self.left * self.x.pixel

    # Forward

    @property
    def spots(self) -> int:
        """Columns of y that are computed together."""
        even = (n for n in range(_SPOTS, _SPOTS // 2 - 1, -1) if self.y.width % n == 0)
        return next(even, min(_SPOTS, self.y.width))

    @property
    def straight(self) -> bool:
        """Whether the code of every tap of a block stands in a row."""
        return self.taps * self.spots <= _STRAIGHT

    @property
    def rest(self) -> int:
        """Columns of y that are left over at the end of a row."""
        return self.y.width % self.spots

    # Gradient of x

    @property
    def inner(self) -> int:
        """The first column of dx, a multiple of the stride, whose taps all lie in dy's border."""
        reach = self.dilation_w * (self.kernel_w - 1) - self.left
        least = max(0, reach - self.dy.border_w * self.stride_w)
        return min(-(-least // self.stride_w) * self.stride_w, self.dx.width)

    @property
    def inner_width(self) -> int:
        """How many columns from there on have all their taps in dy's border."""
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
        """The column of dx after the last one that is computed with others."""
        return self.inner + self.inner_width // self.dx_spots * self.dx_spots

    @property
    def together(self) -> int:
        """Vectors of channels of one column of dx that are computed together."""
        return next(n for n in (4, 3, 2, 1) if self.floats // LANES % n == 0)

    # Gradient of the weight

    @property
    def band(self) -> int:
        """Rows of dy that are taken at a time."""
        row = 4 * (self.stride_h * self.x.row + self.dy.row)
        return max(1, min(self.dy.height, _BAND_BYTES // row))

    @property
    def rows(self) -> int:
        """Kernel rows whose sums are in registers together."""
        return max(1, min(self.kernel_h, _TAPS // self.kernel_w))

    @property
    def rows_rest(self) -> int:
        """Kernel rows that are left over."""
        return self.kernel_h % self.rows

    @property
    def run(self) -> int:
        """Columns of dy that are taken together."""
        return min(4, self.dy.width)


def pairs_of_columns(columns, taps, step, spread):
    """For blocks: which (column of y, tap) see each column of x, for a few columns of y."""
    seen: dict[int, list[tuple[int, int]]] = {}
    for n in range(columns):
        for j in range(taps):
            seen.setdefault(n * step + j * spread, []).append((n, j))
    return sorted(seen.items())


# Forward


@block(lambda s, *_: vectors(s.spots))
def start_full(e, s, bias):
    """The sums of a full block, begun with the bias."""
    return [e.load(bias) if s.bias else e.constant(0.0)] * s.spots


@block(lambda s, *_: vectors(max(1, s.rest)))
def start_rest(e, s, bias):
    """The sums of the block at the end of a row."""
    return [e.load(bias) if s.bias else e.constant(0.0)] * max(1, s.rest)


@block(accumulators)
def multiply_row(e, s, sums, x, w):
    """Add one kernel row, to as many columns as there are sums."""
    sums = list(sums)
    weights = [e.load(w, j * s.floats) for j in range(s.kernel_w)]
    for place, pairs in pairs_of_columns(len(sums), s.kernel_w, s.stride_w, s.dilation_w):
        value = e.load_first(x, place * s.x.pixel, s.x.pixel)
        for n, j in pairs:
            sums[n] = e.fma(value, weights[j], sums[n])
    return sums


@block(nothing)
def finish(e, s, sums, y):
    """Write the sums to y."""
    for n, value in enumerate(sums):
        e.store_first(e.relu(value) if s.relu else value, y, n * s.y.pixel, s.y.pixel)


@inlined
def multiply(s, sums, x, w):
    """Add every tap, x and w standing at the first."""
    for i in range(s.kernel_h if s.straight else rolled(s.kernel_h)):
        row = advance(x, i * s.dilation_h * s.x.row)
        sums = multiply_row(s, sums, row, advance(w, i * s.kernel_w * s.floats))
    return sums


@kernel
def depthwise_forward(s, operands, first, count):
    """y from x, weight and bias. Operands: x, weight, bias, y."""
    weight = pointer(operands, 1, FLOATS)
    bias = pointer(operands, 2, FLOATS)
    for n in range(count):
        x_map = advance(pointer(operands, 0, FLOATS), n * s.x.size + s.x.start - s.corner)
        y_map = advance(pointer(operands, 3, FLOATS), n * s.y.size + s.y.start)
        for row in range(rolled(s.y.height)):
            for c in range(0, rolled(s.floats), LANES):
                w, b = advance(weight, c), advance(bias, c)
                x = advance(x_map, row * s.stride_h * s.x.row + c)
                y = advance(y_map, row * s.y.row + c)
                for block_column in range(0, rolled(s.y.width - s.rest), s.spots):
                    column = rolled(block_column)
                    at = advance(x, column * s.stride_w * s.x.pixel)
                    sums = multiply(s, start_full(s, b), at, w)
                    finish(s, sums, advance(y, column * s.y.pixel))
                if s.rest > 0:
                    column = s.y.width - s.rest
                    at = advance(x, column * s.stride_w * s.x.pixel)
                    sums = multiply(s, start_rest(s, b), at, w)
                    finish(s, sums, advance(y, column * s.y.pixel))


# Gradient of x


@block(accumulators)
def multiply_back(e, s, sums, dy, w):
    """Add one kernel row to a block of columns of dx, dy standing at its column / stride."""
    sums = list(sums)
    weights = [e.load(w, j * s.floats) for j in range(s.kernel_w)]
    seen: dict[int, list[tuple[int, int]]] = {}
    for n in range(len(sums)):
        for j in range(s.kernel_w):
            place, odd = divmod(n + s.left - j * s.dilation_w, s.stride_w)
            if not odd:
                seen.setdefault(place, []).append((n, j))
    for place, pairs in sorted(seen.items()):
        slope = e.load_first(dy, place * s.dy.pixel, s.dy.pixel)
        for n, j in pairs:
            sums[n] = e.fma(slope, weights[j], sums[n])
    return sums


@block(accumulators)
def multiply_tap(e, s, sums, dy, w):
    """Add one tap to several vectors of channels of one place."""
    return [
        e.fma(e.load_first(dy, v * LANES, s.dy.pixel), e.load(w, v * LANES), total)
        for v, total in enumerate(sums)
    ]


@block(nothing)
def keep_columns(e, s, sums, dx):
    """Write a block of columns of dx."""
    for n, total in enumerate(sums):
        e.store_first(total, dx, n * s.dx.pixel, s.dx.pixel)


@block(nothing)
def keep_channels(e, s, sums, dx):
    """Write several vectors of channels of one place."""
    for v, total in enumerate(sums):
        e.store_first(total, dx, v * LANES, s.dx.pixel)


@inlined
def met(place, before, tap, dilation, stride, size):
    """The row or column of dy that meets a place of x through a tap, or −1."""
    at = place + before - tap * dilation
    if at < 0 or at % stride != 0 or at // stride >= size:
        return -1
    return at // stride


@inlined
def block_back(s, dy, w, row, column):
    """The sums of a block of columns."""
    sums = zeros(s.dx_spots)
    for i in range(s.kernel_h if s.straight else rolled(s.kernel_h)):
        h = met(row, s.top, i, s.dilation_h, s.stride_h, s.dy.height)
        if h >= 0:
            at = advance(dy, h * s.dy.row + column // s.stride_w * s.dy.pixel)
            sums = multiply_back(s, sums, at, advance(w, i * s.kernel_w * s.floats))
    return sums


@inlined
def place_back(s, dy, w, row, column):
    """The sums of one place."""
    sums = zeros(s.together)
    for i in range(rolled(s.kernel_h)):
        h = met(row, s.top, i, s.dilation_h, s.stride_h, s.dy.height)
        if h >= 0:
            for j in range(rolled(s.kernel_w)):
                at = met(column, s.left, j, s.dilation_w, s.stride_w, s.dy.width)
                if at >= 0:
                    slope = advance(dy, h * s.dy.row + at * s.dy.pixel)
                    tap = (i * s.kernel_w + j) * s.floats
                    sums = multiply_tap(s, sums, slope, advance(w, tap))
    return sums


@kernel
def depthwise_backward_input(s, operands, first, count):
    """dx, all but its border, from dy and weight. Operands: dy, weight, dx."""
    weight = pointer(operands, 1, FLOATS)
    for n in range(count):
        dy = advance(pointer(operands, 0, FLOATS), n * s.dy.size + s.dy.start)
        dx = advance(pointer(operands, 2, FLOATS), n * s.dx.size + s.dx.start)
        for row in range(rolled(s.dx.height)):
            to = advance(dx, row * s.dx.row)
            for c in range(0, rolled(s.floats), LANES):
                w = advance(weight, c)
                for column in range(s.inner, rolled(s.inner_end), s.dx_spots):
                    sums = block_back(s, advance(dy, c), w, row, column)
                    keep_columns(s, sums, advance(to, column * s.dx.pixel + c))
            for edge in range(rolled(s.dx.width - s.inner_end + s.inner)):
                column = edge if edge < s.inner else edge + s.inner_end - s.inner
                for c in range(0, rolled(s.floats), s.together * LANES):
                    sums = place_back(s, advance(dy, c), advance(weight, c), row, column)
                    keep_channels(s, sums, advance(to, column * s.dx.pixel + c))
