"""Cutout: a square around a uniformly random pixel is set to zero, which is the data's mean.

The square's side is the spec's `cutout`; parts outside of the image are ignored. If the side is
odd, the pixel is the square's center; if it is even, the center lies before the pixel.

T. DeVries and G. W. Taylor, "Improved regularization of convolutional neural networks with cutout",
2017, whose square has an odd side one pixel less.
"""

from collections.abc import Iterator
from typing import Any

from neocog.kernels.codegen.pointers import advance
from neocog.kernels.codegen.vector_types import FLOATS, LONGS, float32
from neocog.kernels.compiler.jit import inlined, kernel
from neocog.kernels.input.augmented import Augment, Augmented
from neocog.kernels.input.draws import key_of
from neocog.kernels.input.image import Images
from neocog.kernels.layout import FeatureMap
from neocog.kernels.random import drawn_below

__all__ = ["cut_images", "kinds"]

# Purposes of an image's random numbers; see `draws`.
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


@kernel(drawn=LONGS, x=FLOATS)
def cut_images(spec, o, first, count):
    """Cut a square out of images first … first + count."""
    for n in range(count):
        x = advance(o.x, n * spec.x.size + spec.x.start)
        cut_out(spec, key_of(o.drawn, n), x)


def kinds() -> Iterator[tuple[Any, Any]]:
    """The kernel with a spec of the only kind that it has."""
    yield cut_images, Augmented(Images(FeatureMap(1, 1, 1, dense=True), True), Augment())
