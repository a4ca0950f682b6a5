"""Cross-entropy with label smoothing, mixed labels, class weights and image weights.

z are an image's scores, K classes, t its label, a its weight, t′ and a′ those of its partner in
mixup, w the weights of the classes (all weights are 1 if there are none), ε the smoothing, λ
mixup's share (1 if nothing is mixed), n the batch:

    q[j] = (1 − ε) (λ a w[t] [j = t] + (1 − λ) a′ w[t′] [j = t′]) + ε / K · A · w[j]
    A    = λ a + (1 − λ) a′
    loss = n / W · (Q · (log Σ_k exp(z[k] − m) + m) − Σ_j q[j] z[j]),   m = max z,   Q = Σ_j q[j]
    dz   = (Q · p − q) / W,   p = softmax(z),   W = Σ a w[t] of the whole batch

The mean of these losses is that of `torch.nn.CrossEntropyLoss` with these weights and the smoothing
ε; for mixed labels it is λ times that of the labels plus 1 − λ times that of the partners' labels.
As every image is a partner once, W is the same for both. dz is the mean's gradient, divided by
`accumulate`. If all images of a batch have the weight 0, the losses and dz are 0.

C. Szegedy et al., "Rethinking the Inception architecture for computer vision", 2015 (smoothing);
H. Zhang et al., 2017 (mixup).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf, log
from typing import Any

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.pointers import advance
from neocog.kernels.codegen.vector_types import DOUBLES, FLOATS, LANES, LONGS, float32
from neocog.kernels.compiler.jit import always_inlined, inlined, kernel
from neocog.kernels.compiler.operands import maybe
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.input.mixup import draw_mixing, partner
from neocog.kernels.layout import FeatureMap
from neocog.kernels.loss.softmax import exponentials, largest

__all__ = ["CrossEntropy", "cross_entropy", "float64_of", "kinds"]


@dataclass(frozen=True)
class CrossEntropy(Spec):
    """Cross-entropy over `classes` classes.

    `smoothing` is ε, `weighted` says whether classes have weights, `mixup` is the α of λ's
    distribution (0: labels are not mixed), `accumulate` the number of batches in a step of the
    optimizer, and `sample_weighted` says whether images have weights.
    """

    classes: int
    smoothing: float = 0.0
    weighted: bool = False
    mixup: float = 0.0
    accumulate: int = 1
    sample_weighted: bool = False

    constants = ("mixes",)

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

    @property
    def weights_alike(self) -> bool:
        """Whether every label counts the same."""
        return not (self.weighted or self.sample_weighted)


@block(nothing)
def scale(emit, spec, factor, dz):
    """dz · factor of one vector."""
    emit.store(emit.mul(emit.load(dz), emit.splat(factor)), dz)


@block(nothing)
def take_from(emit, spec, factor, evenly, left, dz):
    """dz · factor − evenly, of one vector, with zeros after the last of the `left` classes."""
    share = emit.select(emit.lanes_below(left), emit.splat(evenly), emit.constant(0.0))
    emit.store(emit.sub(emit.mul(emit.load(dz), emit.splat(factor)), share), dz)


@block(nothing)
def take_weighted_from(emit, spec, factor, evenly, weights, dz):
    """dz · factor − evenly · w of one vector."""
    share = emit.mul(emit.splat(evenly), emit.load(weights))
    emit.store(emit.sub(emit.mul(emit.load(dz), emit.splat(factor)), share), dz)


@always_inlined
def take_from_all(spec, factor, evenly, weights, dz):
    """dz · factor − evenly · w, in whole vectors."""
    for at in range(0, spec.classes, LANES):
        here = advance(dz, at)
        if not spec.smooth:
            scale(spec, factor, here)
        elif spec.weighted:
            take_weighted_from(spec, factor, evenly, advance(weights, at), here)
        else:
            take_from(spec, factor, evenly, spec.classes - at, here)


@always_inlined
def float64_of(value):
    """The value as float64, for losses that are summed over an epoch."""
    return value * 1.0


@always_inlined
def weight_of(spec, weights, label):
    """A class's weight."""
    return float64_of(weights[label]) if spec.weighted else 1.0


@always_inlined
def sample_weight_of(spec, sample_weights, image):
    """An image's weight."""
    return float64_of(sample_weights[image]) if spec.sample_weighted else 1.0


@inlined
def batch_weight(spec, weights, sample_weights, order, labels, step):
    """W: the sum of the weights of the batch's labels, in order; infinite if no image has any."""
    if spec.weights_alike:
        return float64_of(step[1])
    total = 0.0
    for at in range(step[0], step[0] + step[1]):
        image = order[at]
        weight = weight_of(spec, weights, labels[image])
        total += weight * sample_weight_of(spec, sample_weights, image)
    if spec.sample_weighted:
        return total if total > 0.0 else inf
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


@kernel(
    z=FLOATS,
    dz=FLOATS,
    losses=DOUBLES,
    order=LONGS,
    labels=LONGS,
    step=LONGS,
    class_weights=maybe(FLOATS),
    augment=maybe(LONGS),
    sample_weights=maybe(FLOATS),
)
def cross_entropy(spec, o, first, count):
    """Each image's loss, whose mean is the batch's loss, and the gradient of that mean.

    `order` is the epoch's, and the step says where in it the batch begins, and how many images it
    has. The classes' weights are only read if the spec is `weighted` (whole vectors, zero after the
    last class), the settings of augmentation only if labels are mixed, and the images' weights,
    which are indexed like the labels, only if the spec is `sample_weighted`.
    """
    order, labels, step = o.order, o.labels, o.step
    weights, sample_weights = o.class_weights, o.sample_weights
    share, rotation = 1.0, 0
    if spec.mixes:
        share, rotation = draw_mixing(spec.mixup, o.augment, step)
    whole = batch_weight(spec, weights, sample_weights, order, labels, step)
    of_gradient = 1.0 / (whole * spec.accumulate)
    of_loss = step[1] / whole
    hot, even = 1.0 - spec.smoothing, spec.smoothing / spec.classes
    for n in range(count):
        z, dz = advance(o.z, n * spec.z.size), advance(o.dz, n * spec.z.size)
        m = largest(spec, z)
        total = exponentials(spec, z, m, dz)
        highest = float64_of(m)
        image = order[step[0] + first + n]
        label = labels[image]
        own = share * sample_weight_of(spec, sample_weights, image)
        q = hot * own * weight_of(spec, weights, label)
        mass = q
        loss = q * (highest - float64_of(z[label]))
        second, others, other = 0.0, 0.0, label
        if spec.mixes:
            image = order[step[0] + partner(first + n, step[1], rotation)]
            other = labels[image]
            others = (1.0 - share) * sample_weight_of(spec, sample_weights, image)
        evenly = even * (own + others) if spec.sample_weighted else even
        if spec.smooth:
            weight, below = even_part(spec, weights, highest, z)
            mass += evenly * weight
            loss += evenly * below
        if spec.mixes:
            second = hot * others * weight_of(spec, weights, other)
            mass += second
            loss += second * (highest - float64_of(z[other]))
        o.losses[n] = of_loss * (mass * log(float64_of(total)) + loss)
        factor = float32(mass * of_gradient / float64_of(total))
        take_from_all(spec, factor, float32(evenly * of_gradient), weights, dz)
        dz[label] -= float32(q * of_gradient)
        if spec.mixes:
            dz[other] -= float32(second * of_gradient)


def kinds() -> Iterator[tuple[Any, Spec]]:
    """Every kernel with a spec of each of its kinds."""
    yield cross_entropy, CrossEntropy(2)
    yield cross_entropy, CrossEntropy(2, mixup=1.0)
