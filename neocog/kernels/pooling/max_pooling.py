"""Max pooling with any windows, and its gradient.

The pixels of a window are its taps, numbered from 0; only those inside the map count: see
`windows.py` (`neocog.reference.max_pool2d_forward` and `max_pool2d_backward`).

    forward   y = max over the window; the winner is the number of its tap: the first of equal ones,
              but the last of NaNs, which are larger than any number, as in PyTorch
    backward  dx[p] = Σ dy over the windows that p won

Each element of dx sums over its windows, so nothing is written twice; if windows tile the map, each
vector of dy is read once and distributed. Windows of 2 × 2 and 3 × 3 inside the map are unrolled,
others are loops. Pooling a whole map to one pixel is one large window.
"""

from math import nan

from neocog.kernels.codegen.block import accumulators, block, nothing
from neocog.kernels.codegen.pointers import advance, zeros
from neocog.kernels.codegen.vector_types import FLOATS, INTS, LANES, float32
from neocog.kernels.compiler.jit import inlined, kernel
from neocog.kernels.compiler.operands import maybe
from neocog.kernels.pooling.channels import (
    clear_rest,
    keep,
    load,
    load_winner,
    store,
    whole_windows,
)

__all__ = ["max_pool_backward", "max_pool_forward"]


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
def max_unrolled(emit, spec, x, y, won):
    """The maxima of a window inside the map; x points to its first tap."""
    taps = range(spec.unrolled)
    values = [emit.load(x, i * spec.x.row + j * spec.x.pixel) for i in taps for j in taps]
    if not values:
        return
    if not spec.tracked:
        emit.store(_maximum(emit, values), y)
        return
    best, winner = values[0], emit.indices(0)
    for tap, value in enumerate(values[1:], 1):
        wins = _larger_of(emit, value, best)
        best = emit.select(wins, value, best)
        winner = emit.select(wins, emit.indices(tap), winner)
    emit.store(best, y)
    emit.store(winner, won)


@block(accumulators)
def max_start(emit, spec, best, x, tap):
    """Start with the first tap: its values, then its number, as floats."""
    together = len(best) // 2
    values = [load(emit, spec, spec.x, x, v * LANES) for v in range(together)]
    return [*values, *[emit.splat(tap)] * together]


@block(accumulators)
def max_tap(emit, spec, best, x, tap):
    """Compare one more tap."""
    together = len(best) // 2
    values, winners = list(best[:together]), list(best[together:])
    for v in range(together):
        value = load(emit, spec, spec.x, x, v * LANES)
        wins = _larger_of(emit, value, values[v])
        values[v] = emit.select(wins, value, values[v])
        winners[v] = emit.select(wins, emit.splat(tap), winners[v])
    return [*values, *winners]


@block(nothing)
def max_finish(emit, spec, best, y):
    """Write the maxima."""
    for v in range(len(best) // 2):
        store(emit, spec, spec.y, best[v], y, v * LANES)


@block(nothing)
def winner_finish(emit, spec, best, won):
    """Write which taps they were."""
    together = len(best) // 2
    for v in range(together):
        winner = emit.to_indices(best[together + v])
        store(emit, spec, spec.won, winner, won, v * LANES)


@inlined
def some_maxima(spec, best, x, y, won, row, column):
    """The maxima of any window, tap by tap, for as many channels as `best` is for."""
    top, left = spec.rows.firsts[row], spec.columns.firsts[column]
    up, before = spec.rows.origins[row], spec.columns.origins[column]
    best = max_start(
        spec,
        best,
        advance(x, top * spec.x.row + left * spec.x.pixel),
        float32((top - up) * spec.columns.kernel + left - before),
    )
    for h in range(top, spec.rows.ends[row]):
        tap = (h - up) * spec.columns.kernel - before
        for w in range(left, spec.columns.ends[column]):
            best = max_tap(
                spec, best, advance(x, h * spec.x.row + w * spec.x.pixel), float32(tap + w)
            )
    max_finish(spec, best, y)
    if spec.winners:
        winner_finish(spec, best, won)


@inlined
def any_window(spec, x, y, won, row, column):
    """The maxima of any window."""
    c = 0
    if not spec.dense:
        while c + 4 * LANES <= spec.floats:
            some_maxima(spec, zeros(8), advance(x, c), advance(y, c), advance(won, c), row, column)
            c += 4 * LANES
    while c < spec.floats:
        some_maxima(spec, zeros(2), advance(x, c), advance(y, c), advance(won, c), row, column)
        c += LANES


@kernel(x=FLOATS, y=FLOATS, winners=maybe(INTS))
def max_pool_forward(spec, o, first, count):
    """y from x; `winners` are int32, as y without its border."""
    for n in range(count):
        x_map = advance(o.x, n * spec.x.size + spec.x.start)
        y_map = advance(o.y, n * spec.y.size + spec.y.start)
        won_map = advance(o.winners, n * spec.won.size)
        for row in range(spec.y.height):
            y_row = advance(y_map, row * spec.y.row)
            won_row = advance(won_map, row * spec.won.row)
            begin, end = whole_windows(spec, row)
            if spec.unrolled > 0:
                x_row = advance(x_map, spec.rows.firsts[row] * spec.x.row)
                for column in range(begin, end):
                    x = advance(
                        x_row, (column * spec.columns.stride - spec.columns.padding) * spec.x.pixel
                    )
                    y, won = (
                        advance(y_row, column * spec.y.pixel),
                        advance(won_row, column * spec.won.pixel),
                    )
                    for c in range(0, spec.floats, LANES):
                        max_unrolled(spec, advance(x, c), advance(y, c), advance(won, c))
            for n_th in range(spec.y.width - (end - begin)):
                column = n_th if n_th < begin else n_th + end - begin
                y, won = (
                    advance(y_row, column * spec.y.pixel),
                    advance(won_row, column * spec.won.pixel),
                )
                any_window(spec, x_map, y, won, row, column)


# Gradient


@block(nothing)
def spread_unrolled(emit, spec, dy, won, dx):
    """Write dy to its winners and zero to the other taps of a window of 2 × 2."""
    if not spec.paired:
        return
    slope, winner = emit.load(dy), emit.load_indices(won)
    for tap in range(4):
        mine = emit.equal_indices(winner, emit.indices(tap))
        place = tap // 2 * spec.dx.row + tap % 2 * spec.dx.pixel
        emit.store(emit.select(mine, slope, emit.constant(0.0)), dx, place)


@block(accumulators)
def add_won(emit, spec, sums, dy, won, tap):
    """Add dy where the tap has won."""
    wanted, none = emit.splat_indices(tap), emit.constant(0.0)
    added = []
    for v, total in enumerate(sums):
        slope = load(emit, spec, spec.dy, dy, v * LANES)
        winner = load_winner(emit, spec, won, v * LANES)
        added.append(emit.add(total, emit.select(emit.equal_indices(winner, wanted), slope, none)))
    return added


@inlined
def some_gathered(spec, sums, dy, won, dx, h, w):
    """A pixel's sum over its windows, for as many channels as there are sums."""
    for row in range(spec.rows.first_windows[h], spec.rows.end_windows[h]):
        i = h - spec.rows.origins[row]
        for column in range(spec.columns.first_windows[w], spec.columns.end_windows[w]):
            j = w - spec.columns.origins[column]
            slope = advance(dy, row * spec.dy.row + column * spec.dy.pixel)
            winner = advance(won, row * spec.won.row + column * spec.won.pixel)
            sums = add_won(spec, sums, slope, winner, i * spec.columns.kernel + j)
    keep(spec, sums, dx)


@inlined
def gather_won(spec, dy, won, dx):
    """Every pixel's sum over the windows that contain it."""
    for h in range(spec.dx.height):
        for w in range(spec.dx.width):
            to = advance(dx, h * spec.dx.row + w * spec.dx.pixel)
            c = 0
            if not spec.dense:
                while c + 4 * LANES <= spec.floats:
                    some_gathered(
                        spec, zeros(4), advance(dy, c), advance(won, c), advance(to, c), h, w
                    )
                    c += 4 * LANES
            while c < spec.floats:
                some_gathered(spec, zeros(1), advance(dy, c), advance(won, c), advance(to, c), h, w)
                c += LANES


@inlined
def spread_won(spec, dy, won, dx):
    """Every window's dy to its winner, for windows of 2 × 2 that tile the map."""
    for row in range(spec.dy.height):
        for column in range(spec.dy.width):
            slope = advance(dy, row * spec.dy.row + column * spec.dy.pixel)
            winner = advance(won, row * spec.won.row + column * spec.won.pixel)
            corner = advance(dx, 2 * (row * spec.dx.row + column * spec.dx.pixel))
            for c in range(0, spec.floats, LANES):
                spread_unrolled(spec, advance(slope, c), advance(winner, c), advance(corner, c))
    clear_rest(spec, dx)


@kernel(dy=FLOATS, winners=INTS, dx=FLOATS)
def max_pool_backward(spec, o, first, count):
    """dx, which is written except for its border, from dy and the winners."""
    for n in range(count):
        dy = advance(o.dy, n * spec.dy.size + spec.dy.start)
        won = advance(o.winners, n * spec.won.size)
        dx = advance(o.dx, n * spec.dx.size + spec.dx.start)
        if spec.paired:
            spread_won(spec, dy, won, dx)
        else:
            gather_won(spec, dy, won, dx)
