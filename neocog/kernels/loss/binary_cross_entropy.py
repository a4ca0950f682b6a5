"""Binary cross-entropy: any number of K labels may be true of an image.

With the mass, q, W and n of `targets`, σ(z) = 1 / (1 + exp(−z)), targets t from 0 to 1, and p[j]
the weight of what is true of label j (1 if they have none):

    m[j] = mass + (p[j] − 1) · q[j]
    loss = n / W · 1 / K · Σ_j (m[j] · (max(z[j], 0) + log(1 + exp(−|z[j]|))) − p[j] · q[j] · z[j])
    dz   = (m · σ(z) − p · q) / (W · K)

Without weights of images and mixup the loss is the mean over the labels of
−p t log σ − (1 − t) log(1 − σ), and the mean of the images' losses that of
`torch.nn.BCEWithLogitsLoss`. dz is the mean's gradient, divided by `accumulate`. All is computed
in float64: beside a network's layers K numbers are few.
"""

from collections.abc import Iterator
from math import exp, log1p
from typing import Any

from neocog.kernels.codegen.pointers import advance
from neocog.kernels.codegen.vector_types import FLOATS, float32
from neocog.kernels.compiler.jit import kernel
from neocog.kernels.compiler.operands import maybe
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.loss.targets import (
    TARGET_OPERANDS,
    Targets,
    batch_mixing,
    batch_weight,
    image_targets,
)

__all__ = ["binary_cross_entropy", "kinds"]


@kernel(**TARGET_OPERANDS, pos_weight=maybe(FLOATS))
def binary_cross_entropy(spec, o, first, count):
    """Each image's loss, whose mean is the batch's loss, and the gradient of that mean."""
    share, rotation = batch_mixing(spec, o.augment, o.step)
    whole = batch_weight(spec, o.sample_weights, o.order, o.step) * spec.outputs
    of_loss, of_gradient = o.step[1] / whole, 1.0 / (whole * spec.accumulate)
    for n in range(count):
        z, dz = advance(o.z, n * spec.z.size), advance(o.dz, n * spec.z.size)
        t, own, partners, others = image_targets(spec, o, first + n, share, rotation)
        mass, loss = own + others, 0.0
        for j in range(spec.outputs):
            score, q = z[j] * 1.0, own * t[j] + others * partners[j]
            of_true = o.pos_weight[j] * 1.0 if spec.weighted else 1.0
            whole_mass, q = mass + (of_true - 1.0) * q, of_true * q
            power = exp(-abs(score))
            upper = 1.0 / (1.0 + power)  # σ(|z|)
            loss += whole_mass * ((score if score > 0.0 else 0.0) + log1p(power)) - q * score
            probability = upper if score > 0.0 else power * upper
            dz[j] = float32((whole_mass * probability - q) * of_gradient)
        for j in range(spec.outputs, spec.z.pixel):
            dz[j] = float32(0)
        o.losses[n] = of_loss * loss


def kinds() -> Iterator[tuple[Any, Spec]]:
    """Every kernel with a spec of each of its kinds."""
    yield binary_cross_entropy, Targets(2)
    yield binary_cross_entropy, Targets(2, mixup=1.0)
