"""Random resized crop: a rectangle anywhere in the stored image becomes the whole picture.

Of an image of H × W pixels, up to ten times:

    A = H W · U(a, b)                       a … b the range of the share of the area
    q = exp U(log ¾, log 4⁄3)               width over height
    w = ⌊√(A q) + ½⌋,  h = ⌊√(A / q) + ½⌋

The first with 0 < w ≤ W and 0 < h ≤ H is taken, at a uniformly random position where it fits. If
there is none, it is the largest rectangle in the image's center with ¾ ≤ q ≤ 4⁄3. `resample` scales
it to the size of the network's input.

C. Szegedy et al., "Going deeper with convolutions", 2015, section 6; the formula is that of
torchvision's `RandomResizedCrop.get_params`.
"""

from collections.abc import Iterator
from math import exp, log, sqrt
from typing import Any

from neocog.kernels.codegen.pointers import advance
from neocog.kernels.codegen.vector_types import BYTES, INTS, LONGS
from neocog.kernels.compiler.jit import inlined, kernel
from neocog.kernels.input.augmented import Augment, Pictures, channels_of
from neocog.kernels.input.draws import key_of, source_of
from neocog.kernels.input.image import Images
from neocog.kernels.input.resample import resample
from neocog.kernels.layout import FeatureMap
from neocog.kernels.random import drawn_below, uniform

__all__ = ["crop_pictures", "draw_crop", "kinds"]

# Purposes of an image's random numbers; see `draws` and `color_jitter`.
_AREA, _ASPECT, _TOP, _LEFT = 32, 33, 34, 35

_TRIES = 10
_NARROWEST, _WIDEST = 3 / 4, 4 / 3
_LOG_NARROWEST, _LOG_WIDEST = log(_NARROWEST), log(_WIDEST)


@inlined
def draw_crop(height, width, least, most, key):
    """The rectangle of an image of height × width: its top, left, height and width."""
    for attempt in range(_TRIES):
        area = height * width * (least + (most - least) * uniform(key, _AREA, attempt))
        by = uniform(key, _ASPECT, attempt)
        aspect = exp(_LOG_NARROWEST + (_LOG_WIDEST - _LOG_NARROWEST) * by)
        w = int(sqrt(area * aspect) + 0.5)
        h = int(sqrt(area / aspect) + 0.5)
        if 0 < w <= width and 0 < h <= height:
            top = drawn_below(height - h + 1, key, _TOP, attempt)
            left = drawn_below(width - w + 1, key, _LEFT, attempt)
            return top, left, h, w
    h, w = height, width
    if width < height * _NARROWEST:
        h = int(width / _NARROWEST + 0.5)
    elif width > height * _WIDEST:
        w = int(height * _WIDEST + 0.5)
    return (height - h) // 2, (width - w) // 2, h, w


@kernel(source=BYTES, drawn=LONGS, rows=BYTES, numbers=INTS, picture=BYTES)
def crop_pictures(spec, o, first, count):
    """Crop images first … first + count, and scale them to the size of x.

    `rows` are `crop_bytes` bytes of the worker, `numbers` are `crop_numbers` int32.
    """
    for n in range(count):
        key = key_of(o.drawn, n)
        least, most = spec.augment.least_area, spec.augment.most_area
        box = draw_crop(spec.stored_height, spec.stored_width, least, most, key)
        top, left, height, width = box
        source = source_of(spec, o.source, o.drawn, n)
        corner = advance(source, top * spec.stored_row + left * channels_of(spec))
        to = advance(o.picture, n * spec.picture_room)
        resample(spec, corner, height, width, o.rows, o.numbers, to)


def kinds() -> Iterator[tuple[Any, Any]]:
    """The kernel with a spec of each of its kinds."""
    for channels in (1, 3):
        images = Images(FeatureMap(1, 1, channels, dense=True), True)
        yield crop_pictures, Pictures(images, Augment())
