"""What becomes of a tile's sums: additions, ReLU, the gradient of one, max pooling; then memory.

    y = sum + addend  or  sum           with `adds`
    y = min(max(y, low), high)          with a `function` that limits, such as ReLU
    y = y if gate > 0 else 0            with `gated`: the gradient of the ReLU that wrote the gate
    y = y + what is there               with `accumulate`

What ends within a vector goes through memory, place by place.
"""

from math import nan

from neocog.kernels.codegen.loops import either_way, repeat
from neocog.kernels.codegen.vector_types import LANES

__all__ = ["finish", "finish_pooled"]


def _store(emit, spec, sums, y, ys):
    for n in range(len(sums) // spec.w.vectors):
        place = emit.advance(y, emit.load_long(ys, n))
        for v in range(spec.w.vectors):
            emit.store(sums[n * spec.w.vectors + v], place, v * LANES)


def _limited(emit, spec, value):
    return emit.limit(value, emit.constant(spec.low), emit.constant(spec.high))


def _passed(emit, spec, value, other, before):
    """The result of a sum; `other` is the gate or the addend."""
    zero = emit.constant(0.0)
    added = emit.greater(emit.constant(spec.added), zero)
    value = _limited(emit, spec, emit.select(added, emit.add(value, other), value))
    value = emit.select(emit.at_most(other, emit.constant(spec.gate_limit)), zero, value)
    accumulated = emit.greater(emit.constant(spec.accumulated), zero)
    return emit.select(accumulated, emit.add(before, value), value)


def _store_passed(emit, spec, sums, y, ys, other, others):
    """Write the sums to y after all that is asked for."""
    results = []
    for n in range(len(sums) // spec.w.vectors):
        place = emit.advance(y, emit.load_long(ys, n))
        through = emit.advance(other, emit.load_long(others, n))
        for v in range(spec.w.vectors):
            value, at = sums[n * spec.w.vectors + v], v * LANES
            value = _passed(emit, spec, value, emit.load(through, at), emit.load(place, at))
            results.append((value, place, at))
    # Only now, because places may be the same.
    for result in results:
        emit.store(*result)


def _store_parts(emit, spec, sums, taken, y, ys, other, others, kept, lanes):
    """`_store_passed` of `taken` places, whose last vector has `lanes` lanes."""
    for n, value in enumerate(sums):
        emit.store(value, kept, n * LANES)

    def store(n, _):
        of = emit.advance(kept, n * (spec.w.vectors * LANES))
        to = emit.advance(y, emit.load_long(ys, n))
        through = emit.advance(other, emit.load_long(others, n))
        for v in range(spec.w.vectors):
            value, at = emit.load(of, v * LANES), v * LANES
            if v < spec.w.vectors - 1:
                value = _passed(emit, spec, value, emit.load(through, at), emit.load(to, at))
                emit.store(value, to, at)
            else:
                passed, before = (emit.load_lanes(place, at, lanes) for place in (through, to))
                emit.store_lanes(_passed(emit, spec, value, passed, before), to, at, lanes)
        return []

    repeat(emit, taken, [], store)


def finish(emit, spec, sums, taken, y, ys, other, others, kept, lanes):
    """Write a tile's sums to y, of whose places the first `taken` differ.

    `ys` and `others` are the places' offsets from y and from `other`, the gate or the addend. A
    place's last vector has `lanes` lanes. `kept` has room for a tile.
    """
    either_way(
        emit,
        emit.below(lanes, LANES),
        lambda: _store_parts(emit, spec, sums, taken, y, ys, other, others, kept, lanes),
        lambda: either_way(
            emit,
            spec.is_passed,
            lambda: _store_passed(emit, spec, sums, y, ys, other, others),
            lambda: either_way(
                emit,
                spec.is_limited,
                lambda: _store(emit, spec, [_limited(emit, spec, value) for value in sums], y, ys),
                lambda: _store(emit, spec, sums, y, ys),
            ),
        ),
    )


def _store_pooled(emit, spec, sums, y, ys, winners, won, keeps):
    right, below = emit.indices(spec.right), emit.indices(spec.below)
    none = emit.indices(0)
    for n in range(len(sums) // spec.w.vectors // 4):
        place = emit.advance(y, emit.load_long(ys, n))
        for v in range(spec.w.vectors):
            a, b, c, d = (sums[(n * 4 + r) * spec.w.vectors + v] for r in range(4))
            top, bottom = emit.larger(b, a), emit.larger(d, c)
            any_nan = emit.either(emit.unordered(a, b), emit.unordered(c, d))
            best = emit.select(any_nan, emit.constant(nan), emit.larger(bottom, top))
            emit.store(_limited(emit, spec, best), place, v * LANES)
            if keeps:
                second = emit.greater(bottom, top)
                column = emit.select(second, emit.greater(d, c), emit.greater(b, a))
                row, column = emit.select(second, below, none), emit.select(column, right, none)
                to = emit.advance(winners, emit.load_long(won, n))
                emit.store(emit.add_indices(row, column), to, v * LANES)


def finish_pooled(emit, spec, sums, y, ys, winners, won):
    """Write the maximum of every region to y, and its position if that is asked for.

    The first of equal values wins, and NaN is larger than any number, as in PyTorch.
    """
    either_way(
        emit,
        spec.winners,
        lambda: _store_pooled(emit, spec, sums, y, ys, winners, won, True),
        lambda: _store_pooled(emit, spec, sums, y, ys, winners, won, False),
    )
