"""What the losses with a target for every output share; see `binary_cross_entropy`.

An image's weight is a, that of its partner in mixup a′, λ mixup's share (1 if nothing is mixed):

    mass = λ a + (1 − λ) a′        q[j] = λ a t[j] + (1 − λ) a′ t′[j]        W = Σ a of the batch
"""

from dataclasses import dataclass
from math import inf

from neocog.kernels.codegen.pointers import advance
from neocog.kernels.codegen.vector_types import DOUBLES, FLOATS, LONGS
from neocog.kernels.compiler.jit import inlined
from neocog.kernels.compiler.operands import maybe
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.input.mixup import draw_mixing, partner
from neocog.kernels.layout import FeatureMap

__all__ = ["TARGET_OPERANDS", "Targets", "batch_mixing", "batch_weight", "image_targets"]

#: The operands of these losses. The step says where in the epoch's order the batch begins, and how
#: many images it has. `targets` are float32 [images, outputs], the images' weights float32
#: [images]; these are only read if the spec is `sample_weighted`, and the settings of augmentation
#: only if it `mixes`.
TARGET_OPERANDS = {
    "z": FLOATS,
    "dz": FLOATS,
    "losses": DOUBLES,
    "order": LONGS,
    "targets": FLOATS,
    "step": LONGS,
    "augment": maybe(LONGS),
    "sample_weights": maybe(FLOATS),
}


@dataclass(frozen=True)
class Targets(Spec):
    """A loss with targets for every output.

    `mixup` is the α of λ's distribution (0: targets are not mixed), `accumulate` the number of
    batches in a step of the optimizer, `sample_weighted` says whether images have weights, and
    `weighted` whether what is true of each output has one.
    """

    outputs: int
    mixup: float = 0.0
    accumulate: int = 1
    sample_weighted: bool = False
    weighted: bool = False

    constants = ("mixes",)

    @property
    def z(self) -> FeatureMap:
        """The scores, as a map of one pixel."""
        return FeatureMap(1, 1, self.outputs)

    @property
    def mixes(self) -> bool:
        """Whether targets are mixed."""
        return self.mixup > 0


@inlined
def batch_mixing(spec, augment, step):
    """The batch's λ, and how far partners are apart."""
    share, rotation = 1.0, 0
    if spec.mixes:
        share, rotation = draw_mixing(spec.mixup, augment, step)
    return share, rotation


@inlined
def weight_of(spec, sample_weights, image):
    """An image's weight."""
    return sample_weights[image] * 1.0 if spec.sample_weighted else 1.0


@inlined
def batch_weight(spec, sample_weights, order, step):
    """W, in the order of the batch; infinite if no image has any weight."""
    if not spec.sample_weighted:
        return step[1] * 1.0
    total = 0.0
    for at in range(step[0], step[0] + step[1]):
        total += weight_of(spec, sample_weights, order[at])
    return total if total > 0.0 else inf


@inlined
def image_targets(spec, o, place, share, rotation):
    """Targets and weights, times the shares, of the image at a place in the batch and its partner.

    Returns:
        (t, λ a, t′, (1 − λ) a′).
    """
    image = o.order[o.step[0] + place]
    own = share * weight_of(spec, o.sample_weights, image)
    t = advance(o.targets, image * spec.outputs)
    if spec.mixes:
        other = o.order[o.step[0] + partner(place, o.step[1], rotation)]
        others = (1.0 - share) * weight_of(spec, o.sample_weights, other)
        return t, own, advance(o.targets, other * spec.outputs), others
    return t, own, t, 0.0
