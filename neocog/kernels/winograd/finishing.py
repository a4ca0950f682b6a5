"""From M to y, and what becomes of y; see `forward`.

    y = Aᵀ M A + bias                       each of these if it is asked for, in this order:
    y = y if gate > 0 else 0                the gradient of the ReLU that wrote the gate
    y = y + what is there  or  y + addend   the sum of several gradients; a residual block's end
    y = min(max(y, low), high)              the function, if it limits; NaN stays NaN

There are transforms that only limit, and others that do all, in which vectors of ones or zeros take
the place of what is not asked for. What lies beyond the map's edge is written to a patch.
"""

from typing import Any, NamedTuple

from neocog.kernels.codegen.loops import either_way
from neocog.kernels.codegen.numbers import Number
from neocog.kernels.codegen.vector_types import LANES
from neocog.kernels.winograd.tiles import each_tile, edge_of
from neocog.kernels.winograd.transforms import output_transform, part_of, places

__all__ = ["CONSTANTS", "PATCH", "Results", "finish_tiles", "store_constants"]

#: Floats of the vectors which take the place of what is not there: zeros, then ones.
CONSTANTS = 2 * LANES
#: Floats of a patch: one vector of channels of the largest tile of y.
PATCH = 16 * LANES


def store_constants(emit: Any, to: Any) -> None:
    """Write zeros and ones."""
    emit.store(emit.constant(0.0), to)
    emit.store(emit.constant(1.0), to, LANES)


class Results(NamedTuple):
    """Pointers to the first pixels of the first image of what y is made from."""

    bias: Any
    y: Any
    gate: Any
    added: Any

    @classmethod
    def of(cls, emit: Any, spec: Any, operands: Any, constants: Any) -> "Results":
        """From bias, y, gate and addend, of which those that are not used may be anything."""
        bias, y, gate, addend = operands
        zeros, ones = constants, emit.advance(constants, LANES)
        added = emit.select(spec.accumulate, y, emit.select(spec.adds, addend, zeros))
        return cls(
            emit.select(spec.bias, bias, zeros),
            emit.advance(y, spec.y.start),
            emit.advance(emit.select(spec.gated, gate, ones), spec.through.start),
            emit.advance(added, spec.added.start),
        )


def _passed(emit, spec, value, gate, added):
    """One vector of y after all that is asked for."""
    zero = emit.constant(0.0)
    value = emit.select(emit.at_most(emit.load(gate), zero), zero, value)
    value = emit.add(value, emit.load(added))
    return emit.limit(value, emit.constant(spec.low), emit.constant(spec.high))


def _place(emit, pointer, steps, image, row, column):
    return emit.advance(pointer, image * steps.image + row * steps.row + column * steps.pixel)


class _Vector(NamedTuple):
    """One vector of channels of a tile: the bias, and pointers to the tile in M and the maps."""

    m: Any
    bias: Any
    y: Any
    gate: Any
    added: Any


def _transform(emit, spec, vector, finish, to):
    """Write what ``finish(value, i, j)`` makes of y to `to`."""
    for i, values in enumerate(output_transform(emit, spec.side, vector.m, spec.m_spot)):
        for j, value in enumerate(values):
            emit.store(finish(emit.add(value, vector.bias), i, j), to(i, j))


def _limit(emit, spec, vector, to):
    low, high = emit.constant(spec.low), emit.constant(spec.high)
    _transform(emit, spec, vector, lambda value, i, j: emit.limit(value, low, high), to)


def _pass(emit, spec, vector, to):
    gates = places(emit, vector.gate, spec.through.row, spec.through.pixel)
    others = places(emit, vector.added, spec.added.row, spec.added.pixel)

    def finish(value, i, j):
        return _passed(emit, spec, value, gates(i, j), others(i, j))

    _transform(emit, spec, vector, finish, to)


def _pass_part(emit, spec, vector, edge, patch):
    """`_pass` for the pixels within the edge, by way of the patch."""
    _transform(
        emit,
        spec,
        vector,
        lambda value, i, j: value,
        places(emit, patch, spec.tile * LANES, LANES),
    )
    # All is hidden from LLVM, which would unroll the loops and have an address for every pixel.
    patch, y, gate, added = (
        emit.opaque(pointer) for pointer in (patch, vector.y, vector.gate, vector.added)
    )
    rows, columns = (
        Number(emit.builder, emit.opaque(emit.smaller(n, spec.tile).value))
        for n in (edge.rows, edge.columns)
    )
    with emit.loop(0, rows) as i, emit.loop(0, columns) as j:
        through = emit.advance(gate, i * spec.through.row + j * spec.through.pixel)
        plus = emit.advance(added, i * spec.added.row + j * spec.added.pixel)
        value = emit.load(patch, (i * spec.tile + j) * LANES)
        value = _passed(emit, spec, value, through, plus)
        emit.store(value, y, i * spec.y.row + j * spec.y.pixel)


def finish_tiles(emit, spec, m, results, begin, count, patch):
    """y of the tiles begin … begin + count, numbered through all images, from their M."""
    each = emit.select(spec.bias, 1, 0)

    def one(n, image, row, column):
        edge = edge_of(emit, spec.tile, spec.y.height - row, spec.y.width - column)
        y = emit.advance(results.y, image * spec.y.size + row * spec.y.row + column * spec.y.pixel)
        gate = _place(emit, results.gate, spec.through, image, row, column)
        added = _place(emit, results.added, spec.added, image, row, column)

        def vectors(finish):
            with emit.loop(0, spec.y.pixel, LANES) as k:
                vector = _Vector(
                    emit.advance(m, n * spec.m_row + k),
                    emit.load(results.bias, k * each),
                    emit.advance(y, k),
                    emit.advance(gate, k * spec.through.channel),
                    emit.advance(added, k * spec.added.channel),
                )
                finish(vector, places(emit, vector.y, spec.y.row, spec.y.pixel))

        def limit_part(vector, to):
            to = part_of(emit, to, edge.rows, edge.columns, lambda i, j: patch)
            _limit(emit, spec, vector, to)

        def whole():
            either_way(
                emit,
                spec.passed,
                lambda: vectors(lambda vector, to: _pass(emit, spec, vector, to)),
                lambda: vectors(lambda vector, to: _limit(emit, spec, vector, to)),
            )

        def part():
            either_way(
                emit,
                spec.passed,
                lambda: vectors(lambda vector, to: _pass_part(emit, spec, vector, edge, patch)),
                lambda: vectors(limit_part),
            )

        either_way(emit, edge.whole, whole, part)

    each_tile(emit, spec, begin, count, one)
