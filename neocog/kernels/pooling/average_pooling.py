"""Mean pooling with any windows, and its gradient.

The pixels of a window are its taps; only those inside the map count: see `windows.py`
(`neocog.reference.avg_pool2d_forward` and `avg_pool2d_backward`).

    forward   y = Σ over the window / d
    backward  dx[p] = Σ dy / d over the windows that contain p

d is the number of the window's taps: all of them, those in the map or its padding, or those in the
map; or it is the same number for all windows. Windows of 2 × 2 and 3 × 3 inside the map are
unrolled, others are loops. The mean of a whole map without a border is one long sum.
"""

from neocog.kernels.codegen.block import accumulators, block, nothing
from neocog.kernels.codegen.pointers import advance, zeros
from neocog.kernels.codegen.vector_types import FLOATS, LANES, float32
from neocog.kernels.compiler.jit import inlined, kernel
from neocog.kernels.pooling.channels import clear_rest, keep, load, store, whole_windows

__all__ = ["avg_pool_backward", "avg_pool_forward"]


def _total(emit, values):
    """The sum of values, in pairs, so that additions need not wait for each other."""
    while len(values) > 1:
        odd = values[len(values) // 2 * 2 :]
        values = [emit.add(a, b) for a, b in zip(values[::2], values[1::2], strict=False)] + odd
    return values[0]


@block(nothing)
def mean_unrolled(emit, spec, x, y):
    """The means of a window inside the map; x points to its first tap."""
    taps = range(spec.unrolled)
    values = [emit.load(x, i * spec.x.row + j * spec.x.pixel) for i in taps for j in taps]
    if values:
        emit.store(emit.mul(_total(emit, values), emit.constant(spec.scale)), y)


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
    if not spec.dense:
        while c + 4 * LANES <= spec.floats:
            some_means(spec, zeros(4), advance(x, c), advance(y, c), row, column)
            c += 4 * LANES
    while c < spec.floats:
        some_means(spec, zeros(1), advance(x, c), advance(y, c), row, column)
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
                for column in range(begin, end):
                    x = advance(
                        x_row, (column * spec.columns.stride - spec.columns.padding) * spec.x.pixel
                    )
                    y = advance(y_row, column * spec.y.pixel)
                    for c in range(0, spec.floats, LANES):
                        mean_unrolled(spec, advance(x, c), advance(y, c))
            for n_th in range(spec.y.width - (end - begin)):
                column = n_th if n_th < begin else n_th + end - begin
                any_window(spec, x_map, advance(y_row, column * spec.y.pixel), row, column)


# Gradient


@block(accumulators)
def add_scaled(emit, spec, sums, scale, dy):
    """Add dy / d."""
    slopes = [load(emit, spec, spec.dy, dy, v * LANES) for v in range(len(sums))]
    return [emit.fma(slope, emit.splat(scale), t) for slope, t in zip(slopes, sums, strict=True)]


@inlined
def some_gathered(spec, sums, dy, dx, h, w):
    """A pixel's sum over its windows, for as many channels as there are sums."""
    for row in range(spec.rows.first_windows[h], spec.rows.end_windows[h]):
        for column in range(spec.columns.first_windows[w], spec.columns.end_windows[w]):
            scale = window_scale(spec, row, column)
            sums = add_scaled(
                spec, sums, scale, advance(dy, row * spec.dy.row + column * spec.dy.pixel)
            )
    keep(spec, sums, dx)


@inlined
def gather_means(spec, dy, dx):
    """Every pixel's sum over the windows that contain it."""
    for h in range(spec.dx.height):
        for w in range(spec.dx.width):
            to = advance(dx, h * spec.dx.row + w * spec.dx.pixel)
            c = 0
            if not spec.dense:
                while c + 4 * LANES <= spec.floats:
                    some_gathered(spec, zeros(4), advance(dy, c), advance(to, c), h, w)
                    c += 4 * LANES
            while c < spec.floats:
                some_gathered(spec, zeros(1), advance(dy, c), advance(to, c), h, w)
                c += LANES


@inlined
def some_spread(spec, sums, dy, dx, row, column):
    """A window's dy / d to all of its pixels, for as many channels as there are sums."""
    sums = add_scaled(spec, sums, window_scale(spec, row, column), dy)
    left, right = spec.columns.firsts[column], spec.columns.ends[column]
    for h in range(spec.rows.firsts[row], spec.rows.ends[row]):
        for w in range(left, right):
            keep(spec, sums, advance(dx, h * spec.dx.row + w * spec.dx.pixel))


@inlined
def spread_means(spec, dy, dx):
    """Every window's dy / d to its pixels, for windows that do not overlap."""
    for row in range(spec.dy.height):
        for column in range(spec.dy.width):
            slope = advance(dy, row * spec.dy.row + column * spec.dy.pixel)
            c = 0
            if not spec.dense:
                while c + 4 * LANES <= spec.floats:
                    some_spread(spec, zeros(4), advance(slope, c), advance(dx, c), row, column)
                    c += 4 * LANES
            while c < spec.floats:
                some_spread(spec, zeros(1), advance(slope, c), advance(dx, c), row, column)
                c += LANES
    clear_rest(spec, dx)


@kernel(dy=FLOATS, dx=FLOATS)
def avg_pool_backward(spec, o, first, count):
    """dx, which is written except for its border, from dy."""
    for n in range(count):
        dy = advance(o.dy, n * spec.dy.size + spec.dy.start)
        dx = advance(o.dx, n * spec.dx.size + spec.dx.start)
        if spec.is_tiled:
            spread_means(spec, dy, dx)
        else:
            gather_means(spec, dy, dx)
