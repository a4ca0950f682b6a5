"""Muon: momentum whose matrix is made orthogonal before it moves a weight.

With W a convolution's weight as a matrix [K, C · kh · kw] (or any matrix), G its gradient:

    V ← V + (1 − μ)(G − V)               U = V, or Nesterov's G + μ (V − G)
    X = U / max(‖U‖, ε)                  the Frobenius norm, so that no singular value is above 1
    O = X made orthogonal                (`orthogonal`)
    W ← (1 − η λ) W − η · scale · O

K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024;
`torch.optim.Muon` is this for matrices. Where a weight is `renormalised`, W ← W √K / ‖W‖ stands
before the step, as in Jordan's airbench94_muon.

X has rows ≥ columns, so that the iteration's squares are the smaller ones: a packed weight
[K / block][C · kh · kw][block] becomes a row for each of its C · kh · kw, or, where K is larger, a
row for each k. `muon_plan` says which kernels run in which order.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Any

from numba import types

from neocog.kernels.compiling import inlined, kernel
from neocog.kernels.layout import ConvolutionWeight, LinearWeight
from neocog.kernels.orthogonal import (
    COEFFICIENTS,
    SPAN,
    Iteration,
    Matrix,
    gram_matrix,
    matrix_polynomial,
    matrix_product,
    store_zero,
)
from neocog.kernels.simd import (
    DOUBLES,
    FLOATS,
    LANES,
    LONGS,
    advance,
    block,
    float32,
    nothing,
    pointer,
)
from neocog.kernels.update import clip_of, current_momentum, current_rates

__all__ = [
    "MuonPhase",
    "Orthogonal",
    "muon_buffers",
    "muon_momentum",
    "muon_momentum_turned",
    "muon_plan",
    "muon_scale",
    "muon_update",
    "muon_update_turned",
    "packed_matrix",
]


@dataclass(frozen=True)
class Orthogonal:
    """A weight [columns / block][rows][block] that Muon moves, an item a block.

    What is not set costs nothing: `nesterov`, `decay`, `renormalised`, `clipped`.
    """

    rows: int
    columns: int
    block: int
    nesterov: bool = True
    decay: bool = False
    renormalised: bool = False
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
    def turned(self) -> bool:
        """Whether a row of X is one of the weight's columns."""
        return self.columns > self.rows

    @property
    def x(self) -> Matrix:
        """The matrix that is made orthogonal."""
        long, short = max(self.rows, self.columns), min(self.rows, self.columns)
        return Matrix(long, short)


def packed_matrix(w: ConvolutionWeight | LinearWeight, **flags: bool) -> Orthogonal:
    """A packed weight as the matrix that it is."""
    if isinstance(w, LinearWeight):
        return Orthogonal(w.outputs, w.inputs, LANES, **flags)
    columns = w.out_channels if w.groups == 1 else w.blocks * w.block
    return Orthogonal(w.block_size // w.block, columns, w.block, **flags)


# Momentum, and the norm


@block(nothing)
def momentum_vector(e, s, clip, momentum, add, g, v, u):
    """One vector of V and of U; `add` is 1 − μ."""
    slope, velocity = e.load(g), e.load(v)
    if s.clipped:
        slope = e.mul(e.splat(clip), slope)
    velocity = e.fma(e.splat(add), e.sub(slope, velocity), velocity)
    e.store(velocity, v)
    if s.nesterov:
        velocity = e.fma(e.splat(momentum), e.sub(velocity, slope), slope)
    e.store(velocity, u)


@block(lambda s, *_: types.float64)
def squares(e, s, values):
    """Σ of the squares of one vector."""
    return e.sum_of_squares([e.load(values)])


@inlined
def keep_weight_squares(s, w, sums, item):
    """Write Σ W² of one block, where it is wanted."""
    if s.renormalised:
        total = 0.0
        for at in range(0, s.block_size, LANES):
            total += squares(s, advance(w, item * s.block_size + at))
        sums[item] = total


@kernel
def muon_momentum(s, operands, first, count):
    """V and U of blocks first … first + count, with their sums of squares.

    Operands: w, g, settings (η, λ, μ), rates, step, V, X (gets U), clip, sums of U² (float64
    [blocks]), sums of W² (float64 [blocks], read and written only where it is renormalised).
    """
    w, g = pointer(operands, 0, FLOATS), pointer(operands, 1, FLOATS)
    settings = pointer(operands, 2, DOUBLES)
    row = current_rates(pointer(operands, 3, DOUBLES), pointer(operands, 4, LONGS))
    v, x = pointer(operands, 5, FLOATS), pointer(operands, 6, FLOATS)
    momentum = current_momentum(row, settings[2])
    keep, add, clip = float32(momentum), float32(1.0 - momentum), clip_of(s, operands)
    for item in range(first, first + count):
        total = 0.0
        for r in range(s.rows):
            to = advance(x, r * s.x.stride + item * s.block)
            for lane in range(0, s.block, LANES):
                at = item * s.block_size + r * s.block + lane
                u = advance(to, lane)
                momentum_vector(s, clip, keep, add, advance(g, at), advance(v, at), u)
                total += squares(s, u)
            if item == s.blocks - 1:
                for lane in range(s.block, s.x.width - item * s.block, LANES):
                    store_zero(s, advance(to, lane))
        pointer(operands, 8, DOUBLES)[item] = total
        keep_weight_squares(s, w, pointer(operands, 9, DOUBLES), item)


@kernel
def muon_momentum_turned(s, operands, first, count):
    """The same where a row of X is one of the weight's columns."""
    w, g = pointer(operands, 0, FLOATS), pointer(operands, 1, FLOATS)
    settings = pointer(operands, 2, DOUBLES)
    row = current_rates(pointer(operands, 3, DOUBLES), pointer(operands, 4, LONGS))
    v, x = pointer(operands, 5, FLOATS), pointer(operands, 6, FLOATS)
    momentum = current_momentum(row, settings[2])
    keep, add, clip = float32(momentum), float32(1.0 - momentum), clip_of(s, operands)
    for item in range(first, first + count):
        total = 0.0
        for c in range(min(s.block, s.columns - item * s.block)):
            to = advance(x, (item * s.block + c) * s.x.stride)
            for r in range(0, s.x.width, LANES):
                store_zero(s, advance(to, r))
            for r in range(s.rows):
                at = item * s.block_size + r * s.block + c
                slope = clip * g[at] if s.clipped else g[at]
                v[at] += add * (slope - v[at])
                to[r] = slope + keep * (v[at] - slope) if s.nesterov else v[at]
            for r in range(0, s.x.width, LANES):
                total += squares(s, advance(to, r))
        pointer(operands, 8, DOUBLES)[item] = total
        keep_weight_squares(s, w, pointer(operands, 9, DOUBLES), item)


@inlined
def norm_of(sums, items):
    """√ of the sum of all items' sums, in their order."""
    total = 0.0
    for item in range(items):
        total += sums[item]
    return sqrt(total)


@block(nothing)
def scale_vector(e, s, factor, x):
    """Multiply one vector."""
    e.store(e.mul(e.splat(factor), e.load(x)), x)


@kernel
def muon_scale(s, operands, first, count):
    """X ← X / max(‖X‖, ε) of spans first … first + count. Operands: X, sums of U², settings (4: ε).

    A norm that is NaN makes all of X NaN.
    """
    x = pointer(operands, 0, FLOATS)
    norm = norm_of(pointer(operands, 1, DOUBLES), s.blocks)
    least = pointer(operands, 2, DOUBLES)[4]
    factor = float32(1.0 / (least if norm < least else norm))
    for row in range(first * SPAN, min((first + count) * SPAN, s.x.rows)):
        for column in range(0, s.x.width, LANES):
            scale_vector(s, factor, advance(x, row * s.x.stride + column))


# The step


@block(nothing)
def move_vector(e, s, left, rate, w, x):
    """W ← left · W + rate · X of one vector."""
    weight = e.load(w)
    if s.decay or s.renormalised:
        weight = e.mul(e.splat(left), weight)
    e.store(e.fma(e.splat(rate), e.load(x), weight), w)


@inlined
def factors_of(s, settings, row, sums):
    """What is left of a weight before its step, and what X is multiplied by."""
    rate = settings[0] * row[0]
    left = 1.0 - rate * settings[1] if s.decay else 1.0
    if s.renormalised:
        norm = norm_of(sums, s.blocks)
        left *= 1.0 if norm == 0.0 else settings[5] / norm
    return float32(left), float32(-rate * settings[3])


@kernel
def muon_update(s, operands, first, count):
    """W of blocks first … first + count; columns that only fill a block are left alone.

    Operands: w, X, settings (η, λ, μ, scale, ε, √K), rates, step, sums of W² (float64 [blocks],
    read only where it is renormalised).
    """
    w, x = pointer(operands, 0, FLOATS), pointer(operands, 1, FLOATS)
    settings = pointer(operands, 2, DOUBLES)
    row = current_rates(pointer(operands, 3, DOUBLES), pointer(operands, 4, LONGS))
    left, rate = factors_of(s, settings, row, pointer(operands, 5, DOUBLES))
    for item in range(first, first + count):
        columns = min(s.block, s.columns - item * s.block)
        whole = columns // LANES * LANES
        for r in range(s.rows):
            to = advance(w, item * s.block_size + r * s.block)
            source = advance(x, r * s.x.stride + item * s.block)
            for lane in range(0, whole, LANES):
                move_vector(s, left, rate, advance(to, lane), advance(source, lane))
            for lane in range(whole, columns):
                to[lane] = left * to[lane] + rate * source[lane]


@kernel
def muon_update_turned(s, operands, first, count):
    """The same where a row of X is one of the weight's columns."""
    w, x = pointer(operands, 0, FLOATS), pointer(operands, 1, FLOATS)
    settings = pointer(operands, 2, DOUBLES)
    row = current_rates(pointer(operands, 3, DOUBLES), pointer(operands, 4, LONGS))
    left, rate = factors_of(s, settings, row, pointer(operands, 5, DOUBLES))
    for item in range(first, first + count):
        for c in range(min(s.block, s.columns - item * s.block)):
            to = advance(w, item * s.block_size + c)
            source = advance(x, (item * s.block + c) * s.x.stride)
            for r in range(s.rows):
                to[r * s.block] = left * to[r * s.block] + rate * source[r]


# Which kernels run


@dataclass(frozen=True)
class MuonPhase:
    """A kernel over so many items; the next phase needs all of it, so a barrier stands between.

    `operands` are roles: ``w``, ``g``, ``settings``, ``rates``, ``step``, ``clip`` and
    ``velocity`` (as large as w) as other updates have them, and the names of `muon_buffers`.
    """

    kernel: Callable[..., Any]
    stage: Any
    operands: tuple[str | None, ...]
    items: int


def muon_buffers(s: Orthogonal) -> dict[str, int]:
    """Bytes of what a step needs of its own for one weight; nothing stays there until the next.

    ``x`` and ``y`` must be zero at the very beginning.
    """
    matrix, square = 4 * s.x.size, 4 * s.x.square.size
    sums = 8 * s.blocks
    buffers = {"x": matrix, "y": matrix, "gram": square, "polynomial": square, "squares": sums}
    return buffers | ({"weight_squares": sums} if s.renormalised else {})


def muon_plan(
    s: Orthogonal, iterations: int = 5, coefficients: tuple[float, float, float] = COEFFICIENTS
) -> list[MuonPhase]:
    """The phases of one weight's step, in order.

    Phases that stand at the same place in the plans of several weights may share a barrier. A call
    should get all of a worker's items at once: it then reads each part of X from memory once.
    """
    of_w = "weight_squares" if s.renormalised else None
    clip = "clip" if s.clipped else None
    begin = ("w", "g", "settings", "rates", "step", "velocity", "x", clip, "squares", of_w)
    first = muon_momentum_turned if s.turned else muon_momentum
    last = muon_update_turned if s.turned else muon_update
    phases = [
        MuonPhase(first, s, begin, s.blocks),
        MuonPhase(muon_scale, s, ("x", "squares", "settings"), s.x.spans),
    ]
    tall = Iteration(s.x, *coefficients)
    square = Iteration(s.x.square, *coefficients)
    pairs = -(-s.x.panels // 2)
    x, y = "x", "y"
    for _ in range(iterations):
        phases += [
            MuonPhase(gram_matrix, tall, (x, "gram"), pairs),
            MuonPhase(matrix_polynomial, square, ("gram", "polynomial"), pairs),
            MuonPhase(matrix_product, tall, (x, "polynomial", y), s.x.spans),
        ]
        x, y = y, x
    end = ("w", x, "settings", "rates", "step", of_w)
    return [*phases, MuonPhase(last, s, end, s.blocks)]
