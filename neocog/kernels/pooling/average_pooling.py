"""Mean pooling with any windows, and its gradient.

The pixels of a window are its taps; only those inside the map count: see `windows.py`
(`neocog.reference.avg_pool2d_forward` and `avg_pool2d_backward`).

    forward   y = Σ over the window / d
    backward  dx[p] = Σ dy / d over the windows that contain p

d is the number of the window's taps: all of them, those in the map or its padding, or those in the
map; or it is the same number for all windows. Windows of 2 × 2 and 3 × 3 inside the map are
unrolled, others are loops. The mean of a whole map without a border is one long sum.
"""

from collections.abc import Iterator
from typing import Any

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.loops import either_way, repeat
from neocog.kernels.codegen.pointers import advance
from neocog.kernels.codegen.vector_types import FLOATS, LANES
from neocog.kernels.compiler.jit import kernel
from neocog.kernels.pooling.channels import (
    each_block,
    each_whole_window,
    load,
    store,
    whole_windows,
)
from neocog.kernels.pooling.gradients import gather, spread
from neocog.kernels.pooling.windows import WindowGradient, WindowPooling, small_pooling

__all__ = ["avg_pool_backward", "avg_pool_forward", "kinds"]


def _total(emit, values):
    """The sum of values, in pairs, so that additions need not wait for each other."""
    while len(values) > 1:
        odd = values[len(values) // 2 * 2 :]
        values = [emit.add(a, b) for a, b in zip(values[::2], values[1::2], strict=False)] + odd
    return values[0]


def _window_scale(emit, spec, row, column):
    """1 / d of a window."""
    rows = emit.load_long(spec.row_counts, row)
    return emit.splat(emit.reciprocal(rows * emit.load_long(spec.column_counts, column)))


def _whole_means(emit, spec, vectors, x, y, begin, end):
    """The means of a row's windows begin … end, which lie in the map."""

    def window(taps, y):
        for at in range(0, vectors * LANES, LANES):
            emit.store(emit.mul(_total(emit, taps(at)), emit.constant(spec.scale)), y, at)

    each_whole_window(emit, spec, (begin, end), x, [(y, spec.y)], window)


def _some_means(emit, spec, vectors, x, y, row, column):
    """The means of any window."""
    top, left = emit.load_long(spec.rows.firsts, row), emit.load_long(spec.columns.firsts, column)
    rows = emit.load_long(spec.rows.ends, row) - top
    columns = emit.load_long(spec.columns.ends, column) - left
    # Rows without a gap between them are one.
    joined = spec.x.row < columns * spec.x.pixel + 1
    rows, columns = emit.choose(joined, 1, rows), emit.choose(joined, rows * columns, columns)
    corner, fours = emit.advance(x, top * spec.x.row + left * spec.x.pixel), columns // 4

    def add_taps(sums, at, taps):
        added = []
        for v, total in enumerate(sums):
            places = [j * spec.x.pixel + v * LANES for j in range(taps)]
            values = [load(emit, spec, spec.x, at, place) for place in places]
            added.append(emit.add(total, _total(emit, values)))
        return added

    def add_row(i, sums):
        at = emit.advance(corner, i * spec.x.row)
        rest = emit.advance(at, fours * 4 * spec.x.pixel)

        def add_four(j, sums):
            return add_taps(sums, emit.advance(at, j * 4 * spec.x.pixel), 4)

        def add_one(j, sums):
            return add_taps(sums, emit.advance(rest, j * spec.x.pixel), 1)

        return repeat(emit, columns - fours * 4, repeat(emit, fours, sums, add_four), add_one)

    zeros = [emit.constant(0.0)] * vectors
    scale = _window_scale(emit, spec, row, column)
    for v, total in enumerate(repeat(emit, rows, zeros, add_row, at_least_once=True)):
        store(emit, spec, spec.y, emit.mul(total, scale), y, v * LANES)


@block(nothing)
def means(emit, spec, x, y):
    """The means of a map."""
    with emit.loop(0, spec.y.height) as row:
        y_row = emit.advance(y, row * spec.y.row)
        begin, end = whole_windows(emit, spec, row)
        if spec.unrolled:
            x_row = emit.advance(x, emit.load_long(spec.rows.firsts, row) * spec.x.row)

            def whole(c, vectors):
                at, to = emit.advance(x_row, c), emit.advance(y_row, c)
                _whole_means(emit, spec, vectors, at, to, begin, end)

            each_block(emit, spec, whole)
        with emit.loop(0, spec.y.width - (end - begin)) as n:
            column = n + emit.choose(n < begin, 0, end - begin)
            y_pixel = emit.advance(y_row, column * spec.y.pixel)

            def any_window(c, vectors):
                at, to = emit.advance(x, c), emit.advance(y_pixel, c)
                _some_means(emit, spec, vectors, at, to, row, column)

            each_block(emit, spec, any_window)


@kernel(x=FLOATS, y=FLOATS)
def avg_pool_forward(spec, o, first, count):
    """y from x."""
    for n in range(count):
        x = advance(o.x, n * spec.x.size + spec.x.start)
        means(spec, x, advance(o.y, n * spec.y.size + spec.y.start))


# Gradient


def _scale(emit, spec, row, column):
    """1 / d of a window, which takes no division if it is the same for all."""

    def of_all():
        return [emit.constant(spec.scale)]

    def of_window():
        return [_window_scale(emit, spec, row, column)]

    return either_way(emit, spec.is_uniform, of_all, of_window)[0]


@block(nothing)
def spread_means(emit, spec, dy, dx):
    """Every window's dy / d to its taps, for windows that do not overlap."""

    def hold(row, column, c, vectors):
        scale = _scale(emit, spec, row, column)
        at = emit.advance(dy, row * spec.dy.row + column * spec.dy.pixel + c)
        slopes = [load(emit, spec, spec.dy, at, v * LANES) for v in range(vectors)]
        shares = [emit.mul(slope, scale) for slope in slopes]
        return lambda tap: shares

    spread(emit, spec, dx, hold)


@block(nothing)
def gather_means(emit, spec, dy, dx):
    """Every pixel's sum over the windows that contain it."""

    def add(row, column, c, sums, tap):
        scale = _scale(emit, spec, row, column)
        at = emit.advance(dy, row * spec.dy.row + column * spec.dy.pixel + c)
        slopes = [load(emit, spec, spec.dy, at, v * LANES) for v in range(len(sums))]
        return [emit.fma(one, scale, total) for one, total in zip(slopes, sums, strict=True)]

    gather(emit, spec, dx, add)


@kernel(dy=FLOATS, dx=FLOATS)
def avg_pool_backward(spec, o, first, count):
    """dx, which is written except for its border, from dy."""
    for n in range(count):
        dy = advance(o.dy, n * spec.dy.size + spec.dy.start)
        dx = advance(o.dx, n * spec.dx.size + spec.dx.start)
        if spec.paired or spec.is_tiled:
            spread_means(spec, dy, dx)
        else:
            gather_means(spec, dy, dx)


def kinds() -> Iterator[tuple[Any, Any]]:
    """Each kernel with a spec of each of its kinds."""
    for kernel_size, dense in ((2, False), (3, False), (4, False), (4, True)):
        yield avg_pool_forward, small_pooling(WindowPooling, kernel_size, dense=dense)
    for kernel_size, dense in ((2, False), (4, False), (4, True)):
        yield avg_pool_backward, small_pooling(WindowGradient, kernel_size, dense=dense)
