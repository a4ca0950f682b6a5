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

from neocog.kernels.compiling import inlined, kernel
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
    how many batches make one step of the optimiser.
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
def take_from(e, s, factor, evenly, weights, dz):
    """dz · factor − evenly · w, in whole vectors; nothing but zero after the last class."""
    for at in range(0, s.z.pixel, LANES):
        value = e.mul(e.load(dz, at), e.splat(factor))
        if s.smooth:
            share = e.splat(evenly)
            if s.weighted:
                share = e.mul(share, e.load(weights, at))
            elif at + LANES > s.classes:
                share = e.select(e.first_lanes(s.classes - at), share, e.constant(0.0))
            value = e.sub(value, share)
        e.store(value, dz, at)


@inlined
def weight_of(s, weights, label):
    """A class's weight."""
    return float64_of(weights[label]) if s.weighted else 1.0


@inlined
def batch_weight(s, weights, order, labels, step):
    """W: the sum of the weights of the batch's labels, in order."""
    if not s.weighted:
        return float64_of(step[1])
    total = 0.0
    for at in range(step[0], step[0] + step[1]):
        total += weight_of(s, weights, labels[order[at]])
    return total


@inlined
def even_part(s, weights, m, z):
    """Σ_j w[j] and Σ_j w[j] (m − z[j]), over all classes."""
    total, below = 0.0, 0.0
    for j in range(s.classes):
        w = weight_of(s, weights, j)
        total += w
        below += w * (m - float64_of(z[j]))
    return total, below


@kernel
def cross_entropy(s, operands, first, count):
    """Each image's part of the batch's mean loss, times its images, and the mean's gradient.

    Operands: z, dz, losses (float64), the epoch's order, labels, the step, the classes' weights
    (only if the stage is `weighted`; whole vectors, zero after the last class), and the settings of
    augmentation (only if labels are mixed).
    """
    losses = pointer(operands, 2, DOUBLES)
    order = pointer(operands, 3, LONGS)
    labels = pointer(operands, 4, LONGS)
    step = pointer(operands, 5, LONGS)
    weights = pointer(operands, 6, FLOATS)
    share, rotation = mixing(s)(s.mixup, pointer(operands, 7, LONGS), step)
    whole = batch_weight(s, weights, order, labels, step)
    of_gradient = 1.0 / (whole * s.accumulate)
    of_loss = step[1] / whole
    hot, even = 1.0 - s.smoothing, s.smoothing / s.classes
    for n in range(count):
        z = advance(pointer(operands, 0, FLOATS), n * s.z.size)
        dz = advance(pointer(operands, 1, FLOATS), n * s.z.size)
        m = largest(s, z)
        total = exponentials(s, z, m, dz)
        highest = float64_of(m)
        label = labels[order[step[0] + first + n]]
        q = hot * share * weight_of(s, weights, label)
        mass = q
        loss = q * (highest - float64_of(z[label]))
        if s.smooth:
            weight, below = even_part(s, weights, highest, z)
            mass += even * weight
            loss += even * below
        second, other = 0.0, label
        if s.mixes:
            other = labels[order[step[0] + partner(first + n, step[1], rotation)]]
            second = hot * (1.0 - share) * weight_of(s, weights, other)
            mass += second
            loss += second * (highest - float64_of(z[other]))
        losses[n] = of_loss * (mass * log(float64_of(total)) + loss)
        factor = float32(mass * of_gradient / float64_of(total))
        take_from(s, factor, float32(even * of_gradient), weights, dz)
        dz[label] -= float32(q * of_gradient)
        if s.mixes:
            dz[other] -= float32(second * of_gradient)
