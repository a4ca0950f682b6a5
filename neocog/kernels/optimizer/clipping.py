"""Gradients clipped by their norm over all parameters, and added up over several batches.

    ‖g‖ = √(Σ g²) over every parameter         clip = min(1, limit / (‖g‖ + 10⁻⁶))

as `torch.nn.utils.clip_grad_norm_`; R. Pascanu, T. Mikolov and Y. Bengio, 2013. The squares are
added in float64, first within each item of each parameter, then over the items in their order, so
that the factor does not depend on the number of workers. Updates multiply by it (`update`). A norm
of NaN gives NaN, an infinite norm gives zero.

If a step of the optimizer takes several batches, the first batch's gradient starts the sum, and the
others are added to it.
"""

from dataclasses import dataclass
from math import sqrt

from numba import types

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.pointers import advance, pointer
from neocog.kernels.codegen.vector_types import DOUBLES, FLOATS, LANES, LONGS
from neocog.kernels.compiler.jit import kernel
from neocog.kernels.compiler.runtime_sizes import Items, runtime_sizes

__all__ = [
    "Accumulation",
    "Clipping",
    "Squares",
    "accumulate_gradient",
    "clip_factor",
    "square_sums",
]

# Vectors whose squares are summed in registers, and their number of floats.
_RUN = 8
_RUN_FLOATS = _RUN * LANES


@dataclass(frozen=True)
class Squares(Items):
    """A gradient that is summed item by item; `item` is the floats of one, whole vectors."""


@dataclass(frozen=True)
class Clipping:
    """The number of items of all parameters."""

    items: int


@dataclass(frozen=True)
class Accumulation:
    """A gradient in items of `item` floats that is summed over `every` batches."""

    item: int
    every: int

    @property
    def kind(self) -> "AccumulationKind":
        """What the machine code depends on."""
        return AccumulationKind()

    @property
    def runtime_sizes(self) -> "Accumulation":
        """All sizes."""
        return self


@dataclass(frozen=True)
class AccumulationKind:
    """The machine code for an `Accumulation` depends on nothing else."""

    runtime_sizes = Accumulation


@block(lambda spec, *_: types.float64)
def squares_of_run(emit, spec, g):
    """Σ g² of a run."""
    return emit.sum_of_squares([emit.load(g, at * LANES) for at in range(_RUN)])


@block(lambda spec, *_: types.float64)
def squares_of_vector(emit, spec, g):
    """Σ g² of one vector."""
    return emit.sum_of_squares([emit.load(g)])


@kernel
def square_sums(spec, operands, first, count):
    """Σ g² of each of the items first … first + count. Operands: g, sums (float64 [items])."""
    g = pointer(operands, 0, FLOATS)
    sums = pointer(operands, 1, DOUBLES)
    size = runtime_sizes(spec, operands).item
    runs = size // _RUN_FLOATS * _RUN_FLOATS
    for item in range(first, first + count):
        here = advance(g, item * size)
        total = 0.0
        for at in range(0, runs, _RUN_FLOATS):
            total += squares_of_run(spec, advance(here, at))
        for at in range(runs, size, LANES):
            total += squares_of_vector(spec, advance(here, at))
        sums[item] = total


@kernel
def clip_factor(spec, operands, first, count):
    """The factor for every gradient; one item.

    Operands: sums (float64 [s.items], of all parameters), limit (float64 [1]), clip (float64 [1]).
    """
    sums = pointer(operands, 0, DOUBLES)
    total = 0.0
    for item in range(spec.items):
        total += sums[item]
    factor = pointer(operands, 1, DOUBLES)[0] / (sqrt(total) + 1e-6)
    pointer(operands, 2, DOUBLES)[0] = 1.0 if factor > 1.0 else factor  # NaN stays NaN


@block(nothing)
def copy_vector(emit, spec, g, total):
    """total ← g of one vector."""
    emit.store(emit.load(g), total)


@block(nothing)
def add_to_vector(emit, spec, g, total):
    """total ← total + g of one vector."""
    emit.store(emit.add(emit.load(total), emit.load(g)), total)


@kernel
def accumulate_gradient(spec, operands, first, count):
    """Add the gradient of items first … first + count to the sum, or start the sum with it.

    Operands: g, total, step. A sum starts if `every` divides the number of the run's earlier steps.
    """
    g = pointer(operands, 0, FLOATS)
    total = pointer(operands, 1, FLOATS)
    sizes = runtime_sizes(spec, operands)
    begin, end = first * sizes.item, (first + count) * sizes.item
    if pointer(operands, 2, LONGS)[4] % sizes.every == 0:
        for at in range(begin, end, LANES):
            copy_vector(spec, advance(g, at), advance(total, at))
    else:
        for at in range(begin, end, LANES):
            add_to_vector(spec, advance(g, at), advance(total, at))
