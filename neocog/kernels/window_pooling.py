"""The maximum and the mean of windows of any size, with any stride and padding, and the way back.

A window's places are its taps, t = i · kw + j, of which those count that lie in the map: see
`windows.py` (`neocog.reference.max_pool2d_forward`, `avg_pool2d_forward` and their ways back).

    maximum   y = max over the window; the winner is the number of the tap that stood there: the
              first of equals, and of NaNs, which are larger than anything, the last, as in PyTorch
    mean      y = Σ over the window / d,   d = kh · kw, or the number of taps that lie in the map
    back      dx[p] = Σ dy over the windows that p won,  or  Σ dy / d over those that it lies in

The gradients are summed where they arrive, window after window, so nothing is written twice; where
windows tile the map, each vector of dy is read once and spread. Windows of a few taps that lie in
the map are straight code, the others loops. Pooling a whole map to one place is one large window.
"""

from math import nan

from neocog.kernels.compiling import inlined, kernel
from neocog.kernels.simd import (
    FLOATS,
    INTS,
    LANES,
    accumulators,
    advance,
    block,
    float32,
    nothing,
    pointer,
    rolled,
    vectors,
    zeros,
)
from neocog.kernels.windows import (
    WindowPooling,
    columns_of,
    is_straight,
    rows_of,
    windows_over,
)

__all__ = [
    "WindowPooling",
    "avg_pool_backward",
    "avg_pool_forward",
    "max_pool_backward",
    "max_pool_forward",
]

# Maximum


def _larger_of(e, value, best):
    """Where a value takes the place of the best so far."""
    return e.either(e.greater(value, best), e.unordered(value, value))


def _maximum(e, values):
    """The maximum alone: NaN is looked for in pairs, and put in at the end."""
    best = values[0]
    for value in values[1:]:
        best = e.larger(value, best)
    is_nan = e.unordered(values[0], values[-1])
    for one, other in zip(values[1:-1:2], values[2::2], strict=False):
        is_nan = e.either(is_nan, e.unordered(one, other))
    return e.select(is_nan, e.constant(nan), best)


@block(nothing)
def max_straight(e, s, x, y, won):
    """The maxima of a window that lies in the map, x standing at its first tap."""
    if not s.small:
        return
    for at in range(0, s.straight, LANES):
        values = [e.load_first(x, place + at, s.x.pixel) for place in s.places(s.x)]
        if not s.winners:
            e.store_first(_maximum(e, values), y, at, s.y.pixel)
            continue
        best, winner = values[0], e.indices(0)
        for tap, value in enumerate(values[1:], 1):
            wins = _larger_of(e, value, best)
            best, winner = e.select(wins, value, best), e.select(wins, e.indices(tap), winner)
        e.store_first(best, y, at, s.y.pixel)
        e.store_first(winner, won, at, s.won.pixel)


@block(lambda s, *_: vectors(2 * s.together))
def max_start(e, s, x, tap):
    """The largest so far is the first tap: values, then the number of the tap, as floats."""
    values = [e.load_first(x, at, s.x.pixel) for at in range(0, s.some, LANES)]
    return [*values, *[e.splat(tap)] * s.together]


@block(accumulators)
def max_tap(e, s, best, x, tap):
    """Look at one more tap."""
    values, winners = list(best[: s.together]), list(best[s.together :])
    for v in range(s.together):
        value = e.load_first(x, v * LANES, s.x.pixel)
        wins = _larger_of(e, value, values[v])
        values[v] = e.select(wins, value, values[v])
        winners[v] = e.select(wins, e.splat(tap), winners[v])
    return [*values, *winners]


@block(nothing)
def max_finish(e, s, best, y, won):
    """Write the maxima, and which taps they were."""
    for v in range(s.together):
        e.store_first(best[v], y, v * LANES, s.y.pixel)
        if s.winners:
            winner = e.to_indices(best[s.together + v])
            e.store_first(winner, won, v * LANES, s.won.pixel)


@inlined
def max_window(s, x, rows, columns):
    """The maxima of any window, tap by tap."""
    corner = advance(x, rows[0] * s.x.row + columns[0] * s.x.pixel)
    best = max_start(s, corner, float32(rows[0] * s.kernel_w + columns[0]))
    for i in range(rows[0], rows[1]):
        for j in range(columns[0], columns[1]):
            tap = advance(x, i * s.x.row + j * s.x.pixel)
            best = max_tap(s, best, tap, float32(i * s.kernel_w + j))
    return best


@kernel
def max_pool_forward(s, operands, first, count):
    """Operands: x, y, winners (int32, as y without its border)."""
    for n in range(count):
        x_map = advance(pointer(operands, 0, FLOATS), n * s.x.size + s.x.start)
        y_map = advance(pointer(operands, 1, FLOATS), n * s.y.size + s.y.start)
        won_map = advance(pointer(operands, 2, INTS), n * s.won.size)
        for row in range(rolled(s.y.height)):
            rows = rows_of(s, row)
            x_row = advance(x_map, (row * s.stride_h - s.padding_h) * s.x.row)
            for column in range(rolled(s.y.width)):
                columns = columns_of(s, column)
                x = advance(x_row, (column * s.stride_w - s.padding_w) * s.x.pixel)
                y = advance(y_map, row * s.y.row + column * s.y.pixel)
                won = advance(won_map, row * s.won.row + column * s.won.pixel)
                if is_straight(s, rows, columns):
                    for c in range(0, rolled(s.floats), s.straight):
                        max_straight(s, advance(x, c), advance(y, c), advance(won, c))
                else:
                    for c in range(0, rolled(s.floats), s.some):
                        best = max_window(s, advance(x, c), rows, columns)
                        max_finish(s, best, advance(y, c), advance(won, c))


@block(nothing)
def spread_won(e, s, dy, won, dx):
    """Pass dy to its winners and zero to the other taps, of a window that shares no place."""
    if not s.tiled:
        return
    for at in range(0, s.straight, LANES):
        slope = e.load_first(dy, at, s.dy.pixel)
        winner = e.load_first_indices(won, at, s.won.pixel)
        for tap, place in enumerate(s.places(s.dx)):
            mine = e.equal_indices(winner, e.indices(tap))
            e.store_first(e.select(mine, slope, e.constant(0.0)), dx, place + at, s.dx.pixel)


@block(accumulators)
def add_won(e, s, sums, dy, won, tap):
    """Add dy where the tap has won."""
    wanted, none = e.splat_indices(tap), e.constant(0.0)
    added = []
    for v, total in enumerate(sums):
        slope = e.load_first(dy, v * LANES, s.dy.pixel)
        winner = e.load_first_indices(won, v * LANES, s.won.pixel)
        added.append(e.add(total, e.select(e.equal_indices(winner, wanted), slope, none)))
    return added


@block(nothing)
def keep(e, s, sums, dx):
    """Write the sums of one place."""
    for v, total in enumerate(sums):
        e.store_first(total, dx, v * LANES, s.dx.pixel)


@inlined
def clear_rest(s, dx):
    """Zero where windows that tile the map leave the end of a row or column out."""
    for h in range(rolled(s.dx.height)):
        covered = s.dy.width * s.stride_w if h < s.dy.height * s.stride_h else 0
        for w in range(covered, rolled(s.dx.width)):
            for c in range(0, rolled(s.floats), s.some):
                keep(s, zeros(s.together), advance(dx, h * s.dx.row + w * s.dx.pixel + c))


@inlined
def gather_won(s, dy, won, dx):
    """Every place's sum over the windows that it lies in."""
    for h in range(rolled(s.dx.height)):
        rows = windows_over(h, s.kernel_h, s.stride_h, s.padding_h, s.dy.height)
        for w in range(rolled(s.dx.width)):
            columns = windows_over(w, s.kernel_w, s.stride_w, s.padding_w, s.dy.width)
            to = h * s.dx.row + w * s.dx.pixel
            for c in range(0, rolled(s.floats), s.some):
                sums = zeros(s.together)
                for row in range(rows[0], rows[1]):
                    i = h + s.padding_h - row * s.stride_h
                    for column in range(columns[0], columns[1]):
                        j = w + s.padding_w - column * s.stride_w
                        slope = advance(dy, row * s.dy.row + column * s.dy.pixel + c)
                        winner = advance(won, row * s.won.row + column * s.won.pixel + c)
                        sums = add_won(s, sums, slope, winner, i * s.kernel_w + j)
                keep(s, sums, advance(dx, to + c))


@kernel
def max_pool_backward(s, operands, first, count):
    """Operands: dy, winners, dx, of which all but the border is written."""
    for n in range(count):
        dy = advance(pointer(operands, 0, FLOATS), n * s.dy.size + s.dy.start)
        won = advance(pointer(operands, 1, INTS), n * s.won.size)
        dx = advance(pointer(operands, 2, FLOATS), n * s.dx.size + s.dx.start)
        if s.tiled:
            for row in range(rolled(s.dy.height)):
                for column in range(rolled(s.dy.width)):
                    slope = advance(dy, row * s.dy.row + column * s.dy.pixel)
                    winner = advance(won, row * s.won.row + column * s.won.pixel)
                    corner = row * s.stride_h * s.dx.row + column * s.stride_w * s.dx.pixel
                    for c in range(0, rolled(s.floats), s.straight):
                        to = advance(dx, corner + c)
                        spread_won(s, advance(slope, c), advance(winner, c), to)
            clear_rest(s, dx)
        else:
            gather_won(s, dy, won, dx)


# Mean


@inlined
def window_scale(s, rows, columns):
    """1 / d of a window."""
    if s.counted:
        taps = (rows[1] - rows[0]) * (columns[1] - columns[0])
        return float32(1.0) / float32(taps)
    return float32(s.scale)


def _total(e, values):
    """Their sum, in pairs: the processor need not wait for each addition."""
    while len(values) > 1:
        odd = values[len(values) // 2 * 2 :]
        values = [e.add(a, b) for a, b in zip(values[::2], values[1::2], strict=False)] + odd
    return values[0]


@block(nothing)
def mean_straight(e, s, x, y):
    """The means of a window that lies in the map, x standing at its first tap."""
    if not s.small:
        return
    for at in range(0, s.straight, LANES):
        values = [e.load_first(x, place + at, s.x.pixel) for place in s.places(s.x)]
        e.store_first(e.mul(_total(e, values), e.constant(s.scale)), y, at, s.y.pixel)


def _add_taps(e, s, sums, x, taps):
    added = []
    for v, total in enumerate(sums):
        places = [j * s.x.pixel + v * LANES for j in range(taps)]
        added.append(e.add(total, _total(e, [e.load_first(x, at, s.x.pixel) for at in places])))
    return added


@block(accumulators)
def add_four(e, s, sums, x):
    """Add four taps of a row."""
    return _add_taps(e, s, sums, x, 4)


@block(accumulators)
def add_one(e, s, sums, x):
    """Add one tap."""
    return _add_taps(e, s, sums, x, 1)


@block(nothing)
def mean_finish(e, s, sums, scale, y):
    """Write the means."""
    for v, total in enumerate(sums):
        e.store_first(e.mul(total, e.splat(scale)), y, v * LANES, s.y.pixel)


@inlined
def sum_window(s, x, rows, columns):
    """The sums of any window, a few taps at a time."""
    sums = zeros(s.together)
    fours = columns[0] + (columns[1] - columns[0]) // 4 * 4
    for i in range(rows[0], rows[1]):
        line = advance(x, i * s.x.row)
        for j in range(columns[0], fours, 4):
            sums = add_four(s, sums, advance(line, j * s.x.pixel))
        for j in range(fours, columns[1]):
            sums = add_one(s, sums, advance(line, j * s.x.pixel))
    return sums


@kernel
def avg_pool_forward(s, operands, first, count):
    """Operands: x, y."""
    for n in range(count):
        x_map = advance(pointer(operands, 0, FLOATS), n * s.x.size + s.x.start)
        y_map = advance(pointer(operands, 1, FLOATS), n * s.y.size + s.y.start)
        for row in range(rolled(s.y.height)):
            rows = rows_of(s, row)
            x_row = advance(x_map, (row * s.stride_h - s.padding_h) * s.x.row)
            for column in range(rolled(s.y.width)):
                columns = columns_of(s, column)
                x = advance(x_row, (column * s.stride_w - s.padding_w) * s.x.pixel)
                y = advance(y_map, row * s.y.row + column * s.y.pixel)
                if is_straight(s, rows, columns):
                    for c in range(0, rolled(s.floats), s.straight):
                        mean_straight(s, advance(x, c), advance(y, c))
                else:
                    scale = window_scale(s, rows, columns)
                    for c in range(0, rolled(s.floats), s.some):
                        sums = sum_window(s, advance(x, c), rows, columns)
                        mean_finish(s, sums, scale, advance(y, c))


@block(nothing)
def spread_mean(e, s, dy, dx):
    """Pass dy / d to every tap, of a window that shares no place."""
    if not s.tiled:
        return
    for at in range(0, s.straight, LANES):
        slope = e.mul(e.load_first(dy, at, s.dy.pixel), e.constant(s.scale))
        for place in s.places(s.dx):
            e.store_first(slope, dx, place + at, s.dx.pixel)


@block(accumulators)
def add_scaled(e, s, sums, scale, dy):
    """Add dy / d."""
    slopes = [e.load_first(dy, v * LANES, s.dy.pixel) for v in range(len(sums))]
    return [e.fma(slope, e.splat(scale), t) for slope, t in zip(slopes, sums, strict=True)]


@inlined
def gather_means(s, dy, dx):
    """Every place's sum over the windows that it lies in."""
    for h in range(rolled(s.dx.height)):
        rows = windows_over(h, s.kernel_h, s.stride_h, s.padding_h, s.dy.height)
        for w in range(rolled(s.dx.width)):
            columns = windows_over(w, s.kernel_w, s.stride_w, s.padding_w, s.dy.width)
            to = h * s.dx.row + w * s.dx.pixel
            for c in range(0, rolled(s.floats), s.some):
                sums = zeros(s.together)
                for row in range(rows[0], rows[1]):
                    for column in range(columns[0], columns[1]):
                        scale = window_scale(s, rows_of(s, row), columns_of(s, column))
                        slope = advance(dy, row * s.dy.row + column * s.dy.pixel + c)
                        sums = add_scaled(s, sums, scale, slope)
                keep(s, sums, advance(dx, to + c))


@kernel
def avg_pool_backward(s, operands, first, count):
    """Operands: dy, dx, of which all but the border is written."""
    for n in range(count):
        dy = advance(pointer(operands, 0, FLOATS), n * s.dy.size + s.dy.start)
        dx = advance(pointer(operands, 1, FLOATS), n * s.dx.size + s.dx.start)
        if s.tiled:
            for row in range(rolled(s.dy.height)):
                for column in range(rolled(s.dy.width)):
                    slope = advance(dy, row * s.dy.row + column * s.dy.pixel)
                    corner = row * s.stride_h * s.dx.row + column * s.stride_w * s.dx.pixel
                    for c in range(0, rolled(s.floats), s.straight):
                        spread_mean(s, advance(slope, c), advance(dx, corner + c))
            clear_rest(s, dx)
        else:
            gather_means(s, dy, dx)
