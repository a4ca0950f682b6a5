"""Dropout: in training, random elements are zeroed and the others scaled up.

    y = x · m,   dx = dy · m,   m = 0 with probability p, else 1 / (1 − p)

as in `torch.nn.Dropout`. p = 1 gives all zeros, and non-finite numbers times zero are NaN. (N.
Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014.)

The mask is not stored, but recomputed in the backward pass. It is a function of the run's seed, the
layer, the number of earlier optimizer steps, the image's position n in the epoch's order, and the
number of the element, (h · W + w) · C + c. So it does not depend on the number of workers, the
width of vectors or the borders. With `random_bits` and `mixed_lanes` from `random.py`,

    key = bits(bits(seed, layer, step), n, 0),      m = 0 where mixed(number, key) < T

for signed 32-bit numbers, T = round(2³² p) − 2³¹: p is exact to 2⁻³³.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.pointers import advance
from neocog.kernels.codegen.vector_types import FLOATS, LANES, LONGS
from neocog.kernels.compiler.jit import Kernel, inlined, kernel
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.elementwise.traversal import Pass, Traversal, first_pixels, over, traverse
from neocog.kernels.layout import FeatureMap
from neocog.kernels.random import mixed_lanes, random_bits

__all__ = ["Dropout", "dropout_backward", "dropout_forward", "kinds"]

#: T that would drop all.
_ALL = 2**31


@dataclass(frozen=True)
class Dropout(Spec):
    """From the map x to the map y, and from dy to dx; `layer` numbers a network's dropouts.

    Any of the maps may be dense.
    """

    x: FeatureMap
    y: FeatureMap
    dy: FeatureMap
    dx: FeatureMap
    p: float
    layer: int

    @property
    def forward(self) -> Traversal:
        """The forward pass."""
        return over(self.x, self.y)

    @property
    def backward(self) -> Traversal:
        """The backward pass."""
        return over(self.dy, self.dx)

    @property
    def threshold(self) -> int:
        """T, as a number of 32 bits."""
        return min(round(self.p * 2**32) - 2**31, _ALL - 1)

    @property
    def kept(self) -> float:
        """What elements that are kept are multiplied by; 0 if T drops all."""
        return 0.0 if round(self.p * 2**32) - 2**31 == _ALL else 1.0 / (1.0 - self.p)


def _drop(emit, spec, p, maps, low, high):
    halves = [emit.splat_indices(half) for half in (low, high)]

    def begin(c, vectors):
        return [c + v * LANES for v in range(vectors)]

    def visit(channels, place):
        number = place.pixel * spec.x.channels + channels[place.number]
        numbers = emit.add_indices(emit.splat_indices(number), emit.counting_indices())
        dropped = emit.less_indices(
            mixed_lanes(emit, numbers, *halves), emit.indices(spec.threshold)
        )
        kept = emit.select(dropped, emit.constant(0.0), emit.constant(spec.kept))
        place.store(1, emit.mul(place.load(0), kept))
        return ()

    traverse(emit, p, first_pixels(emit, 0, *maps), Pass(visit, begin))


@block(nothing)
def drop(emit, spec, x, y, low, high):
    """Apply the mask of a key to an image."""
    _drop(emit, spec, spec.forward, [(x, spec.x), (y, spec.y)], low, high)


@block(nothing)
def drop_back(emit, spec, dy, dx, low, high):
    """Apply the mask to an image's gradient."""
    _drop(emit, spec, spec.backward, [(dy, spec.dy), (dx, spec.dx)], low, high)


@inlined
def mask_key(spec, seed, step, n):
    """The key of the mask of the batch's image n."""
    return random_bits(random_bits(seed[0], spec.layer, step[2]), step[0] + n, 0)


@kernel(x=FLOATS, y=FLOATS, seed=LONGS, step=LONGS)
def dropout_forward(spec, o, first, count):
    """y from x."""
    for n in range(count):
        key = mask_key(spec, o.seed, o.step, first + n)
        x, y = advance(o.x, n * spec.x.size), advance(o.y, n * spec.y.size)
        drop(spec, x, y, key, key >> np.uint64(32))


@kernel(dy=FLOATS, dx=FLOATS, seed=LONGS, step=LONGS)
def dropout_backward(spec, o, first, count):
    """dx from dy."""
    for n in range(count):
        key = mask_key(spec, o.seed, o.step, first + n)
        dy, dx = advance(o.dy, n * spec.dy.size), advance(o.dx, n * spec.dx.size)
        drop_back(spec, dy, dx, key, key >> np.uint64(32))


def kinds() -> Iterator[tuple[Kernel, Dropout]]:
    """A spec of every kind, with its kernel."""
    spec = Dropout(*(FeatureMap(1, 1, 1),) * 4, p=0.5, layer=0)
    yield dropout_forward, spec
    yield dropout_backward, spec
