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

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.loops import repeat
from neocog.kernels.codegen.pointers import advance
from neocog.kernels.codegen.vector_types import FLOATS, INTS, LANES
from neocog.kernels.compiler.jit import kernel
from neocog.kernels.compiler.operands import maybe
from neocog.kernels.pooling.channels import (
    each_block,
    each_whole_window,
    load,
    store,
    whole_windows,
)
from neocog.kernels.pooling.gradients import gather, spread
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


def _maximum_and_winner(emit, values):
    """The maximum, and the number of the value that it is."""
    best, winner = values[0], emit.indices(0)
    for tap, value in enumerate(values[1:], 1):
        wins = _larger_of(emit, value, best)
        best = emit.select(wins, value, best)
        winner = emit.select(wins, emit.indices(tap), winner)
    return best, winner


def _whole_maxima(emit, spec, vectors, pointers, begin, end):
    """The maxima of a row's windows begin … end, which lie in the map."""
    x, y, won = pointers

    def window(taps, y, won):
        for at in range(0, vectors * LANES, LANES):
            values = taps(at)
            if spec.tracked:
                best, winner = _maximum_and_winner(emit, values)
                emit.store(best, y, at)
                emit.store(winner, won, at)
            else:
                emit.store(_maximum(emit, values), y, at)

    each_whole_window(emit, spec, (begin, end), x, [(y, spec.y), (won, spec.won)], window)


def _some_maxima(emit, spec, vectors, pointers, row, column):
    """The maxima of any window, tap by tap."""
    x, y, won = pointers
    rows, columns, at = spec.rows, spec.columns, emit.load_long
    top, left = at(rows.firsts, row), at(columns.firsts, column)
    up, before = at(rows.origins, row), at(columns.origins, column)
    corner = emit.advance(x, top * spec.x.row + left * spec.x.pixel)

    def compare_row(i, best):
        first = (top - up + i) * columns.kernel + left - before
        taps = emit.advance(corner, i * spec.x.row)

        def compare(tap, best):
            values, winners = best[:vectors], best[vectors:]
            for v in range(vectors):
                value = load(emit, spec, spec.x, taps, tap * spec.x.pixel + v * LANES)
                wins = _larger_of(emit, value, values[v])
                values[v] = emit.select(wins, value, values[v])
                winners[v] = emit.select(wins, emit.indices(first + tap), winners[v])
            return [*values, *winners]

        return repeat(emit, at(columns.ends, column) - left, best, compare, at_least_once=True)

    start = [load(emit, spec, spec.x, corner, v * LANES) for v in range(vectors)]
    numbers = [emit.indices((top - up) * columns.kernel + left - before)] * vectors
    height = at(rows.ends, row) - top
    best = repeat(emit, height, [*start, *numbers], compare_row, at_least_once=True)
    for v in range(vectors):
        store(emit, spec, spec.y, best[v], y, v * LANES)
    with emit.when(spec.winners):
        for v in range(vectors):
            store(emit, spec, spec.won, best[vectors + v], won, v * LANES)


@block(nothing)
def maxima(emit, spec, x, y, won):
    """The maxima of a map."""
    with emit.loop(0, spec.y.height) as row:
        y_row, won_row = emit.advance(y, row * spec.y.row), emit.advance(won, row * spec.won.row)
        begin, end = whole_windows(emit, spec, row)
        if spec.unrolled:
            x_row = emit.advance(x, emit.load_long(spec.rows.firsts, row) * spec.x.row)

            def whole(c, vectors):
                of = (emit.advance(one, c) for one in (x_row, y_row, won_row))
                _whole_maxima(emit, spec, vectors, of, begin, end)

            each_block(emit, spec, whole)
        with emit.loop(0, spec.y.width - (end - begin)) as n:
            column = n + emit.choose(n < begin, 0, end - begin)
            y_pixel = emit.advance(y_row, column * spec.y.pixel)
            won_pixel = emit.advance(won_row, column * spec.won.pixel)

            def any_window(c, vectors):
                of = (emit.advance(one, c) for one in (x, y_pixel, won_pixel))
                _some_maxima(emit, spec, vectors, of, row, column)

            each_block(emit, spec, any_window)


@kernel(x=FLOATS, y=FLOATS, winners=maybe(INTS))
def max_pool_forward(spec, o, first, count):
    """y from x; `winners` are int32, as y without its border."""
    for n in range(count):
        x = advance(o.x, n * spec.x.size + spec.x.start)
        y = advance(o.y, n * spec.y.size + spec.y.start)
        maxima(spec, x, y, advance(o.winners, n * spec.won.size))


# Gradient


def _slopes_and_winners(emit, spec, dy, won, row, column, c, vectors):
    """A window's dy, and the numbers of the taps that won."""
    slope = emit.advance(dy, row * spec.dy.row + column * spec.dy.pixel + c)
    winner = emit.advance(won, row * spec.won.row + column * spec.won.pixel + c)
    return [
        (
            load(emit, spec, spec.dy, slope, v * LANES),
            emit.bits(load(emit, spec, spec.won, winner, v * LANES)),
        )
        for v in range(vectors)
    ]


def _won_by(emit, tap, pairs):
    """The slopes where the tap has won, and zero elsewhere."""
    wanted, zero = emit.indices(tap), emit.constant(0.0)
    return [emit.select(emit.equal_indices(winner, wanted), slope, zero) for slope, winner in pairs]


@block(nothing)
def spread_won(emit, spec, dy, won, dx):
    """Every window's dy to its winner, for windows that do not overlap."""

    def hold(row, column, c, vectors):
        pairs = _slopes_and_winners(emit, spec, dy, won, row, column, c, vectors)
        return lambda tap: _won_by(emit, tap, pairs)

    spread(emit, spec, dx, hold)


@block(nothing)
def gather_won(emit, spec, dy, won, dx):
    """Every pixel's sum over the windows that contain it."""

    def add(row, column, c, sums, tap):
        pairs = _slopes_and_winners(emit, spec, dy, won, row, column, c, len(sums))
        mine = _won_by(emit, tap(), pairs)
        return [emit.add(total, slope) for total, slope in zip(sums, mine, strict=True)]

    gather(emit, spec, dx, add)


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
