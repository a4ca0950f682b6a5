"""Averages of weights over the steps of a run.

    moving average      a ← a + (1 − d)(w − a)
    lookahead           a ← a + (1 − d)(w − a),   w ← a

where d is the decay of the step, the third number of its row in the table of rates (`update`). If
it is NaN, the step averages nothing. A lookahead with d = 1 sets the weights to their average. B.
Polyak and A. Juditsky, 1992; M. Zhang et al., "Lookahead optimizer: k steps forward, 1 step back",
2019, with decays as in K. Jordan's airbench94.
"""

from dataclasses import dataclass

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.pointers import advance, pointer
from neocog.kernels.codegen.vector_types import DOUBLES, FLOATS, LANES, LONGS, float32
from neocog.kernels.compiler.jit import kernel
from neocog.kernels.compiler.runtime_sizes import Items, runtime_sizes
from neocog.kernels.optimizer.update import current_rates

__all__ = ["Averaging", "average_step", "lookahead_step"]


@dataclass(frozen=True)
class Averaging(Items):
    """A parameter that is averaged item by item; `item` is the floats of one, whole vectors."""


@block(nothing)
def average_vector(emit, spec, add, w, a):
    """a ← a + add · (w − a) of one vector."""
    average = emit.load(a)
    emit.store(emit.fma(emit.splat(add), emit.sub(emit.load(w), average), average), a)


@block(nothing)
def lookahead_vector(emit, spec, add, w, a):
    """a ← a + add · (w − a), w ← a of one vector."""
    average = emit.load(a)
    average = emit.fma(emit.splat(add), emit.sub(emit.load(w), average), average)
    emit.store(average, a)
    emit.store(average, w)


@kernel
def average_step(spec, operands, first, count):
    """Average items first … first + count into a. Operands: w, a, rates, step."""
    w, a = pointer(operands, 0, FLOATS), pointer(operands, 1, FLOATS)
    decay = current_rates(pointer(operands, 2, DOUBLES), pointer(operands, 3, LONGS))[2]
    if decay == decay:
        add = float32(1.0 - decay)
        item = runtime_sizes(spec, operands).item
        for at in range(first * item, (first + count) * item, LANES):
            average_vector(spec, add, advance(w, at), advance(a, at))


@kernel
def lookahead_step(spec, operands, first, count):
    """Average items first … first + count into a, and set w to the average.

    Operands: w, a, rates, step. A second layout of w must be refreshed after this.
    """
    w, a = pointer(operands, 0, FLOATS), pointer(operands, 1, FLOATS)
    decay = current_rates(pointer(operands, 2, DOUBLES), pointer(operands, 3, LONGS))[2]
    if decay == decay:
        add = float32(1.0 - decay)
        item = runtime_sizes(spec, operands).item
        for at in range(first * item, (first + count) * item, LANES):
            lookahead_vector(spec, add, advance(w, at), advance(a, at))
