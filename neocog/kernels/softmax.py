"""Softmax, and cross-entropy with its gradient δ = y − t.

    p[j] = exp(z[j] − m) / Σ_k exp(z[k] − m),  m = max z
    loss = log Σ_k exp(z[k] − m) + m − z[t]

For a look at what speaks for a class, its score z[t] stands in the loss's place.

The exponential is `functions.exp`, within 2 units in the last place of float32.
"""

from dataclasses import dataclass
from math import inf, log

from neocog.kernels.compiling import inlined, kernel
from neocog.kernels.functions import exp
from neocog.kernels.layout import FeatureMap
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

__all__ = ["Softmax", "score_of_label", "softmax", "softmax_cross_entropy"]


@dataclass(frozen=True)
class Softmax:
    """Softmax over so many classes."""

    classes: int

    @property
    def z(self) -> FeatureMap:
        """The scores, as a map of one pixel."""
        return FeatureMap(1, 1, self.classes)


def _scores(e, s, z):
    """The vectors of z, with −∞ in the lanes after the last class."""
    rows = []
    for at in range(0, s.z.pixel, LANES):
        row = e.load(z, at)
        if at + LANES > s.classes:
            row = e.select(e.first_lanes(s.classes - at), row, e.constant(-inf))
        rows.append(row)
    return rows


def _largest(e, rows):
    best = rows[0]
    for row in rows[1:]:
        best = e.larger(best, row)
    return e.max(best)


@block(lambda *_: float32)
def largest(e, s, z):
    """The largest score."""
    return _largest(e, _scores(e, s, z))


@block(lambda *_: float32)
def exponentials(e, s, z, m, out):
    """Write exp(z − m) to whole vectors of `out`; gives their sum."""
    total = None
    for at, row in enumerate(_scores(e, s, z)):
        value = exp(e, e.sub(row, e.splat(m)))
        e.store(value, out, at * LANES)
        total = value if total is None else e.add(total, value)
    return e.sum(total)


@block(nothing)
def scale(e, s, out, factor):
    """Multiply whole vectors of `out` by a number."""
    for at in range(0, s.z.pixel, LANES):
        e.store(e.mul(e.load(out, at), e.splat(factor)), out, at)


@block(nothing)
def share_out(e, s, exponentials_, factor, p):
    """Write one image's probabilities, class by class, with nothing after the last."""
    for at in range(0, s.z.pixel, LANES):
        row = e.mul(e.load(exponentials_, at), e.splat(factor))
        if at + LANES <= s.classes:
            e.store(row, p, at)
        else:
            for lane in range(s.classes - at):
                e.store_float(e.lane(row, lane), p, at + lane)


@kernel
def softmax(s, operands, first, count):
    """Scores and probabilities, each [n, classes]. Operands: z (overwritten), scores, p."""
    for n in range(count):
        z = advance(pointer(operands, 0, FLOATS), n * s.z.size)
        scores = advance(pointer(operands, 1, FLOATS), n * s.classes)
        for j in range(s.classes):
            scores[j] = z[j]
        total = exponentials(s, z, largest(s, z), z)
        share_out(s, z, float32(1) / total, advance(pointer(operands, 2, FLOATS), n * s.classes))


@kernel
def softmax_cross_entropy(s, operands, first, count):
    """Each image's loss, and the gradient of the batch's mean loss, (p − t) / images.

    Operands: z, dz, losses (float64), the epoch's order, labels, the step: where in the order the
    batch begins, and the images in it.
    """
    losses = pointer(operands, 2, DOUBLES)
    order = pointer(operands, 3, LONGS)
    labels = pointer(operands, 4, LONGS)
    step = pointer(operands, 5, LONGS)
    share = float32(1) / float32(step[1])
    for n in range(count):
        z = advance(pointer(operands, 0, FLOATS), n * s.z.size)
        dz = advance(pointer(operands, 1, FLOATS), n * s.z.size)
        label = labels[order[step[0] + first + n]]
        m = largest(s, z)
        total = exponentials(s, z, m, dz)
        losses[n] = log(float64_of(total)) + float64_of(m) - float64_of(z[label])
        scale(s, dz, share / total)
        dz[label] -= share


@kernel
def score_of_label(s, operands, first, count):
    """Each image's score of its label in place of a loss, and its gradient: one for the label.

    Operands: those of `softmax_cross_entropy`.
    """
    losses = pointer(operands, 2, DOUBLES)
    order = pointer(operands, 3, LONGS)
    labels = pointer(operands, 4, LONGS)
    step = pointer(operands, 5, LONGS)
    for n in range(count):
        z = advance(pointer(operands, 0, FLOATS), n * s.z.size)
        dz = advance(pointer(operands, 1, FLOATS), n * s.z.size)
        label = labels[order[step[0] + first + n]]
        losses[n] = float64_of(z[label])
        for j in range(s.z.pixel):
            dz[j] = float32(0)
        dz[label] = float32(1)


@inlined
def float64_of(value):
    """The value in double precision, for losses that are summed over an epoch."""
    return value * 1.0
