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

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any

from numba import types

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.pointers import advance, stack_floats
from neocog.kernels.codegen.vector_types import DOUBLES, FLOATS, LANES, LONGS, float32
from neocog.kernels.compiler.jit import Kernel, inlined, kernel
from neocog.kernels.compiler.operands import maybe
from neocog.kernels.compiler.spec import Spec
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
    "kinds",
    "muon_buffers",
    "muon_momentum",
    "muon_plan",
    "muon_scale",
    "muon_update",
    "packed_matrix",
]


@dataclass(frozen=True)
class Orthogonal(Spec):
    """A weight [columns / block][rows][block] that Muon updates; an item is a block.

    `nesterov`, `decay` and `renormalized` are options of the step, and `clipped` says whether
    gradients are multiplied by a factor.
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
    slope, velocity = emit.mul(emit.splat(clip), emit.load(g)), emit.load(v)
    velocity = emit.fma(emit.splat(add), emit.sub(slope, velocity), velocity)
    emit.store(velocity, v)
    ahead = emit.fma(emit.splat(momentum), emit.sub(velocity, slope), slope)
    emit.store(emit.select(spec.nesterov, ahead, velocity), u)


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


@inlined
def momentum_of_block(spec, clip, keep, add, g, v, x, item):
    """V and U of one block; returns Σ U²."""
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
    return total


@inlined
def momentum_of_block_transposed(spec, clip, keep, add, g, v, x, item):
    """The same for an X that is the transpose of the weight."""
    u = stack_floats(LANES)
    columns = min(spec.block, spec.columns - item * spec.block)
    to = advance(x, item * spec.block * spec.x.stride)
    for c in range(columns):
        for r in range(spec.rows // LANES * LANES, spec.x.width, LANES):
            store_zero(spec, advance(to, c * spec.x.stride + r))
    for lane in range(0, spec.block, LANES):
        for r in range(spec.rows):
            at = item * spec.block_size + r * spec.block + lane
            momentum_vector(spec, clip, keep, add, advance(g, at), advance(v, at), u)
            for c in range(lane, min(lane + LANES, columns)):
                to[c * spec.x.stride + r] = u[c - lane]
    total = 0.0
    for c in range(columns):
        for r in range(0, spec.x.width, LANES):
            total += squares(spec, advance(to, c * spec.x.stride + r))
    return total


_SETTINGS = {"settings": DOUBLES, "rates": DOUBLES, "step": LONGS}


@kernel(
    w=FLOATS,
    g=FLOATS,
    **_SETTINGS,
    v=FLOATS,
    x=FLOATS,
    clip=maybe(DOUBLES),
    sums=DOUBLES,
    weight_sums=maybe(DOUBLES),
)
def muon_momentum(spec, o, first, count):
    """V, and U in x, of blocks first … first + count, with their sums of squares.

    Settings: η, λ, μ. `sums` are of U², `weight_sums` of W² (float64 [blocks]), where the weight is
    renormalized.
    """
    momentum = current_momentum(current_rates(o.rates, o.step), o.settings[2])
    keep, add, clip = float32(momentum), float32(1.0 - momentum), clip_of(spec, o.clip)
    for item in range(first, first + count):
        if spec.transposed:
            total = momentum_of_block_transposed(spec, clip, keep, add, o.g, o.v, o.x, item)
        else:
            total = momentum_of_block(spec, clip, keep, add, o.g, o.v, o.x, item)
        o.sums[item] = total
        keep_weight_squares(spec, o.w, o.weight_sums, item)


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


@kernel(x=FLOATS, sums=DOUBLES, settings=DOUBLES)
def muon_scale(spec, o, first, count):
    """X ← X / max(‖X‖, ε) of spans first … first + count; `sums` are of U², settings[4] is ε.

    A norm that is NaN makes all of X NaN.
    """
    norm, least = norm_of(o.sums, spec.blocks), o.settings[4]
    factor = float32(1.0 / (least if norm < least else norm))
    for row in range(first * SPAN, min((first + count) * SPAN, spec.x.rows)):
        for column in range(0, spec.x.width, LANES):
            scale_vector(spec, factor, advance(o.x, row * spec.x.stride + column))


# The step


@block(nothing)
def move_vector(emit, spec, left, rate, w, x):
    """W ← left · W + rate · X for one vector."""
    weight = emit.mul(emit.splat(left), emit.load(w))
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


@inlined
def move_block(spec, left, rate, w, x, item):
    """Update one block, without the columns that only pad it."""
    columns = min(spec.block, spec.columns - item * spec.block)
    whole = columns // LANES * LANES
    for r in range(spec.rows):
        to = advance(w, item * spec.block_size + r * spec.block)
        source = advance(x, r * spec.x.stride + item * spec.block)
        for lane in range(0, whole, LANES):
            move_vector(spec, left, rate, advance(to, lane), advance(source, lane))
        for lane in range(whole, columns):
            to[lane] = left * to[lane] + rate * source[lane]


@inlined
def move_block_transposed(spec, left, rate, w, x, item):
    """The same for an X that is the transpose of the weight."""
    for c in range(min(spec.block, spec.columns - item * spec.block)):
        to = advance(w, item * spec.block_size + c)
        source = advance(x, (item * spec.block + c) * spec.x.stride)
        for r in range(spec.rows):
            to[r * spec.block] = left * to[r * spec.block] + rate * source[r]


@kernel(w=FLOATS, x=FLOATS, **_SETTINGS, weight_sums=maybe(DOUBLES))
def muon_update(spec, o, first, count):
    """Update W in blocks first … first + count. Settings: η, λ, μ, scale, ε, √K."""
    row = current_rates(o.rates, o.step)
    left, rate = factors_of(spec, o.settings, row, o.weight_sums)
    for item in range(first, first + count):
        if spec.transposed:
            move_block_transposed(spec, left, rate, o.w, o.x, item)
        else:
            move_block(spec, left, rate, o.w, o.x, item)


# The order of kernels


@dataclass(frozen=True)
class MuonPhase:
    """A kernel over `items` items, with a barrier after it: the next phase needs all results.

    `operands` gives each operand's role: ``w``, ``g``, ``settings``, ``rates``, ``step``, ``clip``
    and ``velocity`` (as large as w) as for other updates, and the names of `muon_buffers`.
    """

    kernel: Kernel
    spec: Any
    operands: Mapping[str, str]
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
    common = {name: name for name in ("w", *_SETTINGS)}
    of_w = {"weight_sums": "weight_squares"} if spec.renormalized else {}
    clip = {"clip": "clip"} if spec.clipped else {}
    begin = {**common, "g": "g", "v": "velocity", "x": "x", "sums": "squares", **clip, **of_w}
    scale = {"x": "x", "sums": "squares", "settings": "settings"}
    phases = [
        MuonPhase(muon_momentum, spec, begin, spec.blocks),
        MuonPhase(muon_scale, spec, scale, spec.x.spans),
    ]
    tall = Iteration(spec.x, *coefficients)
    square = Iteration(spec.x.square, *coefficients)
    pairs = -(-spec.x.panels // 2)
    x, y = "x", "y"
    for _ in range(iterations):
        polynomial = {"square": "gram", "by": "polynomial"}
        phases += [
            MuonPhase(gram_matrix, tall, {"x": x, "square": "gram"}, pairs),
            MuonPhase(matrix_polynomial, square, polynomial, pairs),
            MuonPhase(matrix_product, tall, {"x": x, "by": "polynomial", "y": y}, spec.x.spans),
        ]
        x, y = y, x
    return [*phases, MuonPhase(muon_update, spec, {**common, **of_w, "x": x}, spec.blocks)]


def kinds() -> Iterator[tuple[Any, Any]]:
    """Each kernel with a spec of the only kind that it has; `orthogonal` has those between."""
    for kernel_ in (muon_momentum, muon_scale, muon_update):
        yield kernel_, Orthogonal(1, 1, LANES)
