"""Gradients clipped by their norm over all parameters, and added up over several batches.

    ‖g‖ = √(Σ g²) over every parameter         clip = min(1, limit / (‖g‖ + 10⁻⁶))

as `torch.nn.utils.clip_grad_norm_`; R. Pascanu, T. Mikolov and Y. Bengio, 2013. The squares are
added in float64, first within each item of each parameter, then over the items in their order, so
that the factor does not depend on the number of workers. Updates multiply by it (`update`). A norm
of NaN gives NaN, an infinite norm gives zero.

If a step of the optimizer takes several batches, the first batch's gradient starts the sum, and the
others are added to it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from typing import Any

from numba import types

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.pointers import advance
from neocog.kernels.codegen.vector_types import DOUBLES, FLOATS, LANES, LONGS
from neocog.kernels.compiler.jit import kernel
from neocog.kernels.compiler.spec import Spec

__all__ = [
    "Accumulation",
    "Clipping",
    "Squares",
    "accumulate_gradient",
    "clip_factor",
    "kinds",
    "square_sums",
]

# Vectors whose squares are summed in registers, and their number of floats.
_RUN = 8
_RUN_FLOATS = _RUN * LANES


@dataclass(frozen=True)
class Squares(Spec):
    """A gradient that is summed item by item; `item` is the floats of one, whole vectors."""

    item: int


@dataclass(frozen=True)
class Clipping(Spec):
    """The number of items of all parameters."""

    items: int


@dataclass(frozen=True)
class Accumulation(Spec):
    """A gradient in items of `item` floats that is summed over `every` batches."""

    item: int
    every: int


@block(lambda spec, *_: types.float64)
def squares_of_run(emit, spec, g):
    """Σ g² of a run."""
    return emit.sum_of_squares([emit.load(g, at * LANES) for at in range(_RUN)])


@block(lambda spec, *_: types.float64)
def squares_of_vector(emit, spec, g):
    """Σ g² of one vector."""
    return emit.sum_of_squares([emit.load(g)])


@kernel(g=FLOATS, sums=DOUBLES)
def square_sums(spec, o, first, count):
    """Σ g² of each of the items first … first + count; `sums` has one for each item."""
    runs = spec.item // _RUN_FLOATS * _RUN_FLOATS
    for item in range(first, first + count):
        here = advance(o.g, item * spec.item)
        total = 0.0
        for at in range(0, runs, _RUN_FLOATS):
            total += squares_of_run(spec, advance(here, at))
        for at in range(runs, spec.item, LANES):
            total += squares_of_vector(spec, advance(here, at))
        o.sums[item] = total


@kernel(sums=DOUBLES, limit=DOUBLES, clip=DOUBLES)
def clip_factor(spec, o, first, count):
    """The factor for every gradient, from the `sums` of all parameters; one item."""
    total = 0.0
    for item in range(spec.items):
        total += o.sums[item]
    factor = o.limit[0] / (sqrt(total) + 1e-6)
    o.clip[0] = 1.0 if factor > 1.0 else factor  # NaN stays NaN


@block(nothing)
def copy_vector(emit, spec, g, total):
    """total ← g of one vector."""
    emit.store(emit.load(g), total)


@block(nothing)
def add_to_vector(emit, spec, g, total):
    """total ← total + g of one vector."""
    emit.store(emit.add(emit.load(total), emit.load(g)), total)


@kernel(g=FLOATS, total=FLOATS, step=LONGS)
def accumulate_gradient(spec, o, first, count):
    """Add the gradient of items first … first + count to the sum, or start the sum with it.

    A sum starts if `every` divides the number of the run's earlier steps.
    """
    begin, end = first * spec.item, (first + count) * spec.item
    if o.step[4] % spec.every == 0:
        for at in range(begin, end, LANES):
            copy_vector(spec, advance(o.g, at), advance(o.total, at))
    else:
        for at in range(begin, end, LANES):
            add_to_vector(spec, advance(o.g, at), advance(o.total, at))


def kinds() -> Iterator[tuple[Any, Any]]:
    """Each kernel with a spec of the only kind that it has."""
    yield square_sums, Squares(LANES)
    yield clip_factor, Clipping(1)
    yield accumulate_gradient, Accumulation(LANES, 1)
