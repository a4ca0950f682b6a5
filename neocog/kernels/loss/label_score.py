"""The score of an image's label in the place of a loss, to explain a class.

loss = z[t],  dz[j] = [j = t]
"""

from collections.abc import Iterator
from typing import Any

from neocog.kernels.codegen.pointers import advance
from neocog.kernels.codegen.vector_types import DOUBLES, FLOATS, LONGS, float32
from neocog.kernels.compiler.jit import kernel
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.loss.softmax import Softmax

__all__ = ["kinds", "score_of_label"]


@kernel(z=FLOATS, dz=FLOATS, losses=DOUBLES, order=LONGS, labels=LONGS, step=LONGS)
def score_of_label(spec, o, first, count):
    """Each image's score of its label instead of a loss, with its gradient: 1 for the label.

    Operands: those of `cross_entropy`.
    """
    for n in range(count):
        z, dz = advance(o.z, n * spec.z.size), advance(o.dz, n * spec.z.size)
        label = o.labels[o.order[o.step[0] + first + n]]
        o.losses[n] = z[label] * 1.0
        for j in range(spec.z.pixel):
            dz[j] = float32(0)
        dz[label] = float32(1)


def kinds() -> Iterator[tuple[Any, Spec]]:
    """Every kernel with a spec of each of its kinds."""
    yield score_of_label, Softmax(2)
