"""Cutout: a square around a uniformly random pixel is set to zero, which is the data's mean.

The square's side is the spec's `cutout`; what of it lies outside of the image is not there. With
an odd side its middle is that pixel, and with an even one the pixel before is.

T. DeVries and G. W. Taylor, "Improved regularization of convolutional neural networks with cutout",
2017, whose square has an odd side one pixel less.
"""

from neocog.kernels.jit import inlined
from neocog.kernels.optional import optional
from neocog.kernels.random import drawn_below
from neocog.kernels.simd import advance, float32

__all__ = ["cutting"]

# Which of an image's random numbers is for what; see `augmentation`.
_ROW, _COLUMN = 3, 4


@inlined
def cut_out(spec, key, x):
    """Set the pixels of a square to zero."""
    size = spec.how.cutout
    top = drawn_below(spec.x.height, key, _ROW) - size // 2
    left = drawn_below(spec.x.width, key, _COLUMN) - size // 2
    low, high = max(0, left) * spec.x.pixel, min(left + size, spec.x.width) * spec.x.pixel
    for row in range(max(0, top), min(top + size, spec.x.height)):
        line = advance(x, row * spec.x.row)
        for at in range(low, high):
            line[at] = float32(0)


@inlined
def leave_whole(spec, key, x):
    """No square cut out."""


#: `cutting(s)(s, key, x)`, for a spec with `how.cutout` and the map `x`.
cutting = optional(lambda spec: spec.how.cutout > 0, cut_out, leave_whole)
