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

from collections.abc import Iterator
from math import nan
from typing import Any

from neocog.kernels.codegen.block import accumulators, block, nothing
from neocog.kernels.codegen.pointers import advance, rolled, zeros
from neocog.kernels.codegen.vector_types import FLOATS, INTS, LANES, float32
from neocog.kernels.compiler.jit import inlined, kernel
from neocog.kernels.compiler.operands import maybe
from neocog.kernels.pooling.channels import (
    clear_rest,
    keep,
    load,
    store,
    tap_rows,
    whole_windows,
)
from neocog.kernels.pooling.windows import WindowGradient, WindowPooling, small_pooling

__all__ = ["kinds", "max_pool_backward", "max_pool_forward"]


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
    while c < spec.floats:
        from_x, to, to_won = advance(x, c), advance(y, c), advance(won, c)
        if c + 4 * LANES <= spec.floats and not spec.dense:
            some_maxima(spec, zeros(8), from_x, to, to_won, row, column)
            c += 4 * LANES
        elif c + 2 * LANES <= spec.floats and not spec.dense:
            some_maxima(spec, zeros(4), from_x, to, to_won, row, column)
            c += 2 * LANES
        else:
            some_maxima(spec, zeros(2), from_x, to, to_won, row, column)
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


@block(nothing)
def give(emit, spec, held, dx, tap):
    """Write dy to a tap where it has won, and zero elsewhere."""
    wanted, together = emit.indices(tap), len(held) // 2
    for v in range(together):
        mine = emit.equal_indices(emit.bits(held[together + v]), wanted)
        value = emit.select(mine, held[v], emit.constant(0.0))
        store(emit, spec, spec.dx, value, dx, v * LANES)


@block(nothing)
def give_unrolled(emit, spec, held, dx):
    """`give` for the taps of a window of 2 × 2; dx points to the first."""
    together = len(held) // 2
    for v in range(together if spec.paired else 0):
        slope, winner = held[v], emit.bits(held[together + v])
        for tap in range(4):
            mine = emit.equal_indices(winner, emit.indices(tap))
            place = tap // 2 * spec.dx.row + tap % 2 * spec.dx.pixel + v * LANES
            emit.store(emit.select(mine, slope, emit.constant(0.0)), dx, place)


@inlined
def spread_window(spec, held, dx, row, column):
    """A window's dy to its winner, and zero to its other taps."""
    if spec.paired:
        give_unrolled(spec, held, advance(dx, 2 * (row * spec.dx.row + column * spec.dx.pixel)))
    else:
        up, before = spec.rows.origins[row], spec.columns.origins[column]
        for h in range(spec.rows.firsts[row], spec.rows.ends[row]):
            tap = (h - up) * spec.columns.kernel - before
            for w in range(spec.columns.firsts[column], spec.columns.ends[column]):
                give(spec, held, advance(dx, h * spec.dx.row + w * spec.dx.pixel), tap + w)


@inlined
def spread_row(spec, held, dy, won, dx, row):
    """dy of a row of windows to their winners, for as many channels as are held."""
    for column in range(spec.dy.width):
        spread_window(spec, hold(spec, held, dy, won), dx, row, column)
        dy, won = advance(dy, rolled(spec.dy.pixel)), advance(won, spec.won.pixel)


@inlined
def spread_won(spec, dy_map, won_map, dx_map):
    """Every window's dy to its winner, for windows that do not overlap."""
    for row in range(spec.dy.height):
        dy_row, won_row = advance(dy_map, row * spec.dy.row), advance(won_map, row * spec.won.row)
        c = 0
        while c < spec.floats:
            dy, won, dx = advance(dy_row, c), advance(won_row, c), advance(dx_map, c)
            if c + 4 * LANES <= spec.floats and not spec.dense:
                spread_row(spec, zeros(8), dy, won, dx, row)
                c += 4 * LANES
            elif c + 2 * LANES <= spec.floats and not spec.dense:
                spread_row(spec, zeros(4), dy, won, dx, row)
                c += 2 * LANES
            else:
                spread_row(spec, zeros(2), dy, won, dx, row)
                c += LANES
    clear_rest(spec, dx_map)


@block(accumulators)
def add_won(emit, spec, sums, dy, won, tap):
    """Add dy where the tap has won."""
    wanted, none = emit.indices(tap), emit.constant(0.0)
    added = []
    for v, total in enumerate(sums):
        slope = load(emit, spec, spec.dy, dy, v * LANES)
        winner = emit.bits(load(emit, spec, spec.won, won, v * LANES))
        added.append(emit.add(total, emit.select(emit.equal_indices(winner, wanted), slope, none)))
    return added


@inlined
def gather_row(spec, none, dy, won, dx, h):
    """The sums of a row's pixels over their windows, for as many channels as there are zeros."""
    begin, end = spec.rows.first_windows[h], spec.rows.end_windows[h]
    for w in range(spec.dx.width):
        sums = none
        left, right = spec.columns.first_windows[w], spec.columns.end_windows[w]
        slope_row, winner_row = (
            advance(dy, left * spec.dy.pixel),
            advance(won, left * spec.won.pixel),
        )
        for row in range(begin, end):
            tap = (h - spec.rows.origins[row]) * spec.columns.kernel + w
            slope, winner = slope_row, winner_row
            for column in range(left, right):
                sums = add_won(spec, sums, slope, winner, tap - spec.columns.origins[column])
                slope, winner = advance(slope, spec.dy.pixel), advance(winner, spec.won.pixel)
            slope_row, winner_row = (
                advance(slope_row, spec.dy.row),
                advance(winner_row, spec.won.row),
            )
        keep(spec, sums, dx)
        dx = advance(dx, spec.dx.pixel)


@inlined
def gather_won(spec, dy_map, won_map, dx_map):
    """Every pixel's sum over the windows that contain it."""
    for h in range(spec.dx.height):
        row = spec.rows.first_windows[h]
        dy_row, won_row = advance(dy_map, row * spec.dy.row), advance(won_map, row * spec.won.row)
        dx_row = advance(dx_map, h * spec.dx.row)
        c = 0
        while c < spec.floats:
            dy, won, dx = advance(dy_row, c), advance(won_row, c), advance(dx_row, c)
            if c + 4 * LANES <= spec.floats and not spec.dense:
                gather_row(spec, zeros(4), dy, won, dx, h)
                c += 4 * LANES
            elif c + 2 * LANES <= spec.floats and not spec.dense:
                gather_row(spec, zeros(2), dy, won, dx, h)
                c += 2 * LANES
            else:
                gather_row(spec, zeros(1), dy, won, dx, h)
                c += LANES


@kernel(dy=FLOATS, winners=INTS, dx=FLOATS)
def max_pool_backward(spec, o, first, count):
    """dx, which is written except for its border, from dy and the winners."""
    for n in range(count):
        dy = advance(o.dy, n * spec.dy.size + spec.dy.start)
        won = advance(o.winners, n * spec.won.size)
        dx = advance(o.dx, n * spec.dx.size + spec.dx.start)
        if spec.paired or spec.is_tiled:
            spread_won(spec, dy, won, dx)
        else:
            gather_won(spec, dy, won, dx)


def kinds() -> Iterator[tuple[Any, Any]]:
    """Each kernel with a spec of each of its kinds."""
    for kernel_size, winners in ((2, False), (2, True), (3, False), (3, True), (4, True)):
        yield max_pool_forward, small_pooling(WindowPooling, kernel_size, winners=winners)
    yield max_pool_forward, small_pooling(WindowPooling, 4, dense=True)
    for kernel_size, dense in ((2, False), (4, False), (4, True)):
        yield max_pool_backward, small_pooling(WindowGradient, kernel_size, dense=dense)
