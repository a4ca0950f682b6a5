"""From M to y, and what becomes of y; see `forward`.

    y = Aᵀ M A + bias                       each of these if it is asked for, in this order:
    y = y if gate > 0 else 0                the gradient of the ReLU that wrote the gate
    y = y + what is there  or  y + addend   the sum of several gradients; a residual block's end
    y = min(max(y, low), high)              the function, if it limits; NaN stays NaN

There is a transform that only limits, and one that does all, in which vectors of ones or zeros take
the place of what is not asked for. A tile that extends past the edge is written to a patch, and the
pixels that exist go from there to y.
"""

from math import inf
from typing import Any, NamedTuple

from neocog.kernels.codegen.loops import either_way
from neocog.kernels.codegen.numbers import Number
from neocog.kernels.codegen.vector_types import LANES
from neocog.kernels.winograd.tiles import copy_part, each_tile, edge_of
from neocog.kernels.winograd.transforms import output_transform, places

__all__ = ["CONSTANTS", "Results", "finish_tiles", "store_constants"]

#: Floats of the vectors which take the place of what is not there: zeros, then ones.
CONSTANTS = 2 * LANES


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
    gate, added = emit.opaque(gate), emit.opaque(added)

    def passed(value, i, j):
        through = emit.advance(gate, i * spec.through.row + j * spec.through.pixel)
        plus = emit.advance(added, i * spec.added.row + j * spec.added.pixel)
        return _passed(emit, spec, value, through, plus)

    of_steps, to_steps = (spec.tile * LANES, LANES), (spec.y.row, spec.y.pixel)
    copy_part(emit, edge, patch, of_steps, y, to_steps, passed)


def finish_tiles(emit, spec, m, results, begin, count, patch):
    """y of the tiles begin … begin + count, numbered through all images, from their M."""
    # Limits that come after an addition must not come before it.
    low = emit.select(spec.passed, emit.constant(-inf), emit.constant(spec.low))
    high = emit.select(spec.passed, emit.constant(inf), emit.constant(spec.high))
    each = emit.select(spec.bias, 1, 0)

    def one(n, image, row, column):
        edge = edge_of(emit, spec.tile, spec.y.height - row, spec.y.width - column)
        of_y = image * spec.y.size + row * spec.y.row + column * spec.y.pixel
        of_y = emit.advance(results.y, of_y)
        of_gate = _place(emit, results.gate, spec.through, image, row, column)
        of_added = _place(emit, results.added, spec.added, image, row, column)
        row_step = Number(emit.builder, emit.select(edge.cuts, spec.tile * LANES, spec.y.row))
        pixel_step = Number(emit.builder, emit.select(edge.cuts, LANES, spec.y.pixel))
        with emit.loop(0, spec.y.pixel, LANES) as k:
            bias = emit.load(results.bias, k * each)
            y = emit.advance(of_y, k)
            gate = emit.advance(of_gate, k * spec.through.channel)
            added = emit.advance(of_added, k * spec.added.channel)

            def transform(finish):
                to = places(emit, emit.select(edge.cuts, patch, y), row_step, pixel_step)
                of = emit.advance(m, n * spec.m_row + k)
                for i, values in enumerate(output_transform(emit, spec.side, of, spec.m_spot)):
                    for j, value in enumerate(values):
                        emit.store(finish(emit.add(value, bias), i, j), to(i, j))

            def pass_all():
                gates = places(emit, gate, spec.through.row, spec.through.pixel)
                others = places(emit, added, spec.added.row, spec.added.pixel)
                transform(lambda value, i, j: _passed(emit, spec, value, gates(i, j), others(i, j)))

            def limit_all():
                transform(lambda value, i, j: emit.limit(value, low, high))

            either_way(emit, emit.both(spec.passed, edge.whole), pass_all, limit_all)
            with emit.when(edge.cuts):
                _finish_part(emit, spec, edge, patch, y, gate, added)

    each_tile(emit, spec, begin, count, one)
