"""Cross-entropy with smoothed and mixed labels and with weights of classes.

z are an image's scores, K classes, t its label and t′ that of its partner in mixup, w the weights
(1 if there are none), ε the smoothing, λ mixup's share (1 if nothing is mixed), n the batch:

    q[j] = (1 − ε) (λ w[t] [j = t] + (1 − λ) w[t′] [j = t′]) + ε / K · w[j],    Q = Σ_j q[j]
    loss = n / W · (Q · (log Σ_k exp(z[k] − m) + m) − Σ_j q[j] z[j]),           m = max z
    dz   = (Q · p − q) / W,   p = softmax(z),   W = Σ w[t] of the whole batch

The mean of these losses is that of `torch.nn.CrossEntropyLoss(weight, label_smoothing=ε)`, for
mixed labels λ of it for the labels plus 1 − λ for the partners': as every image is a partner once,
W is the same for both. dz is its gradient, over `accumulate` where so many batches make one step.

C. Szegedy et al., "Rethinking the Inception architecture for computer vision", 2015 (smoothing);
H. Zhang et al., 2017 (mixup).
"""

from dataclasses import dataclass
from math import log

from neocog.kernels.jit import inlined, kernel
from neocog.kernels.layout import FeatureMap
from neocog.kernels.mixup import mixing, partner
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
from neocog.kernels.softmax import exponentials, float64_of, largest

__all__ = ["CrossEntropy", "cross_entropy"]


@dataclass(frozen=True)
class CrossEntropy:
    """Cross-entropy over so many classes.

    `smoothing` is ε, `mixup` the α that λ is drawn with (0: labels are not mixed), and `accumulate`
    how many batches make one step of the optimizer.
    """

    classes: int
    smoothing: float = 0.0
    weighted: bool = False
    mixup: float = 0.0
    accumulate: int = 1

    @property
    def z(self) -> FeatureMap:
        """The scores, as a map of one pixel."""
        return FeatureMap(1, 1, self.classes)

    @property
    def smooth(self) -> bool:
        """Whether labels are smoothed."""
        return self.smoothing > 0

    @property
    def mixes(self) -> bool:
        """Whether labels are mixed."""
        return self.mixup > 0


@block(nothing)
def take_from(emit, spec, factor, evenly, weights, dz):
    """dz · factor − evenly · w, in whole vectors; nothing but zero after the last class."""
    for at in range(0, spec.z.pixel, LANES):
        value = emit.mul(emit.load(dz, at), emit.splat(factor))
        if spec.smooth:
            share = emit.splat(evenly)
            if spec.weighted:
                share = emit.mul(share, emit.load(weights, at))
            elif at + LANES > spec.classes:
                share = emit.select(emit.first_lanes(spec.classes - at), share, emit.constant(0.0))
            value = emit.sub(value, share)
        emit.store(value, dz, at)


@inlined
def weight_of(spec, weights, label):
    """A class's weight."""
    return float64_of(weights[label]) if spec.weighted else 1.0


@inlined
def batch_weight(spec, weights, order, labels, step):
    """W: the sum of the weights of the batch's labels, in order."""
    if not spec.weighted:
        return float64_of(step[1])
    total = 0.0
    for at in range(step[0], step[0] + step[1]):
        total += weight_of(spec, weights, labels[order[at]])
    return total


@inlined
def even_part(spec, weights, m, z):
    """Σ_j w[j] and Σ_j w[j] (m − z[j]), over all classes."""
    total, below = 0.0, 0.0
    for j in range(spec.classes):
        w = weight_of(spec, weights, j)
        total += w
        below += w * (m - float64_of(z[j]))
    return total, below


@kernel
def cross_entropy(spec, operands, first, count):
    """Each image's part of the batch's mean loss, times its images, and the mean's gradient.

    Operands: z, dz, losses (float64), the epoch's order, labels, the step, the classes' weights
    (only if the spec is `weighted`; whole vectors, zero after the last class), and the settings of
    augmentation (only if labels are mixed).
    """
    losses = pointer(operands, 2, DOUBLES)
    order = pointer(operands, 3, LONGS)
    labels = pointer(operands, 4, LONGS)
    step = pointer(operands, 5, LONGS)
    weights = pointer(operands, 6, FLOATS)
    share, rotation = mixing(spec)(spec.mixup, pointer(operands, 7, LONGS), step)
    whole = batch_weight(spec, weights, order, labels, step)
    of_gradient = 1.0 / (whole * spec.accumulate)
    of_loss = step[1] / whole
    hot, even = 1.0 - spec.smoothing, spec.smoothing / spec.classes
    for n in range(count):
        z = advance(pointer(operands, 0, FLOATS), n * spec.z.size)
        dz = advance(pointer(operands, 1, FLOATS), n * spec.z.size)
        m = largest(spec, z)
        total = exponentials(spec, z, m, dz)
        highest = float64_of(m)
        label = labels[order[step[0] + first + n]]
        q = hot * share * weight_of(spec, weights, label)
        mass = q
        loss = q * (highest - float64_of(z[label]))
        if spec.smooth:
            weight, below = even_part(spec, weights, highest, z)
            mass += even * weight
            loss += even * below
        second, other = 0.0, label
        if spec.mixes:
            other = labels[order[step[0] + partner(first + n, step[1], rotation)]]
            second = hot * (1.0 - share) * weight_of(spec, weights, other)
            mass += second
            loss += second * (highest - float64_of(z[other]))
        losses[n] = of_loss * (mass * log(float64_of(total)) + loss)
        factor = float32(mass * of_gradient / float64_of(total))
        take_from(spec, factor, float32(even * of_gradient), weights, dz)
        dz[label] -= float32(q * of_gradient)
        if spec.mixes:
            dz[other] -= float32(second * of_gradient)
