"""Cutout: a square around a uniformly random pixel is set to zero, which is the data's mean.

The square's side is the spec's `cutout`; parts outside of the image are ignored. If the side is
odd, the pixel is the square's center; if it is even, the center lies before the pixel.

T. DeVries and G. W. Taylor, "Improved regularization of convolutional neural networks with cutout",
2017, whose square has an odd side one pixel less.
"""

from neocog.kernels.codegen.pointers import advance
from neocog.kernels.codegen.vector_types import float32
from neocog.kernels.compiler.jit import inlined
from neocog.kernels.compiler.optional import optional
from neocog.kernels.random import drawn_below

__all__ = ["cutting"]

# Purposes of an image's random numbers; see `augmentation`.
_ROW, _COLUMN = 3, 4


@inlined
def cut_out(spec, key, x):
    """Set the pixels of a square to zero."""
    size = spec.augment.cutout
    top = drawn_below(spec.x.height, key, _ROW) - size // 2
    left = drawn_below(spec.x.width, key, _COLUMN) - size // 2
    low, high = max(0, left) * spec.x.pixel, min(left + size, spec.x.width) * spec.x.pixel
    for row in range(max(0, top), min(top + size, spec.x.height)):
        line = advance(x, row * spec.x.row)
        for at in range(low, high):
            line[at] = float32(0)


@inlined
def leave_whole(spec, key, x):
    """Do nothing."""


#: `cutting(spec)(spec, key, x)`, for a spec with `augment.cutout` and the map `x`.
cutting = optional(lambda spec: spec.augment.cutout > 0, cut_out, leave_whole)
