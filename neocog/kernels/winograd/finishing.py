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


def _finish_part(emit, spec, edge, patch, y, gate, added):
    """One vector of the pixels of y within the edge, from the patch."""
    # All is hidden from LLVM, which would unroll the loops and compute the addresses of all pixels
    # for every tile, also of whole ones.
    rows, columns = (
        Number(emit.builder, emit.opaque(emit.smaller(n, spec.tile).value))
        for n in (edge.rows, edge.columns)
    )
    patch, y, gate, added = (emit.opaque(pointer) for pointer in (patch, y, gate, added))
    with emit.loop(0, rows) as i, emit.loop(0, columns) as j:
        through = emit.advance(gate, i * spec.through.row + j * spec.through.pixel)
        plus = emit.advance(added, i * spec.added.row + j * spec.added.pixel)
        value = emit.load(patch, (i * spec.tile + j) * LANES)
        value = _passed(emit, spec, value, through, plus)
        emit.store(value, y, i * spec.y.row + j * spec.y.pixel)


def _finish(emit, spec, m, bias, edge, patch, y, gate, added):
    """One vector of channels of a tile of y."""
    low, high = emit.constant(spec.low), emit.constant(spec.high)

    def transform(finish, to):
        for i, values in enumerate(output_transform(emit, spec.side, m, spec.m_spot)):
            for j, value in enumerate(values):
                emit.store(finish(emit.add(value, bias), i, j), to(i, j))

    def limit(value, i, j):
        return emit.limit(value, low, high)

    def limit_whole():
        transform(limit, places(emit, y, spec.y.row, spec.y.pixel))

    def pass_whole():
        gates = places(emit, gate, spec.through.row, spec.through.pixel)
        others = places(emit, added, spec.added.row, spec.added.pixel)
        transform(
            lambda value, i, j: _passed(emit, spec, value, gates(i, j), others(i, j)),
            places(emit, y, spec.y.row, spec.y.pixel),
        )

    def limit_part():
        grid = places(emit, y, spec.y.row, spec.y.pixel)
        transform(limit, part_of(emit, grid, edge.rows, edge.columns, lambda i, j: patch))

    def pass_part():
        transform(lambda value, i, j: value, places(emit, patch, spec.tile * LANES, LANES))
        _finish_part(emit, spec, edge, patch, y, gate, added)

    either_way(
        emit,
        edge.whole,
        lambda: either_way(emit, spec.passed, pass_whole, limit_whole),
        lambda: either_way(emit, spec.passed, pass_part, limit_part),
    )


def finish_tiles(emit, spec, m, results, begin, count, patch):
    """y of the tiles begin … begin + count, numbered through all images, from their M."""
    each = emit.select(spec.bias, 1, 0)

    def one(n, image, row, column):
        edge = edge_of(emit, spec.tile, spec.y.height - row, spec.y.width - column)
        of_y = image * spec.y.size + row * spec.y.row + column * spec.y.pixel
        of_y = emit.advance(results.y, of_y)
        of_gate = _place(emit, results.gate, spec.through, image, row, column)
        of_added = _place(emit, results.added, spec.added, image, row, column)
        with emit.loop(0, spec.y.pixel, LANES) as k:
            of_m, bias = emit.advance(m, n * spec.m_row + k), emit.load(results.bias, k * each)
            gate = emit.advance(of_gate, k * spec.through.channel)
            added = emit.advance(of_added, k * spec.added.channel)
            _finish(emit, spec, of_m, bias, edge, patch, emit.advance(of_y, k), gate, added)

    each_tile(emit, spec, begin, count, one)
