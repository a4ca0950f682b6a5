"""Softmax, and cross-entropy with its gradient δ = y − t.

    p[j] = exp(z[j] − m) / Σ_k exp(z[k] − m),  m = max z
    loss = log Σ_k exp(z[k] − m) + m − z[t]

To explain a class, its score z[t] can be differentiated instead of the loss.

The exponential is `functions.exp`, with an error of at most 2 units in the last place of float32.
"""

from dataclasses import dataclass
from math import inf, log

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.pointers import advance, pointer
from neocog.kernels.codegen.vector_types import DOUBLES, FLOATS, LANES, LONGS, float32
from neocog.kernels.compiler.jit import inlined, kernel
from neocog.kernels.elementwise.functions import exp
from neocog.kernels.layout import FeatureMap

__all__ = ["Softmax", "score_of_label", "softmax", "softmax_cross_entropy"]


@dataclass(frozen=True)
class Softmax:
    """Softmax over `classes` classes."""

    classes: int

    @property
    def z(self) -> FeatureMap:
        """The scores, as a map of one pixel."""
        return FeatureMap(1, 1, self.classes)


def _scores(emit, spec, z):
    """The vectors of z, with −∞ in the lanes after the last class."""
    rows = []
    for at in range(0, spec.z.pixel, LANES):
        row = emit.load(z, at)
        if at + LANES > spec.classes:
            row = emit.select(emit.first_lanes(spec.classes - at), row, emit.constant(-inf))
        rows.append(row)
    return rows


def _largest(emit, rows):
    best = rows[0]
    for row in rows[1:]:
        best = emit.larger(best, row)
    return emit.max(best)


@block(lambda *_: float32)
def largest(emit, spec, z):
    """The largest score."""
    return _largest(emit, _scores(emit, spec, z))


@block(lambda *_: float32)
def exponentials(emit, spec, z, m, out):
    """Write exp(z − m) to whole vectors of `out`; returns their sum."""
    total = None
    for at, row in enumerate(_scores(emit, spec, z)):
        value = exp(emit, emit.sub(row, emit.splat(m)))
        emit.store(value, out, at * LANES)
        total = value if total is None else emit.add(total, value)
    return emit.sum(total)


@block(nothing)
def scale(emit, spec, out, factor):
    """Multiply whole vectors of `out` by a number."""
    for at in range(0, spec.z.pixel, LANES):
        emit.store(emit.mul(emit.load(out, at), emit.splat(factor)), out, at)


@block(nothing)
def share_out(emit, spec, exponentials_, factor, p):
    """Write one image's probabilities, and nothing after the last class."""
    for at in range(0, spec.z.pixel, LANES):
        row = emit.mul(emit.load(exponentials_, at), emit.splat(factor))
        if at + LANES <= spec.classes:
            emit.store(row, p, at)
        else:
            for lane in range(spec.classes - at):
                emit.store_float(emit.lane(row, lane), p, at + lane)


@kernel
def softmax(spec, operands, first, count):
    """Scores and probabilities, each [n, classes]. Operands: z (overwritten), scores, p."""
    for n in range(count):
        z = advance(pointer(operands, 0, FLOATS), n * spec.z.size)
        scores = advance(pointer(operands, 1, FLOATS), n * spec.classes)
        for j in range(spec.classes):
            scores[j] = z[j]
        total = exponentials(spec, z, largest(spec, z), z)
        share_out(
            spec, z, float32(1) / total, advance(pointer(operands, 2, FLOATS), n * spec.classes)
        )


@kernel
def softmax_cross_entropy(spec, operands, first, count):
    """Each image's loss, and the gradient of the batch's mean loss, (p − t) / images.

    Operands: z, dz, losses (float64), the epoch's order, labels, the step: the batch's position in
    the order, and the images in it.
    """
    losses = pointer(operands, 2, DOUBLES)
    order = pointer(operands, 3, LONGS)
    labels = pointer(operands, 4, LONGS)
    step = pointer(operands, 5, LONGS)
    share = float32(1) / float32(step[1])
    for n in range(count):
        z = advance(pointer(operands, 0, FLOATS), n * spec.z.size)
        dz = advance(pointer(operands, 1, FLOATS), n * spec.z.size)
        label = labels[order[step[0] + first + n]]
        m = largest(spec, z)
        total = exponentials(spec, z, m, dz)
        losses[n] = log(float64_of(total)) + float64_of(m) - float64_of(z[label])
        scale(spec, dz, share / total)
        dz[label] -= share


@kernel
def score_of_label(spec, operands, first, count):
    """Each image's score of its label instead of a loss, with its gradient: 1 for the label.

    Operands: those of `softmax_cross_entropy`.
    """
    losses = pointer(operands, 2, DOUBLES)
    order = pointer(operands, 3, LONGS)
    labels = pointer(operands, 4, LONGS)
    step = pointer(operands, 5, LONGS)
    for n in range(count):
        z = advance(pointer(operands, 0, FLOATS), n * spec.z.size)
        dz = advance(pointer(operands, 1, FLOATS), n * spec.z.size)
        label = labels[order[step[0] + first + n]]
        losses[n] = float64_of(z[label])
        for j in range(spec.z.pixel):
            dz[j] = float32(0)
        dz[label] = float32(1)


@inlined
def float64_of(value):
    """The value as float64, for losses that are summed over an epoch."""
    return value * 1.0
