"""Muon: momentum that is orthogonalized as a matrix before it updates a weight.

With W a convolution's weight as a matrix [K, C · kh · kw] (or any matrix), G its gradient:

    V ← V + (1 − μ)(G − V)               U = V, or Nesterov's G + μ (V − G)
    X = U / max(‖U‖, ε)                  the Frobenius norm, so that no singular value is above 1
    O = X made orthogonal                (`orthogonal`)
    W ← (1 − η λ) W − η · scale · O

K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024;
`torch.optim.Muon` is this for matrices. With `renormalized`, W ← W √K / ‖W‖ comes before
the step, as in Jordan's airbench94_muon.

X has rows ≥ columns, so that the iteration's square matrices are the smaller ones: a packed weight
[K / block][C · kh · kw][block] becomes one row for each of its C · kh · kw, or, if K is larger, one
row for each k. `muon_plan` lists the kernels in their order.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Any

from numba import types

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.pointers import advance, pointer
from neocog.kernels.codegen.vector_types import DOUBLES, FLOATS, LANES, LONGS, float32
from neocog.kernels.compiler.jit import inlined, kernel
from neocog.kernels.layout import ConvolutionWeight, LinearWeight
from neocog.kernels.optimizer.orthogonal import (
    COEFFICIENTS,
    SPAN,
    Iteration,
    Matrix,
    gram_matrix,
    matrix_polynomial,
    matrix_product,
    store_zero,
)
from neocog.kernels.optimizer.update import clip_of, current_momentum, current_rates

__all__ = [
    "MuonPhase",
    "Orthogonal",
    "muon_buffers",
    "muon_momentum",
    "muon_momentum_transposed",
    "muon_plan",
    "muon_scale",
    "muon_update",
    "muon_update_transposed",
    "packed_matrix",
]


@dataclass(frozen=True)
class Orthogonal:
    """A weight [columns / block][rows][block] that Muon updates; an item is a block.

    The options `nesterov`, `decay`, `renormalized` and `clipped` cost nothing if they are not set.
    """

    rows: int
    columns: int
    block: int
    nesterov: bool = True
    decay: bool = False
    renormalized: bool = False
    clipped: bool = False

    @property
    def blocks(self) -> int:
        """Items."""
        return -(-self.columns // self.block)

    @property
    def block_size(self) -> int:
        """Floats of an item."""
        return self.rows * self.block

    @property
    def transposed(self) -> bool:
        """Whether X is the transpose of the weight."""
        return self.columns > self.rows

    @property
    def x(self) -> Matrix:
        """The matrix that is orthogonalized."""
        long, short = max(self.rows, self.columns), min(self.rows, self.columns)
        return Matrix(long, short)


def packed_matrix(w: ConvolutionWeight | LinearWeight, **flags: bool) -> Orthogonal:
    """The matrix of a packed weight."""
    if isinstance(w, LinearWeight):
        return Orthogonal(w.outputs, w.inputs, LANES, **flags)
    columns = w.out_channels if w.groups == 1 else w.blocks * w.block
    return Orthogonal(w.block_size // w.block, columns, w.block, **flags)


# Momentum, and the norm


@block(nothing)
def momentum_vector(emit, spec, clip, momentum, add, g, v, u):
    """One vector of V and of U; `add` is 1 − μ."""
    slope, velocity = emit.load(g), emit.load(v)
    if spec.clipped:
        slope = emit.mul(emit.splat(clip), slope)
    velocity = emit.fma(emit.splat(add), emit.sub(slope, velocity), velocity)
    emit.store(velocity, v)
    if spec.nesterov:
        velocity = emit.fma(emit.splat(momentum), emit.sub(velocity, slope), slope)
    emit.store(velocity, u)


@block(lambda spec, *_: types.float64)
def squares(emit, spec, values):
    """Σ of the squares of one vector."""
    return emit.sum_of_squares([emit.load(values)])


@inlined
def keep_weight_squares(spec, w, sums, item):
    """Write Σ W² of one block, if it is needed."""
    if spec.renormalized:
        total = 0.0
        for at in range(0, spec.block_size, LANES):
            total += squares(spec, advance(w, item * spec.block_size + at))
        sums[item] = total


@kernel
def muon_momentum(spec, operands, first, count):
    """V and U of blocks first … first + count, with their sums of squares.

    Operands: w, g, settings (η, λ, μ), rates, step, V, X (gets U), clip, sums of U² (float64
    [blocks]), sums of W² (float64 [blocks], read and written only where it is renormalized).
    """
    w, g = pointer(operands, 0, FLOATS), pointer(operands, 1, FLOATS)
    settings = pointer(operands, 2, DOUBLES)
    row = current_rates(pointer(operands, 3, DOUBLES), pointer(operands, 4, LONGS))
    v, x = pointer(operands, 5, FLOATS), pointer(operands, 6, FLOATS)
    momentum = current_momentum(row, settings[2])
    keep, add, clip = (
        float32(momentum),
        float32(1.0 - momentum),
        clip_of(spec, pointer(operands, 7, DOUBLES)),
    )
    for item in range(first, first + count):
        total = 0.0
        for r in range(spec.rows):
            to = advance(x, r * spec.x.stride + item * spec.block)
            for lane in range(0, spec.block, LANES):
                at = item * spec.block_size + r * spec.block + lane
                u = advance(to, lane)
                momentum_vector(spec, clip, keep, add, advance(g, at), advance(v, at), u)
                total += squares(spec, u)
            if item == spec.blocks - 1:
                for lane in range(spec.block, spec.x.width - item * spec.block, LANES):
                    store_zero(spec, advance(to, lane))
        pointer(operands, 8, DOUBLES)[item] = total
        keep_weight_squares(spec, w, pointer(operands, 9, DOUBLES), item)


@kernel
def muon_momentum_transposed(spec, operands, first, count):
    """The same for an X that is the transpose of the weight."""
    w, g = pointer(operands, 0, FLOATS), pointer(operands, 1, FLOATS)
    settings = pointer(operands, 2, DOUBLES)
    row = current_rates(pointer(operands, 3, DOUBLES), pointer(operands, 4, LONGS))
    v, x = pointer(operands, 5, FLOATS), pointer(operands, 6, FLOATS)
    momentum = current_momentum(row, settings[2])
    keep, add, clip = (
        float32(momentum),
        float32(1.0 - momentum),
        clip_of(spec, pointer(operands, 7, DOUBLES)),
    )
    for item in range(first, first + count):
        total = 0.0
        for c in range(min(spec.block, spec.columns - item * spec.block)):
            to = advance(x, (item * spec.block + c) * spec.x.stride)
            for r in range(0, spec.x.width, LANES):
                store_zero(spec, advance(to, r))
            for r in range(spec.rows):
                at = item * spec.block_size + r * spec.block + c
                slope = clip * g[at] if spec.clipped else g[at]
                v[at] += add * (slope - v[at])
                to[r] = slope + keep * (v[at] - slope) if spec.nesterov else v[at]
            for r in range(0, spec.x.width, LANES):
                total += squares(spec, advance(to, r))
        pointer(operands, 8, DOUBLES)[item] = total
        keep_weight_squares(spec, w, pointer(operands, 9, DOUBLES), item)


@inlined
def norm_of(sums, items):
    """The square root of the sum of all items' sums, in order."""
    total = 0.0
    for item in range(items):
        total += sums[item]
    return sqrt(total)


@block(nothing)
def scale_vector(emit, spec, factor, x):
    """Multiply one vector."""
    emit.store(emit.mul(emit.splat(factor), emit.load(x)), x)


@kernel
def muon_scale(spec, operands, first, count):
    """X ← X / max(‖X‖, ε) of spans first … first + count. Operands: X, sums of U², settings (4: ε).

    A norm that is NaN makes all of X NaN.
    """
    x = pointer(operands, 0, FLOATS)
    norm = norm_of(pointer(operands, 1, DOUBLES), spec.blocks)
    least = pointer(operands, 2, DOUBLES)[4]
    factor = float32(1.0 / (least if norm < least else norm))
    for row in range(first * SPAN, min((first + count) * SPAN, spec.x.rows)):
        for column in range(0, spec.x.width, LANES):
            scale_vector(spec, factor, advance(x, row * spec.x.stride + column))


# The step


@block(nothing)
def move_vector(emit, spec, left, rate, w, x):
    """W ← left · W + rate · X for one vector."""
    weight = emit.load(w)
    if spec.decay or spec.renormalized:
        weight = emit.mul(emit.splat(left), weight)
    emit.store(emit.fma(emit.splat(rate), emit.load(x), weight), w)


@inlined
def factors_of(spec, settings, row, sums):
    """The factors of W and of X in the update."""
    rate = settings[0] * row[0]
    left = 1.0 - rate * settings[1] if spec.decay else 1.0
    if spec.renormalized:
        norm = norm_of(sums, spec.blocks)
        left *= 1.0 if norm == 0.0 else settings[5] / norm
    return float32(left), float32(-rate * settings[3])


@kernel
def muon_update(spec, operands, first, count):
    """Update W in blocks first … first + count, without the columns that only pad a block.

    Operands: w, X, settings (η, λ, μ, scale, ε, √K), rates, step, sums of W² (float64 [blocks],
    read only where it is renormalized).
    """
    w, x = pointer(operands, 0, FLOATS), pointer(operands, 1, FLOATS)
    settings = pointer(operands, 2, DOUBLES)
    row = current_rates(pointer(operands, 3, DOUBLES), pointer(operands, 4, LONGS))
    left, rate = factors_of(spec, settings, row, pointer(operands, 5, DOUBLES))
    for item in range(first, first + count):
        columns = min(spec.block, spec.columns - item * spec.block)
        whole = columns // LANES * LANES
        for r in range(spec.rows):
            to = advance(w, item * spec.block_size + r * spec.block)
            source = advance(x, r * spec.x.stride + item * spec.block)
            for lane in range(0, whole, LANES):
                move_vector(spec, left, rate, advance(to, lane), advance(source, lane))
            for lane in range(whole, columns):
                to[lane] = left * to[lane] + rate * source[lane]


@kernel
def muon_update_transposed(spec, operands, first, count):
    """The same for an X that is the transpose of the weight."""
    w, x = pointer(operands, 0, FLOATS), pointer(operands, 1, FLOATS)
    settings = pointer(operands, 2, DOUBLES)
    row = current_rates(pointer(operands, 3, DOUBLES), pointer(operands, 4, LONGS))
    left, rate = factors_of(spec, settings, row, pointer(operands, 5, DOUBLES))
    for item in range(first, first + count):
        for c in range(min(spec.block, spec.columns - item * spec.block)):
            to = advance(w, item * spec.block_size + c)
            source = advance(x, (item * spec.block + c) * spec.x.stride)
            for r in range(spec.rows):
                to[r * spec.block] = left * to[r * spec.block] + rate * source[r]


# The order of kernels


@dataclass(frozen=True)
class MuonPhase:
    """A kernel over `items` items, with a barrier after it: the next phase needs all results.

    `operands` are roles: ``w``, ``g``, ``settings``, ``rates``, ``step``, ``clip`` and
    ``velocity`` (as large as w) as for other updates, and the names of `muon_buffers`.
    """

    kernel: Callable[..., Any]
    spec: Any
    operands: tuple[str | None, ...]
    items: int


def muon_buffers(spec: Orthogonal) -> dict[str, int]:
    """Bytes of a step's temporary buffers for one weight, by name.

    ``x`` and ``y`` must be zero before the first step.
    """
    matrix, square = 4 * spec.x.size, 4 * spec.x.square.size
    sums = 8 * spec.blocks
    buffers = {"x": matrix, "y": matrix, "gram": square, "polynomial": square, "squares": sums}
    return buffers | ({"weight_squares": sums} if spec.renormalized else {})


def muon_plan(
    spec: Orthogonal, iterations: int = 5, coefficients: tuple[float, float, float] = COEFFICIENTS
) -> list[MuonPhase]:
    """The phases of one weight's step, in order.

    Phases with the same number in the plans of several weights may share a barrier. A call should
    get all of a worker's items at once, so that it reads each part of X from memory once.
    """
    of_w = "weight_squares" if spec.renormalized else None
    clip = "clip" if spec.clipped else None
    begin = ("w", "g", "settings", "rates", "step", "velocity", "x", clip, "squares", of_w)
    first = muon_momentum_transposed if spec.transposed else muon_momentum
    last = muon_update_transposed if spec.transposed else muon_update
    phases = [
        MuonPhase(first, spec, begin, spec.blocks),
        MuonPhase(muon_scale, spec, ("x", "squares", "settings"), spec.x.spans),
    ]
    tall = Iteration(spec.x, *coefficients)
    square = Iteration(spec.x.square, *coefficients)
    pairs = -(-spec.x.panels // 2)
    x, y = "x", "y"
    for _ in range(iterations):
        phases += [
            MuonPhase(gram_matrix, tall, (x, "gram"), pairs),
            MuonPhase(matrix_polynomial, square, ("gram", "polynomial"), pairs),
            MuonPhase(matrix_product, tall, (x, "polynomial", y), spec.x.spans),
        ]
        x, y = y, x
    end = ("w", x, "settings", "rates", "step", of_w)
    return [*phases, MuonPhase(last, spec, end, spec.blocks)]
