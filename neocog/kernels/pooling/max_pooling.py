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
from neocog.kernels.codegen.pointers import advance, rolled, zeros
from neocog.kernels.codegen.vector_types import FLOATS, INTS, LANES, float32
from neocog.kernels.compiler.jit import inlined, kernel
from neocog.kernels.compiler.operands import maybe
from neocog.kernels.pooling.channels import (
    clear_rest,
    clear_rows,
    load,
    store,
    tap_rows,
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
def max_unrolled(emit, spec, some, x, y, won):
    """The maxima of a window inside the map; x points to its first tap."""
    rows = tap_rows(emit, spec, spec.x, x)
    for at in range(0, len(some) * LANES if rows else 0, LANES):
        places = [j * spec.x.pixel + at for j in range(spec.unrolled)]
        values = [emit.load(row, place) for row in rows for place in places]
        if not spec.tracked:
            emit.store(_maximum(emit, values), y, at)
            continue
        best, winner = values[0], emit.indices(0)
        for tap, value in enumerate(values[1:], 1):
            wins = _larger_of(emit, value, best)
            best = emit.select(wins, value, best)
            winner = emit.select(wins, emit.indices(tap), winner)
        emit.store(best, y, at)
        emit.store(winner, won, at)


@inlined
def whole_maxima(spec, some, x, y, won, begin, end):
    """The maxima of a row's windows begin … end, which lie in the map."""
    x = advance(x, (begin * spec.columns.stride - spec.columns.padding) * spec.x.pixel)
    y, won = advance(y, begin * spec.y.pixel), advance(won, begin * spec.won.pixel)
    for _ in range(begin, end):
        max_unrolled(spec, some, x, y, won)
        x = advance(x, rolled(spec.columns.stride * spec.x.pixel))
        y, won = advance(y, spec.y.pixel), advance(won, spec.won.pixel)


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
                c = 0
                while c < spec.floats:
                    x, y, won = advance(x_row, c), advance(y_row, c), advance(won_row, c)
                    if c + 4 * LANES <= spec.floats:
                        whole_maxima(spec, zeros(4), x, y, won, begin, end)
                        c += 4 * LANES
                    elif c + 2 * LANES <= spec.floats:
                        whole_maxima(spec, zeros(2), x, y, won, begin, end)
                        c += 2 * LANES
                    else:
                        whole_maxima(spec, zeros(1), x, y, won, begin, end)
                        c += LANES
            for n_th in range(spec.y.width - (end - begin)):
                column = n_th if n_th < begin else n_th + end - begin
                y, won = (
                    advance(y_row, column * spec.y.pixel),
                    advance(won_row, column * spec.won.pixel),
                )
                any_window(spec, x_map, y, won, row, column)


# Gradient


@block(accumulators)
def hold(emit, spec, held, dy, won):
    """A window's dy, then its winners, as the bits of floats."""
    at = range(0, len(held) // 2 * LANES, LANES)
    slopes = [load(emit, spec, spec.dy, dy, place) for place in at]
    return [*slopes, *[load(emit, spec, spec.won, won, place) for place in at]]


def _of_winner(emit, held, v, tap):
    """dy where the tap has won, and zero elsewhere."""
    mine = emit.equal_indices(emit.bits(held[len(held) // 2 + v]), emit.indices(tap))
    return emit.select(mine, held[v], emit.constant(0.0))


@block(nothing)
def give_unrolled(emit, spec, held, dx):
    """Give the winners of a window inside the map their dy; dx points to its first tap."""
    for i, row in enumerate(tap_rows(emit, spec, spec.dx, dx)):
        for j in range(spec.unrolled):
            for v in range(len(held) // 2):
                value = _of_winner(emit, held, v, i * spec.unrolled + j)
                place = j * spec.dx.pixel + v * LANES
                if not spec.paired:
                    value = emit.add(emit.load(row, place), value)
                emit.store(value, row, place)


@block(nothing)
def give_tap(emit, spec, held, dx, tap):
    """Add dy where the tap has won."""
    for v in range(len(held) // 2):
        total = load(emit, spec, spec.dx, dx, v * LANES)
        total = emit.add(total, _of_winner(emit, held, v, tap))
        store(emit, spec, spec.dx, total, dx, v * LANES)


@inlined
def give_whole(spec, held, dy, won, dx, begin, end):
    """Give the winners of a row's windows begin … end, which lie in the map, their dy."""
    dy, won = advance(dy, begin * spec.dy.pixel), advance(won, begin * spec.won.pixel)
    dx = advance(dx, (begin * spec.columns.stride - spec.columns.padding) * spec.dx.pixel)
    for _ in range(begin, end):
        give_unrolled(spec, hold(spec, held, dy, won), dx)
        dy, won = advance(dy, spec.dy.pixel), advance(won, spec.won.pixel)
        dx = advance(dx, rolled(spec.columns.stride * spec.dx.pixel))


@inlined
def give_any(spec, held, dy, won, dx, row, column):
    """Give the winners of any window their dy."""
    held = hold(
        spec, held, advance(dy, column * spec.dy.pixel), advance(won, column * spec.won.pixel)
    )
    up, before = spec.rows.origins[row], spec.columns.origins[column]
    for h in range(spec.rows.firsts[row], spec.rows.ends[row]):
        tap = (h - up) * spec.columns.kernel - before
        for w in range(spec.columns.firsts[column], spec.columns.ends[column]):
            give_tap(spec, held, advance(dx, h * spec.dx.row + w * spec.dx.pixel), tap + w)


@inlined
def give_row(spec, held, dy, won, dx, row):
    """Give the winners of a row of windows their dy, for as many channels as are held."""
    begin, end = whole_windows(spec, row)
    if spec.unrolled > 0:
        corner = advance(dx, spec.rows.firsts[row] * spec.dx.row)
        give_whole(spec, held, dy, won, corner, begin, end)
    if not spec.paired:
        for n in range(spec.dy.width - (end - begin)):
            give_any(spec, held, dy, won, dx, row, n if n < begin else n + end - begin)


@kernel(dy=FLOATS, winners=INTS, dx=FLOATS)
def max_pool_backward(spec, o, first, count):
    """dx, which is written except for its border, from dy and the winners."""
    for n in range(count):
        dy_map = advance(o.dy, n * spec.dy.size + spec.dy.start)
        won_map = advance(o.winners, n * spec.won.size)
        dx_map = advance(o.dx, n * spec.dx.size + spec.dx.start)
        cleared = 0
        for row in range(spec.dy.height):
            if not spec.paired:
                clear_rows(spec, dx_map, cleared, spec.rows.ends[row])
                cleared = max(cleared, spec.rows.ends[row])
            dy_row = advance(dy_map, row * spec.dy.row)
            won_row = advance(won_map, row * spec.won.row)
            c = 0
            while c < spec.floats:
                dy, won, dx = advance(dy_row, c), advance(won_row, c), advance(dx_map, c)
                if c + 4 * LANES <= spec.floats and not spec.dense:
                    give_row(spec, zeros(8), dy, won, dx, row)
                    c += 4 * LANES
                elif c + 2 * LANES <= spec.floats and not spec.dense:
                    give_row(spec, zeros(4), dy, won, dx, row)
                    c += 2 * LANES
                else:
                    give_row(spec, zeros(2), dy, won, dx, row)
                    c += LANES
        if spec.paired:
            clear_rest(spec, dx_map)
        else:
            clear_rows(spec, dx_map, cleared, spec.dx.height)
