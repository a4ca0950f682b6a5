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

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.pointers import advance, stack_floats
from neocog.kernels.codegen.vector_types import FLOATS, LANES
from neocog.kernels.compiler.jit import Kernel, inlined, kernel
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
from neocog.kernels.elementwise.functions import FUNCTIONS
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


def _store_pixel(emit, spec, value, y, offset):
    if spec.masked:
        emit.store_lanes(value, y, offset, spec.y.pixel)
    else:
        emit.store(value, y, offset)


def _store_row(emit, spec, sums, y):
    """Write the sums of a row's columns, within their limits."""
    low, high = emit.constant(spec.low), emit.constant(spec.high)
    apart = spec.across.phases * spec.y.pixel
    with emit.when(spec.is_limited):
        for total in sums:
            total.set(emit.limit(total.get(), low, high))
    y = emit.opaque(y)
    for n, total in enumerate(sums):
        _store_pixel(emit, spec, total.get(), y, n * apart)


def _add_row(emit, spec, sums, values, w):
    """Add one kernel row, of the loaded columns of x, to the sums of a row of y."""
    weights = [emit.load(w, j * spec.across.skip * spec.floats) for j in range(spec.side)]
    totals = [total.get() for total in sums]
    pairs = pairs_of_columns(len(sums), spec.side, spec.stride)
    for value, (_, reached) in zip(values, pairs, strict=True):
        for n, j in reached:
            totals[n] = emit.fma(value, weights[j], totals[n])
    for total, value in zip(sums, totals, strict=True):
        total.set(value)


def _convolve_two(emit, spec, columns, x, w, bias, y):
    """Some columns of two rows of y for one vector of channels."""
    upper, lower = ([emit.variable(emit.load(bias)) for _ in range(columns)] for _ in range(2))
    down = spec.down.skip * spec.side * spec.floats
    reached = (columns - 1) * spec.stride + spec.side

    def add(i, *rows):
        """Add row `i` of x to the sums of rows of y, whose first row of x is another."""
        row = emit.opaque(emit.advance(x, i * spec.x.row))
        values = [emit.load(row, n * spec.x.pixel) for n in range(reached)]
        for sums, first in rows:
            _add_row(emit, spec, sums, values, emit.advance(w, (i - first) * down))

    for i in range(spec.stride):
        add(i, (upper, 0))
    with emit.loop(spec.stride, spec.side) as i:
        add(i, (upper, 0), (lower, spec.stride))
    for i in range(spec.side, spec.side + spec.stride):
        add(i, (lower, spec.stride))
    _store_row(emit, spec, upper, y)
    _store_row(emit, spec, lower, emit.advance(y, spec.y.row))


def _convolve_one(emit, spec, columns, x, w, bias, y, rows, taps):
    """Some columns of a row of y for one vector of channels, from `rows` · `taps` taps."""
    sums = [emit.variable(emit.load(bias)) for _ in range(columns)]
    down, across = spec.down.step * spec.x.row, spec.across.step * spec.x.pixel
    w_down, w_across = spec.down.skip * spec.kernel_w, spec.across.skip
    apart = spec.across.stride * spec.x.pixel
    with emit.loop(0, rows) as i, emit.loop(0, taps) as j:
        weight = emit.load(w, (i * w_down + j * w_across) * spec.floats)
        at = emit.opaque(emit.advance(x, i * down + j * across))
        for n, total in enumerate(sums):
            value = load_pixel(emit, spec, at, n * apart, spec.x.pixel)
            total.set(emit.fma(value, weight, total.get()))
    _store_row(emit, spec, sums, y)


@block(nothing)
def convolve_columns(emit, spec, x, w, bias, y, rows, taps, runs, shorter, rest):
    """A row of y, or two if the kernel's side is a constant, of one phase of columns."""
    from_x, to_y = spec.across.stride * spec.x.pixel, spec.across.phases * spec.y.pixel
    each = emit.select(spec.bias, 1, 0)

    def convolve(columns, begin):
        """All channels of `columns` columns from `begin` on."""
        of_x, of_y = emit.advance(x, begin * from_x), emit.advance(y, begin * to_y)
        with emit.loop(0, spec.floats, LANES) as c:
            x_c, w_c = emit.advance(of_x, c), emit.advance(w, c)
            b_c, y_c = emit.advance(bias, c * each), emit.advance(of_y, c)
            if spec.side:
                _convolve_two(emit, spec, columns, x_c, w_c, b_c, y_c)
            else:
                _convolve_one(emit, spec, columns, x_c, w_c, b_c, y_c, rows, taps)

    with emit.loop(0, runs) as n:
        convolve(RUN, n * RUN)
    done = runs * RUN
    with emit.loop(0, shorter) as n:
        convolve(SHORTER, done + n * SHORTER)
    done = done + shorter * SHORTER
    with emit.when(rest > 3):
        convolve(4, done)
    with emit.loop(emit.select(rest > 3, 4, 0), rest) as n:
        convolve(1, done + n)


@inlined
def convolve_row(spec, x, w, bias, y, rows):
    """A row of y from `rows` kernel rows, or two rows."""
    across = spec.across
    for p in range(across.phases):
        of_x = advance(x, across.place[p] * spec.x.pixel)
        of_w = advance(w, across.first[p] * spec.floats)
        to = advance(y, p * spec.y.pixel)
        runs, shorter, rest = spec.runs[p], spec.shorter_runs[p], spec.rest[p]
        convolve_columns(spec, of_x, of_w, bias, to, rows, across.taps[p], runs, shorter, rest)


@block(nothing)
def apply_function(emit, spec, y, silu, hardswish):
    """A row of y after the one of these functions that is asked for."""
    each = spec.y.pixel if spec.masked else LANES
    for name, asked in (("silu", silu), ("hardswish", hardswish)):
        with emit.when(asked), emit.loop(0, spec.y.width * spec.y.pixel, each) as at:
            value = load_pixel(emit, spec, y, at, spec.y.pixel)
            _store_pixel(emit, spec, FUNCTIONS[name].value(emit, (), value), y, at)


@inlined
def convolve_image(spec, x, w, bias, y):
    """All rows of y."""
    down = spec.down
    phase = at = 0
    for row in range(0, spec.y.height, spec.lines):
        if spec.lines > 1:  # there is no row beyond the last: the one before it comes again
            row = at = min(row, spec.y.height - spec.lines)
        of_x = advance(x, (at * down.stride + down.place[phase]) * spec.x.row)
        of_w = advance(w, down.first[phase] * spec.kernel_w * spec.floats)
        of_y = advance(y, row * spec.y.row)
        convolve_row(spec, of_x, of_w, bias, of_y, down.taps[phase])
        if spec.silu or spec.hardswish:
            for n in range(spec.lines):
                apply_function(spec, advance(of_y, n * spec.y.row), spec.silu, spec.hardswish)
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
    for n in range(count):
        of_x, to_y = advance(x, n * spec.x.size), advance(y, n * spec.y.size)
        convolve_image(spec, of_x, o.weight, bias, to_y)


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
