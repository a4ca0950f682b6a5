"""Depthwise convolution, one kernel per channel, and the gradient of its input.

    y[h, w, c]  = bias[c] + Σ_i Σ_j  x[sh·h + dh·i − top, sw·w + dw·j − left, c] · weight[i, j, c]
    dx[p, q, c] = Σ dy[h, w, c] · weight[i, j, c]
                  over p = sh·h + dh·i − top,  q = sw·w + dw·j − left

(`neocog.reference.conv2d_forward` and `conv2d_backward_input` with as many groups as channels; F.
Chollet, "Xception", 2017.) The weight's layout is [i][j][c], channels in whole vectors. Both are
sums over taps as `depthwise_tiling.Axis` has them: dx is a convolution of dy with the flipped
kernel, and with a stride of s it is s · s of them, each with some of the taps for some of the
pixels. One kernel computes them all.

Every element of x is multiplied by only a few weights, so speed depends on the caches and on the
number of loads. If the kernel's side and the stride are constants, two rows of y are computed
together: registers hold the sums of some columns of both for one vector of channels, and a pixel
of x is loaded once for all of them. Otherwise it is one row, and every tap loads its pixels. All
channels of these columns come before the next columns, so that memory is read in order.
"""

from collections.abc import Iterator

from neocog.kernels.codegen.block import accumulators, block, nothing
from neocog.kernels.codegen.pointers import advance, rolled, stack_floats, zeros
from neocog.kernels.codegen.vector_types import FLOATS, LANES, vectors
from neocog.kernels.compiler.jit import Kernel, always_inlined, inlined, kernel
from neocog.kernels.compiler.operands import maybe
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.convolution.depthwise_tiling import (
    RUN,
    SHORTER,
    SIDES,
    STRIDES,
    Depthwise,
    convolution_axis,
)
from neocog.kernels.elementwise.functions import sigmoid
from neocog.kernels.layout import FeatureMap

__all__ = ["depthwise_forward", "kinds", "load_pixel", "pairs_of_columns"]


def pairs_of_columns(columns, taps, step):
    """For blocks: the (column of y, tap) pairs that read each column of x."""
    seen: dict[int, list[tuple[int, int]]] = {}
    for n in range(columns):
        for j in range(taps):
            seen.setdefault(n * step + j, []).append((n, j))
    return sorted(seen.items())


def load_pixel(emit, spec, pointer, offset, pixel):
    """For blocks: one vector of channels of a pixel, with zeros behind those that it has."""
    return emit.load_lanes(pointer, offset, pixel) if spec.masked else emit.load(pointer, offset)


@block(lambda spec, columns, bias: vectors(spec.lines * columns.count))
def start(emit, spec, columns, bias):
    """The sums of as many columns as the tuple has vectors, starting with the bias."""
    return [emit.load(bias)] * (spec.lines * len(columns))


def _add_row(emit, spec, sums, values, w, skip):
    """Add one kernel row, of the loaded columns of x, to the sums of a row of y."""
    weights = [emit.load(w, j * skip) for j in range(spec.side)]
    pairs = pairs_of_columns(len(sums), spec.side, spec.stride)
    for value, (_, reached) in zip(values, pairs, strict=True):
        for n, j in reached:
            sums[n] = emit.fma(value, weights[j], sums[n])


def _columns_of(emit, spec, count, x):
    x = emit.opaque(x)
    return [emit.load(x, n * spec.x.pixel) for n in range((count - 1) * spec.stride + spec.side)]


@block(accumulators)
def multiply_upper(emit, spec, sums, x, w, skip):
    """Add one kernel row to the sums of the upper of two rows of y, the first half."""
    half = len(sums) // 2
    upper = sums[:half]
    _add_row(emit, spec, upper, _columns_of(emit, spec, half, x), w, skip)
    return upper + sums[half:]


@block(accumulators)
def multiply_lower(emit, spec, sums, x, w, skip):
    """Add one kernel row to the sums of the lower of two rows of y."""
    half = len(sums) // 2
    lower = sums[half:]
    _add_row(emit, spec, lower, _columns_of(emit, spec, half, x), w, skip)
    return sums[:half] + lower


@block(accumulators)
def multiply_both(emit, spec, sums, x, w, skip, back):
    """Add one kernel row to the sums of the upper row, and the one `back` floats before below."""
    half = len(sums) // 2
    upper, lower = sums[:half], sums[half:]
    values = _columns_of(emit, spec, half, x)
    _add_row(emit, spec, upper, values, w, skip)
    _add_row(emit, spec, lower, values, emit.advance(w, 0 - back), skip)
    return upper + lower


@block(accumulators)
def multiply_tap(emit, spec, sums, x, w, apart):
    """Add one tap to the sums of all columns."""
    weight, x = emit.load(w), emit.opaque(x)
    values = (load_pixel(emit, spec, x, n * apart, spec.x.pixel) for n in range(len(sums)))
    return [emit.fma(value, weight, s) for value, s in zip(values, sums, strict=True)]


def _store_pixel(emit, spec, value, y, offset):
    if spec.masked:
        emit.store_lanes(value, y, offset, spec.y.pixel)
    else:
        emit.store(value, y, offset)


def _store(emit, spec, sums, y, apart):
    y = emit.opaque(y)
    for n, value in enumerate(sums):
        _store_pixel(emit, spec, value, y, n * apart)


@block(accumulators)
def limit(emit, spec, sums):
    """The sums within their limits."""
    low, high = emit.constant(spec.low), emit.constant(spec.high)
    sums = [emit.select(emit.greater(low, s), low, s) for s in sums]  # NaN stays NaN
    return [emit.select(emit.greater(s, high), high, s) for s in sums]


@block(nothing)
def store_row(emit, spec, sums, y, apart):
    """Write the sums of a row."""
    _store(emit, spec, sums, y, apart)


@block(nothing)
def store_two_rows(emit, spec, sums, y, apart):
    """Write the sums of two rows."""
    half = len(sums) // 2
    _store(emit, spec, sums[:half], y, apart)
    _store(emit, spec, sums[half:], emit.advance(y, spec.y.row), apart)


@always_inlined
def convolve_two(spec, columns, x, w, bias, y):
    """Some columns of two rows of y."""
    down, skip = spec.down.skip * spec.side * spec.floats, spec.across.skip * spec.floats
    sums = start(spec, columns, bias)
    for i in range(spec.stride):
        sums = multiply_upper(spec, sums, advance(x, i * spec.x.row), advance(w, i * down), skip)
    back = spec.stride * down
    for i in range(spec.stride, rolled(spec.side)):
        at, of_w = advance(x, i * spec.x.row), advance(w, i * down)
        sums = multiply_both(spec, sums, at, of_w, skip, back)
    for i in range(spec.side, spec.side + spec.stride):
        of_w = advance(w, i * down - back)
        sums = multiply_lower(spec, sums, advance(x, i * spec.x.row), of_w, skip)
    if spec.limited:
        sums = limit(spec, sums)
    store_two_rows(spec, sums, y, spec.y.pixel)


@always_inlined
def convolve_one(spec, columns, x, w, bias, y, rows, taps):
    """Some columns of a row of y from `rows` · `taps` taps; x and w point to the first."""
    down, across = spec.down.step * spec.x.row, spec.across.step * spec.x.pixel
    w_down = spec.down.skip * spec.kernel_w * spec.floats
    w_across = spec.across.skip * spec.floats
    apart = spec.across.stride * spec.x.pixel
    sums = start(spec, columns, bias)
    for i in range(rows):
        row, of_w = advance(x, i * down), advance(w, i * w_down)
        for j in range(taps):
            at, of_tap = advance(row, j * across), advance(of_w, j * w_across)
            sums = multiply_tap(spec, sums, at, of_tap, apart)
    if spec.limited:
        sums = limit(spec, sums)
    store_row(spec, sums, y, spec.across.phases * spec.y.pixel)


@always_inlined
def convolve_run(spec, columns, x, w, bias, y, rows, taps):
    """All channels of some columns of y, of two rows if the kernel's side is a constant."""
    each = LANES if spec.bias else 0
    for v in range(rolled(spec.floats // LANES)):
        of_x, of_w = advance(x, v * LANES), advance(w, v * LANES)
        of_bias, of_y = advance(bias, v * each), advance(y, v * LANES)
        if spec.side > 0:
            convolve_two(spec, columns, of_x, of_w, of_bias, of_y)
        else:
            convolve_one(spec, columns, of_x, of_w, of_bias, of_y, rows, taps)


@inlined
def convolve_row(spec, x, w, bias, y, rows):
    """A row of y from `rows` kernel rows, or two rows."""
    across = spec.across
    from_x, to_y = across.stride * spec.x.pixel, across.phases * spec.y.pixel
    for p in range(across.phases):
        taps, left = across.taps[p], spec.rest[p]
        of_x = advance(x, across.place[p] * spec.x.pixel)
        of_w = advance(w, across.first[p] * spec.floats)
        of_y = advance(y, p * spec.y.pixel)
        for _ in range(spec.runs[p]):
            convolve_run(spec, zeros(RUN), of_x, of_w, bias, of_y, rows, taps)
            of_x, of_y = advance(of_x, RUN * from_x), advance(of_y, RUN * to_y)
        for _ in range(spec.shorter_runs[p]):
            convolve_run(spec, zeros(SHORTER), of_x, of_w, bias, of_y, rows, taps)
            of_x, of_y = advance(of_x, SHORTER * from_x), advance(of_y, SHORTER * to_y)
        if left >= 4:
            convolve_run(spec, zeros(4), of_x, of_w, bias, of_y, rows, taps)
            of_x, of_y, left = advance(of_x, 4 * from_x), advance(of_y, 4 * to_y), left - 4
        for _ in range(left):
            convolve_run(spec, zeros(1), of_x, of_w, bias, of_y, rows, taps)
            of_x, of_y = advance(of_x, from_x), advance(of_y, to_y)


@block(nothing)
def apply_silu(emit, spec, y):
    """y ← silu(y) of one vector."""
    value = load_pixel(emit, spec, y, 0, spec.y.pixel)
    _store_pixel(emit, spec, emit.mul(value, sigmoid(emit, value)), y, 0)


@inlined
def convolve_rows(spec, x, w, bias, y, begin, end):
    """The rows begin … end of y."""
    down = spec.down
    phase, at = begin % down.phases, begin // down.phases
    for row in range(begin, end, spec.lines):
        if spec.lines > 1:  # there is no row beyond the last: the one before it comes again
            row = at = min(row, spec.y.height - spec.lines)
        of_x = advance(x, (at * down.stride + down.place[phase]) * spec.x.row)
        of_w = advance(w, down.first[phase] * spec.kernel_w * spec.floats)
        of_y = advance(y, row * spec.y.row)
        convolve_row(spec, of_x, of_w, bias, of_y, down.taps[phase])
        if spec.silu:
            each = spec.y.pixel if spec.masked else LANES
            for n in range(spec.lines):
                for f in range(0, spec.y.width * spec.y.pixel, each):
                    apply_silu(spec, advance(of_y, n * spec.y.row + f))
        phase += 1
        if phase == down.phases:
            phase, at = 0, at + 1


@block(nothing)
def store_zero(emit, spec, to):
    """One vector of zeros."""
    emit.store(emit.constant(0.0), to)


@kernel(x=FLOATS, weight=FLOATS, bias=maybe(FLOATS), y=FLOATS)
def depthwise_forward(spec, o, first, count):
    """y, without its border, from x, weight and bias; or dx from dy and weight."""
    x, y = advance(o.x, spec.x.start), advance(o.y, spec.y.start)
    none = stack_floats(LANES)
    store_zero(spec, none)
    bias = o.bias if spec.bias else none
    if spec.parts:
        after = first + count
        end = spec.y.height if after == spec.items else after * spec.lines
        convolve_rows(spec, x, o.weight, bias, y, first * spec.lines, end)
    else:
        for n in range(count):
            of_x, to_y = advance(x, n * spec.x.size), advance(y, n * spec.y.size)
            convolve_rows(spec, of_x, o.weight, bias, to_y, 0, spec.y.height)


def kinds() -> Iterator[tuple[Kernel, Spec]]:
    """Every kernel here with a spec of each kind."""
    for side in SIDES:
        for stride in STRIDES:
            x, y, axis = (
                FeatureMap(9, 9, 2),
                FeatureMap(2, 2, 2),
                convolution_axis(side, stride, 1, 0),
            )
            yield depthwise_forward, Depthwise(x, y, axis, axis, side)
    axis = convolution_axis(1, 1, 1, 0)
    for dense in (False, True):
        x = FeatureMap(1, 1, 2, dense=dense)
        yield depthwise_forward, Depthwise(x, x, axis, axis, 1)
