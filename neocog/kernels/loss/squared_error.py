"""Mean squared error of a network's K outputs.

With W and n of `targets`, and a the image's weight:

    loss = n / W · 1 / K · Σ_j a (z[j] − t[j])²                dz = 2 a (z − t) / (W · K)

The mean of the images' losses is that of `torch.nn.MSELoss`. dz is the mean's gradient, divided by
`accumulate`. All is computed in float64.
"""

from collections.abc import Iterator
from typing import Any

from neocog.kernels.codegen.pointers import advance
from neocog.kernels.codegen.vector_types import float32
from neocog.kernels.compiler.jit import kernel
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.loss.targets import TARGET_OPERANDS, Targets, batch_weight, image_targets

__all__ = ["kinds", "squared_error"]


@kernel(**TARGET_OPERANDS)
def squared_error(spec, o, first, count):
    """Each image's loss, whose mean is the batch's loss, and the gradient of that mean."""
    whole = batch_weight(spec, o.sample_weights, o.order, o.step) * spec.outputs
    of_loss, of_gradient = o.step[1] / whole, 2.0 / (whole * spec.accumulate)
    for n in range(count):
        z, dz = advance(o.z, n * spec.z.size), advance(o.dz, n * spec.z.size)
        t, weight, _, _ = image_targets(spec, o, first + n, 1.0, 0)
        loss = 0.0
        for j in range(spec.outputs):
            error = z[j] * 1.0 - t[j]
            loss += weight * error * error
            dz[j] = float32(weight * error * of_gradient)
        for j in range(spec.outputs, spec.z.pixel):
            dz[j] = float32(0)
        o.losses[n] = of_loss * loss


def kinds() -> Iterator[tuple[Any, Spec]]:
    """Every kernel with a spec of each of its kinds."""
    yield squared_error, Targets(2)
