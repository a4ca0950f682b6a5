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

from neocog.kernels.codegen.block import accumulators, block, nothing
from neocog.kernels.codegen.pointers import advance, rolled, zeros
from neocog.kernels.codegen.vector_types import FLOATS, LANES, float32
from neocog.kernels.compiler.jit import inlined, kernel
from neocog.kernels.pooling.channels import (
    clear_rest,
    keep,
    load,
    store,
    tap_rows,
    whole_windows,
)
from neocog.kernels.pooling.windows import WindowGradient, WindowPooling, small_pooling

__all__ = ["avg_pool_backward", "avg_pool_forward", "kinds"]


def _total(emit, values):
    """The sum of values, in pairs, so that additions need not wait for each other."""
    while len(values) > 1:
        odd = values[len(values) // 2 * 2 :]
        values = [emit.add(a, b) for a, b in zip(values[::2], values[1::2], strict=False)] + odd
    return values[0]


@block(nothing)
def mean_unrolled(emit, spec, some, x, y):
    """The means of a window inside the map; x points to its first tap."""
    rows = tap_rows(emit, spec, spec.x, x)
    for at in range(0, len(some) * LANES if rows else 0, LANES):
        places = [j * spec.x.pixel + at for j in range(spec.unrolled)]
        total = _total(emit, [emit.load(row, place) for row in rows for place in places])
        emit.store(emit.mul(total, emit.constant(spec.scale)), y, at)


@inlined
def whole_means(spec, some, x, y, begin, end):
    """The means of a row's windows begin … end, which lie in the map."""
    x = advance(x, (begin * spec.columns.stride - spec.columns.padding) * spec.x.pixel)
    y = advance(y, begin * spec.y.pixel)
    for _ in range(begin, end):
        mean_unrolled(spec, some, x, y)
        x = advance(x, rolled(spec.columns.stride * spec.x.pixel))
        y = advance(y, spec.y.pixel)


def _add_taps(emit, spec, sums, x, taps):
    added = []
    for v, total in enumerate(sums):
        values = [load(emit, spec, spec.x, x, j * spec.x.pixel + v * LANES) for j in range(taps)]
        added.append(emit.add(total, _total(emit, values)))
    return added


@block(accumulators)
def add_four(emit, spec, sums, x):
    """Add four taps of a row."""
    return _add_taps(emit, spec, sums, x, 4)


@block(accumulators)
def add_one(emit, spec, sums, x):
    """Add one tap."""
    return _add_taps(emit, spec, sums, x, 1)


@block(nothing)
def mean_finish(emit, spec, sums, scale, y):
    """Write the means."""
    for v, total in enumerate(sums):
        store(emit, spec, spec.y, emit.mul(total, emit.splat(scale)), y, v * LANES)


@inlined
def add_row(spec, sums, x, taps):
    """Add taps that lie side by side."""
    fours = taps // 4 * 4
    for j in range(0, fours, 4):
        sums = add_four(spec, sums, advance(x, j * spec.x.pixel))
    for j in range(fours, taps):
        sums = add_one(spec, sums, advance(x, j * spec.x.pixel))
    return sums


@inlined
def window_scale(spec, row, column):
    """1 / d of a window."""
    taps = spec.row_counts[row] * spec.column_counts[column]
    return float32(1.0) / float32(taps)


@inlined
def some_means(spec, sums, x, y, row, column):
    """The means of any window, for as many channels as there are sums."""
    top, left = spec.rows.firsts[row], spec.columns.firsts[column]
    rows, columns = spec.rows.ends[row] - top, spec.columns.ends[column] - left
    if columns * spec.x.pixel == spec.x.row:
        rows, columns = 1, rows * columns
    corner = advance(x, top * spec.x.row + left * spec.x.pixel)
    for i in range(rows):
        sums = add_row(spec, sums, advance(corner, i * spec.x.row), columns)
    mean_finish(spec, sums, window_scale(spec, row, column), y)


@inlined
def any_window(spec, x, y, row, column):
    """The means of any window."""
    c = 0
    while c < spec.floats:
        from_x, to = advance(x, c), advance(y, c)
        if c + 4 * LANES <= spec.floats and not spec.dense:
            some_means(spec, zeros(4), from_x, to, row, column)
            c += 4 * LANES
        elif c + 2 * LANES <= spec.floats and not spec.dense:
            some_means(spec, zeros(2), from_x, to, row, column)
            c += 2 * LANES
        else:
            some_means(spec, zeros(1), from_x, to, row, column)
            c += LANES


@kernel(x=FLOATS, y=FLOATS)
def avg_pool_forward(spec, o, first, count):
    """y from x."""
    for n in range(count):
        x_map = advance(o.x, n * spec.x.size + spec.x.start)
        y_map = advance(o.y, n * spec.y.size + spec.y.start)
        for row in range(spec.y.height):
            y_row = advance(y_map, row * spec.y.row)
            begin, end = whole_windows(spec, row)
            if spec.unrolled > 0:
                x_row = advance(x_map, spec.rows.firsts[row] * spec.x.row)
                c = 0
                while c < spec.floats:
                    x, y = advance(x_row, c), advance(y_row, c)
                    if c + 4 * LANES <= spec.floats:
                        whole_means(spec, zeros(4), x, y, begin, end)
                        c += 4 * LANES
                    elif c + 2 * LANES <= spec.floats:
                        whole_means(spec, zeros(2), x, y, begin, end)
                        c += 2 * LANES
                    else:
                        whole_means(spec, zeros(1), x, y, begin, end)
                        c += LANES
            for n_th in range(spec.y.width - (end - begin)):
                column = n_th if n_th < begin else n_th + end - begin
                any_window(spec, x_map, advance(y_row, column * spec.y.pixel), row, column)


# Gradient


@block(accumulators)
def shares(emit, spec, some, scale, dy):
    """A window's dy / d."""
    at = range(0, len(some) * LANES, LANES)
    return [emit.mul(load(emit, spec, spec.dy, dy, place), emit.splat(scale)) for place in at]


@block(nothing)
def keep_unrolled(emit, spec, held, dx):
    """Write dy / d to the taps of a window of 2 × 2; dx points to the first."""
    for v in range(len(held) if spec.paired else 0):
        for tap in range(4):
            place = tap // 2 * spec.dx.row + tap % 2 * spec.dx.pixel
            emit.store(held[v], dx, place + v * LANES)


@inlined
def spread_window(spec, held, dx, row, column):
    """A window's dy / d to its taps."""
    if spec.paired:
        keep_unrolled(spec, held, advance(dx, 2 * (row * spec.dx.row + column * spec.dx.pixel)))
    else:
        for h in range(spec.rows.firsts[row], spec.rows.ends[row]):
            for w in range(spec.columns.firsts[column], spec.columns.ends[column]):
                keep(spec, held, advance(dx, h * spec.dx.row + w * spec.dx.pixel))


@inlined
def spread_row(spec, some, dy, dx, row):
    """dy / d of a row of windows to their taps, for some vectors of channels."""
    scale = float32(spec.scale)
    for column in range(spec.dy.width):
        if not spec.is_uniform:
            scale = window_scale(spec, row, column)
        spread_window(spec, shares(spec, some, scale, dy), dx, row, column)
        dy = advance(dy, rolled(spec.dy.pixel))


@inlined
def spread_means(spec, dy_map, dx_map):
    """Every window's dy / d to its taps, for windows that do not overlap."""
    for row in range(spec.dy.height):
        dy_row = advance(dy_map, row * spec.dy.row)
        c = 0
        while c < spec.floats:
            dy, dx = advance(dy_row, c), advance(dx_map, c)
            if c + 4 * LANES <= spec.floats and not spec.dense:
                spread_row(spec, zeros(4), dy, dx, row)
                c += 4 * LANES
            elif c + 2 * LANES <= spec.floats and not spec.dense:
                spread_row(spec, zeros(2), dy, dx, row)
                c += 2 * LANES
            else:
                spread_row(spec, zeros(1), dy, dx, row)
                c += LANES
    clear_rest(spec, dx_map)


@block(accumulators)
def add_scaled(emit, spec, sums, scale, dy):
    """Add dy / d."""
    slopes = [load(emit, spec, spec.dy, dy, v * LANES) for v in range(len(sums))]
    return [emit.fma(slope, emit.splat(scale), t) for slope, t in zip(slopes, sums, strict=True)]


@inlined
def gather_row(spec, none, dy, dx, h):
    """The sums of a row's pixels over their windows, for as many channels as there are zeros."""
    begin, end = spec.rows.first_windows[h], spec.rows.end_windows[h]
    scale = float32(spec.scale)
    for w in range(spec.dx.width):
        sums = none
        left, right = spec.columns.first_windows[w], spec.columns.end_windows[w]
        slope_row = advance(dy, left * spec.dy.pixel)
        for row in range(begin, end):
            slope = slope_row
            for column in range(left, right):
                if not spec.is_uniform:
                    scale = window_scale(spec, row, column)
                sums = add_scaled(spec, sums, scale, slope)
                slope = advance(slope, spec.dy.pixel)
            slope_row = advance(slope_row, spec.dy.row)
        keep(spec, sums, dx)
        dx = advance(dx, spec.dx.pixel)


@inlined
def gather_means(spec, dy_map, dx_map):
    """Every pixel's sum over the windows that contain it."""
    for h in range(spec.dx.height):
        dy_row = advance(dy_map, spec.rows.first_windows[h] * spec.dy.row)
        dx_row = advance(dx_map, h * spec.dx.row)
        c = 0
        while c < spec.floats:
            dy, dx = advance(dy_row, c), advance(dx_row, c)
            if c + 4 * LANES <= spec.floats and not spec.dense:
                gather_row(spec, zeros(4), dy, dx, h)
                c += 4 * LANES
            elif c + 2 * LANES <= spec.floats and not spec.dense:
                gather_row(spec, zeros(2), dy, dx, h)
                c += 2 * LANES
            else:
                gather_row(spec, zeros(1), dy, dx, h)
                c += LANES


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
