"""Max and mean pooling with any window, stride and padding, and their gradients.

The pixels of a window are its taps, t = i · kw + j; only those inside the map count: see
`windows.py` (`neocog.reference.max_pool2d_forward`, `avg_pool2d_forward` and their gradients).

    maximum   y = max over the window; the winner is the number of its tap: the first of equal ones,
              but the last of NaNs, which are larger than any number, as in PyTorch
    mean      y = Σ over the window / d,   d = kh · kw, or the number of taps that lie in the map
    backward  dx[p] = Σ dy over the windows that p won,  or  Σ dy / d over those that contain p

Each element of dx sums over its windows, so nothing is written twice; if windows tile the map, each
vector of dy is read once and distributed. Windows of a few taps inside the map are unrolled, others
are loops. Pooling a whole map to one pixel is one large window.
"""

from math import nan

from neocog.kernels.codegen.block import accumulators, block, nothing
from neocog.kernels.codegen.pointers import advance, pointer, rolled, zeros
from neocog.kernels.codegen.vector_types import FLOATS, INTS, LANES, float32, vectors
from neocog.kernels.compiler.jit import inlined, kernel
from neocog.kernels.pooling.windows import (
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


def _larger_of(emit, value, best):
    """The lanes in which a value replaces the best so far."""
    return emit.either(emit.greater(value, best), emit.unordered(value, value))


def _maximum(emit, values):
    """The maximum without the winner: NaN is detected in pairs, and inserted at the end."""
    best = values[0]
    for value in values[1:]:
        best = emit.larger(value, best)
    is_nan = emit.unordered(values[0], values[-1])
    for one, other in zip(values[1:-1:2], values[2::2], strict=False):
        is_nan = emit.either(is_nan, emit.unordered(one, other))
    return emit.select(is_nan, emit.constant(nan), best)


@block(nothing)
def max_straight(emit, spec, x, y, won):
    """The maxima of a window inside the map; x points to its first tap."""
    if not spec.small:
        return
    for at in range(0, spec.straight, LANES):
        values = [emit.load_first(x, place + at, spec.x.pixel) for place in spec.places(spec.x)]
        if not spec.winners:
            emit.store_first(_maximum(emit, values), y, at, spec.y.pixel)
            continue
        best, winner = values[0], emit.indices(0)
        for tap, value in enumerate(values[1:], 1):
            wins = _larger_of(emit, value, best)
            best, winner = (
                emit.select(wins, value, best),
                emit.select(wins, emit.indices(tap), winner),
            )
        emit.store_first(best, y, at, spec.y.pixel)
        emit.store_first(winner, won, at, spec.won.pixel)


@block(lambda spec, *_: vectors(2 * spec.together))
def max_start(emit, spec, x, tap):
    """Start with the first tap: its values, then its number, as floats."""
    values = [emit.load_first(x, at, spec.x.pixel) for at in range(0, spec.some, LANES)]
    return [*values, *[emit.splat(tap)] * spec.together]


@block(accumulators)
def max_tap(emit, spec, best, x, tap):
    """Compare one more tap."""
    values, winners = list(best[: spec.together]), list(best[spec.together :])
    for v in range(spec.together):
        value = emit.load_first(x, v * LANES, spec.x.pixel)
        wins = _larger_of(emit, value, values[v])
        values[v] = emit.select(wins, value, values[v])
        winners[v] = emit.select(wins, emit.splat(tap), winners[v])
    return [*values, *winners]


@block(nothing)
def max_finish(emit, spec, best, y, won):
    """Write the maxima, and which taps they were."""
    for v in range(spec.together):
        emit.store_first(best[v], y, v * LANES, spec.y.pixel)
        if spec.winners:
            winner = emit.to_indices(best[spec.together + v])
            emit.store_first(winner, won, v * LANES, spec.won.pixel)


@inlined
def max_window(spec, x, rows, columns):
    """The maxima of any window, tap by tap."""
    corner = advance(x, rows[0] * spec.x.row + columns[0] * spec.x.pixel)
    best = max_start(spec, corner, float32(rows[0] * spec.kernel_w + columns[0]))
    for i in range(rows[0], rows[1]):
        for j in range(columns[0], columns[1]):
            tap = advance(x, i * spec.x.row + j * spec.x.pixel)
            best = max_tap(spec, best, tap, float32(i * spec.kernel_w + j))
    return best


@kernel
def max_pool_forward(spec, operands, first, count):
    """Operands: x, y, winners (int32, as y without its border)."""
    for n in range(count):
        x_map = advance(pointer(operands, 0, FLOATS), n * spec.x.size + spec.x.start)
        y_map = advance(pointer(operands, 1, FLOATS), n * spec.y.size + spec.y.start)
        won_map = advance(pointer(operands, 2, INTS), n * spec.won.size)
        for row in range(rolled(spec.y.height)):
            rows = rows_of(spec, row)
            x_row = advance(x_map, (row * spec.stride_h - spec.padding_h) * spec.x.row)
            for column in range(rolled(spec.y.width)):
                columns = columns_of(spec, column)
                x = advance(x_row, (column * spec.stride_w - spec.padding_w) * spec.x.pixel)
                y = advance(y_map, row * spec.y.row + column * spec.y.pixel)
                won = advance(won_map, row * spec.won.row + column * spec.won.pixel)
                if is_straight(spec, rows, columns):
                    for c in range(0, rolled(spec.floats), spec.straight):
                        max_straight(spec, advance(x, c), advance(y, c), advance(won, c))
                else:
                    for c in range(0, rolled(spec.floats), spec.some):
                        best = max_window(spec, advance(x, c), rows, columns)
                        max_finish(spec, best, advance(y, c), advance(won, c))


@block(nothing)
def spread_won(emit, spec, dy, won, dx):
    """Write dy to its winners and zero to the other taps, for windows that do not overlap."""
    if not spec.tiled:
        return
    for at in range(0, spec.straight, LANES):
        slope = emit.load_first(dy, at, spec.dy.pixel)
        winner = emit.load_first_indices(won, at, spec.won.pixel)
        for tap, place in enumerate(spec.places(spec.dx)):
            mine = emit.equal_indices(winner, emit.indices(tap))
            emit.store_first(
                emit.select(mine, slope, emit.constant(0.0)), dx, place + at, spec.dx.pixel
            )


@block(accumulators)
def add_won(emit, spec, sums, dy, won, tap):
    """Add dy where the tap has won."""
    wanted, none = emit.splat_indices(tap), emit.constant(0.0)
    added = []
    for v, total in enumerate(sums):
        slope = emit.load_first(dy, v * LANES, spec.dy.pixel)
        winner = emit.load_first_indices(won, v * LANES, spec.won.pixel)
        added.append(emit.add(total, emit.select(emit.equal_indices(winner, wanted), slope, none)))
    return added


@block(nothing)
def keep(emit, spec, sums, dx):
    """Write the sums of one pixel."""
    for v, total in enumerate(sums):
        emit.store_first(total, dx, v * LANES, spec.dx.pixel)


@inlined
def clear_rest(spec, dx):
    """Write zeros where the windows leave out the end of a row or column."""
    for h in range(rolled(spec.dx.height)):
        covered = spec.dy.width * spec.stride_w if h < spec.dy.height * spec.stride_h else 0
        for w in range(covered, rolled(spec.dx.width)):
            for c in range(0, rolled(spec.floats), spec.some):
                keep(
                    spec, zeros(spec.together), advance(dx, h * spec.dx.row + w * spec.dx.pixel + c)
                )


@inlined
def gather_won(spec, dy, won, dx):
    """Every pixel's sum over the windows that contain it."""
    for h in range(rolled(spec.dx.height)):
        rows = windows_over(h, spec.kernel_h, spec.stride_h, spec.padding_h, spec.dy.height)
        for w in range(rolled(spec.dx.width)):
            columns = windows_over(w, spec.kernel_w, spec.stride_w, spec.padding_w, spec.dy.width)
            to = h * spec.dx.row + w * spec.dx.pixel
            for c in range(0, rolled(spec.floats), spec.some):
                sums = zeros(spec.together)
                for row in range(rows[0], rows[1]):
                    i = h + spec.padding_h - row * spec.stride_h
                    for column in range(columns[0], columns[1]):
                        j = w + spec.padding_w - column * spec.stride_w
                        slope = advance(dy, row * spec.dy.row + column * spec.dy.pixel + c)
                        winner = advance(won, row * spec.won.row + column * spec.won.pixel + c)
                        sums = add_won(spec, sums, slope, winner, i * spec.kernel_w + j)
                keep(spec, sums, advance(dx, to + c))


@kernel
def max_pool_backward(spec, operands, first, count):
    """Operands: dy, winners, dx, which is written except for its border."""
    for n in range(count):
        dy = advance(pointer(operands, 0, FLOATS), n * spec.dy.size + spec.dy.start)
        won = advance(pointer(operands, 1, INTS), n * spec.won.size)
        dx = advance(pointer(operands, 2, FLOATS), n * spec.dx.size + spec.dx.start)
        if spec.tiled:
            for row in range(rolled(spec.dy.height)):
                for column in range(rolled(spec.dy.width)):
                    slope = advance(dy, row * spec.dy.row + column * spec.dy.pixel)
                    winner = advance(won, row * spec.won.row + column * spec.won.pixel)
                    corner = (
                        row * spec.stride_h * spec.dx.row + column * spec.stride_w * spec.dx.pixel
                    )
                    for c in range(0, rolled(spec.floats), spec.straight):
                        to = advance(dx, corner + c)
                        spread_won(spec, advance(slope, c), advance(winner, c), to)
            clear_rest(spec, dx)
        else:
            gather_won(spec, dy, won, dx)


# Mean


@inlined
def window_scale(spec, rows, columns):
    """1 / d of a window."""
    if spec.counted:
        taps = (rows[1] - rows[0]) * (columns[1] - columns[0])
        return float32(1.0) / float32(taps)
    return float32(spec.scale)


def _total(emit, values):
    """The sum of values, in pairs, so that additions need not wait for each other."""
    while len(values) > 1:
        odd = values[len(values) // 2 * 2 :]
        values = [emit.add(a, b) for a, b in zip(values[::2], values[1::2], strict=False)] + odd
    return values[0]


@block(nothing)
def mean_straight(emit, spec, x, y):
    """The means of a window inside the map; x points to its first tap."""
    if not spec.small:
        return
    for at in range(0, spec.straight, LANES):
        values = [emit.load_first(x, place + at, spec.x.pixel) for place in spec.places(spec.x)]
        emit.store_first(
            emit.mul(_total(emit, values), emit.constant(spec.scale)), y, at, spec.y.pixel
        )


def _add_taps(emit, spec, sums, x, taps):
    added = []
    for v, total in enumerate(sums):
        places = [j * spec.x.pixel + v * LANES for j in range(taps)]
        added.append(
            emit.add(total, _total(emit, [emit.load_first(x, at, spec.x.pixel) for at in places]))
        )
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
        emit.store_first(emit.mul(total, emit.splat(scale)), y, v * LANES, spec.y.pixel)


@inlined
def sum_window(spec, x, rows, columns):
    """The sums of any window, a few taps at a time."""
    sums = zeros(spec.together)
    fours = columns[0] + (columns[1] - columns[0]) // 4 * 4
    for i in range(rows[0], rows[1]):
        line = advance(x, i * spec.x.row)
        for j in range(columns[0], fours, 4):
            sums = add_four(spec, sums, advance(line, j * spec.x.pixel))
        for j in range(fours, columns[1]):
            sums = add_one(spec, sums, advance(line, j * spec.x.pixel))
    return sums


@kernel
def avg_pool_forward(spec, operands, first, count):
    """Operands: x, y."""
    for n in range(count):
        x_map = advance(pointer(operands, 0, FLOATS), n * spec.x.size + spec.x.start)
        y_map = advance(pointer(operands, 1, FLOATS), n * spec.y.size + spec.y.start)
        for row in range(rolled(spec.y.height)):
            rows = rows_of(spec, row)
            x_row = advance(x_map, (row * spec.stride_h - spec.padding_h) * spec.x.row)
            for column in range(rolled(spec.y.width)):
                columns = columns_of(spec, column)
                x = advance(x_row, (column * spec.stride_w - spec.padding_w) * spec.x.pixel)
                y = advance(y_map, row * spec.y.row + column * spec.y.pixel)
                if is_straight(spec, rows, columns):
                    for c in range(0, rolled(spec.floats), spec.straight):
                        mean_straight(spec, advance(x, c), advance(y, c))
                else:
                    scale = window_scale(spec, rows, columns)
                    for c in range(0, rolled(spec.floats), spec.some):
                        sums = sum_window(spec, advance(x, c), rows, columns)
                        mean_finish(spec, sums, scale, advance(y, c))


@block(nothing)
def spread_mean(emit, spec, dy, dx):
    """Write dy / d to every tap, for windows that do not overlap."""
    if not spec.tiled:
        return
    for at in range(0, spec.straight, LANES):
        slope = emit.mul(emit.load_first(dy, at, spec.dy.pixel), emit.constant(spec.scale))
        for place in spec.places(spec.dx):
            emit.store_first(slope, dx, place + at, spec.dx.pixel)


@block(accumulators)
def add_scaled(emit, spec, sums, scale, dy):
    """Add dy / d."""
    slopes = [emit.load_first(dy, v * LANES, spec.dy.pixel) for v in range(len(sums))]
    return [emit.fma(slope, emit.splat(scale), t) for slope, t in zip(slopes, sums, strict=True)]


@inlined
def gather_means(spec, dy, dx):
    """Every pixel's sum over the windows that contain it."""
    for h in range(rolled(spec.dx.height)):
        rows = windows_over(h, spec.kernel_h, spec.stride_h, spec.padding_h, spec.dy.height)
        for w in range(rolled(spec.dx.width)):
            columns = windows_over(w, spec.kernel_w, spec.stride_w, spec.padding_w, spec.dy.width)
            to = h * spec.dx.row + w * spec.dx.pixel
            for c in range(0, rolled(spec.floats), spec.some):
                sums = zeros(spec.together)
                for row in range(rows[0], rows[1]):
                    for column in range(columns[0], columns[1]):
                        scale = window_scale(spec, rows_of(spec, row), columns_of(spec, column))
                        slope = advance(dy, row * spec.dy.row + column * spec.dy.pixel + c)
                        sums = add_scaled(spec, sums, scale, slope)
                keep(spec, sums, advance(dx, to + c))


@kernel
def avg_pool_backward(spec, operands, first, count):
    """Operands: dy, dx, which is written except for its border."""
    for n in range(count):
        dy = advance(pointer(operands, 0, FLOATS), n * spec.dy.size + spec.dy.start)
        dx = advance(pointer(operands, 1, FLOATS), n * spec.dx.size + spec.dx.start)
        if spec.tiled:
            for row in range(rolled(spec.dy.height)):
                for column in range(rolled(spec.dy.width)):
                    slope = advance(dy, row * spec.dy.row + column * spec.dy.pixel)
                    corner = (
                        row * spec.stride_h * spec.dx.row + column * spec.stride_w * spec.dx.pixel
                    )
                    for c in range(0, rolled(spec.floats), spec.straight):
                        spread_mean(spec, advance(slope, c), advance(dx, corner + c))
            clear_rest(spec, dx)
        else:
            gather_means(spec, dy, dx)
