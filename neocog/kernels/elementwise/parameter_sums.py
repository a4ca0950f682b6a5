"""The gradients of a weight and a bias per channel, from those of every image.

    dweight[c] = Σ_n dweight_n[c],   dbias[c] = Σ_n dbias_n[c]

added in float64 in the order of the images, so that they do not depend on the workers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from neocog.kernels.codegen.vector_types import FLOATS, LANES, LONGS, float32
from neocog.kernels.compiler.jit import kernel
from neocog.kernels.compiler.spec import Spec

__all__ = ["ParameterSums", "kinds", "sum_over_images"]


@dataclass(frozen=True)
class ParameterSums(Spec):
    """`size` floats of each parameter, whole vectors."""

    size: int


@kernel(sums=FLOATS, step=LONGS, dweight=FLOATS, dbias=FLOATS)
def sum_over_images(spec, o, first, count):
    """Both gradients of vectors first … first + count; `sums` has both of each image in turn."""
    for c in range(first * LANES, (first + count) * LANES):
        of_weight, of_bias = 0.0, 0.0
        for n in range(o.step[1]):
            at = n * 2 * spec.size + c
            of_weight += o.sums[at]
            of_bias += o.sums[at + spec.size]
        o.dweight[c] = float32(of_weight)
        o.dbias[c] = float32(of_bias)


def kinds() -> Iterator[tuple[Any, Any]]:
    """The kernel with a spec of the only kind that it has."""
    yield sum_over_images, ParameterSums(LANES)
