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

from dataclasses import dataclass

import numpy as np

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.pointers import advance, pointer, rolled
from neocog.kernels.codegen.vector_types import FLOATS, LANES, LONGS
from neocog.kernels.compiler.jit import inlined, kernel
from neocog.kernels.layout import FeatureMap
from neocog.kernels.random import mixed_lanes, random_bits

__all__ = ["Dropout", "dropout_backward", "dropout_forward"]


@dataclass(frozen=True)
class Dropout:
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
    def threshold(self) -> int:
        """T; 2³¹ means that all elements are zero."""
        return round(self.p * 2**32) - 2**31


def _drop(emit, spec, source, given, target, wanted, number, key):
    """Apply the mask to one vector, of which `given` floats are read and `wanted` written."""
    value = emit.load_first(source, 0, given)
    if spec.threshold == 2**31:
        kept = emit.constant(0.0)
    else:
        numbers = emit.add_indices(emit.splat_indices(number), emit.counting_indices())
        bits = mixed_lanes(emit, numbers, *(emit.splat_indices(half) for half in key))
        dropped = emit.less_indices(bits, emit.indices(spec.threshold))
        kept = emit.select(dropped, emit.constant(0.0), emit.constant(1.0 / (1.0 - spec.p)))
    emit.store_first(emit.mul(value, kept), target, 0, wanted)


@block(nothing)
def drop(emit, spec, x, y, number, low, high):
    """Apply the mask of a key to a vector of x whose first element has this number."""
    _drop(emit, spec, x, spec.x.pixel, y, spec.y.pixel, number, (low, high))


@block(nothing)
def drop_back(emit, spec, dy, dx, number, low, high):
    """Apply the mask to a vector of dy."""
    _drop(emit, spec, dy, spec.dy.pixel, dx, spec.dx.pixel, number, (low, high))


@inlined
def mask_key(spec, seed, step, n):
    """The key of the mask of the batch's image n."""
    return random_bits(random_bits(seed[0], spec.layer, step[2]), step[0] + n, 0)


@kernel
def dropout_forward(spec, operands, first, count):
    """Operands: x, y, seed (int64), the step."""
    seed = pointer(operands, 2, LONGS)
    step = pointer(operands, 3, LONGS)
    for n in range(count):
        key = mask_key(spec, seed, step, first + n)
        high = key >> np.uint64(32)
        x_map = advance(pointer(operands, 0, FLOATS), n * spec.x.size + spec.x.start)
        y_map = advance(pointer(operands, 1, FLOATS), n * spec.y.size + spec.y.start)
        for row in range(rolled(spec.x.height)):
            for column in range(rolled(spec.x.width)):
                number = (row * spec.x.width + column) * spec.x.channels
                x = advance(x_map, row * spec.x.row + column * spec.x.pixel)
                y = advance(y_map, row * spec.y.row + column * spec.y.pixel)
                for c in range(0, rolled(spec.x.channels), LANES):
                    drop(spec, advance(x, c), advance(y, c), number + c, key, high)


@kernel
def dropout_backward(spec, operands, first, count):
    """Operands: dy, dx, seed (int64), the step."""
    seed = pointer(operands, 2, LONGS)
    step = pointer(operands, 3, LONGS)
    for n in range(count):
        key = mask_key(spec, seed, step, first + n)
        high = key >> np.uint64(32)
        dy_map = advance(pointer(operands, 0, FLOATS), n * spec.dy.size + spec.dy.start)
        dx_map = advance(pointer(operands, 1, FLOATS), n * spec.dx.size + spec.dx.start)
        for row in range(rolled(spec.dx.height)):
            for column in range(rolled(spec.dx.width)):
                number = (row * spec.dx.width + column) * spec.dx.channels
                dy = advance(dy_map, row * spec.dy.row + column * spec.dy.pixel)
                dx = advance(dx_map, row * spec.dx.row + column * spec.dx.pixel)
                for c in range(0, rolled(spec.dx.channels), LANES):
                    drop_back(spec, advance(dy, c), advance(dx, c), number + c, key, high)
