"""Averages of weights over the steps of a run.

    moving average      a ← a + (1 − d)(w − a)
    lookahead           a ← a + (1 − d)(w − a),   w ← a

where d is the decay of the step, the third number of its row in the table of rates (`update`). If
it is NaN, the step averages nothing. A lookahead with d = 1 sets the weights to their average. B.
Polyak and A. Juditsky, 1992; M. Zhang et al., "Lookahead optimizer: k steps forward, 1 step back",
2019, with decays as in K. Jordan's airbench94.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.pointers import advance
from neocog.kernels.codegen.vector_types import DOUBLES, FLOATS, LANES, LONGS, float32
from neocog.kernels.compiler.jit import kernel
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.optimizer.update import current_rates

__all__ = ["Averaging", "average_step", "kinds", "lookahead_step"]


@dataclass(frozen=True)
class Averaging(Spec):
    """A parameter that is averaged item by item; `item` is the floats of one, whole vectors."""

    item: int


_OPERANDS = {"w": FLOATS, "a": FLOATS, "rates": DOUBLES, "step": LONGS}


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


@kernel(**_OPERANDS)
def average_step(spec, o, first, count):
    """Average items first … first + count into a."""
    decay = current_rates(o.rates, o.step)[2]
    if decay == decay:
        add = float32(1.0 - decay)
        for at in range(first * spec.item, (first + count) * spec.item, LANES):
            average_vector(spec, add, advance(o.w, at), advance(o.a, at))


@kernel(**_OPERANDS)
def lookahead_step(spec, o, first, count):
    """Average items first … first + count into a, and set w to the average.

    A second layout of w must be refreshed after this.
    """
    decay = current_rates(o.rates, o.step)[2]
    if decay == decay:
        add = float32(1.0 - decay)
        for at in range(first * spec.item, (first + count) * spec.item, LANES):
            lookahead_vector(spec, add, advance(o.w, at), advance(o.a, at))


def kinds() -> Iterator[tuple[Any, Any]]:
    """Each kernel with a spec of the only kind that it has."""
    for kernel_ in (average_step, lookahead_step):
        yield kernel_, Averaging(LANES)
