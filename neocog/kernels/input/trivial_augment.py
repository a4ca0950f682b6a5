"""TrivialAugment: one of fourteen changes of an image, with a random strength.

The change n is uniform in 0 … 13, its strength m in 0 … 30, its sign σ = ±1, and z = m / 30:

    0  identity
    1  shear x       x = i + 0.99 σ z (j + ½)       about the upper left corner
    2  shear y       y = j + 0.99 σ z (i + ½)
    3  translate x   by σ ⌊32 z⌋ pixels
    4  translate y   by σ ⌊32 z⌋ pixels
    5  rotate        by 135 σ z degrees
    6  brightness, 7 color, 8 contrast, 9 sharpness, by the factor 1 + 0.99 σ z
    10 posterize     to 8 − ⌊6 z + ½⌋ bits
    11 solarize      from 255 (1 − z) on
    12 autocontrast
    13 equalize

`warp` has 1 to 5, bilinear and with its border; `byte_changes` has the others.

S. G. Müller and F. Hutter, "TrivialAugment: tuning-free yet state-of-the-art data augmentation",
2021, with the ranges of the paper's wide set as torchvision's `TrivialAugmentWide` has them.
"""

from collections.abc import Iterator
from typing import Any

from neocog.kernels.codegen.pointers import advance
from neocog.kernels.codegen.vector_types import BYTES, INTS, LONGS, float32
from neocog.kernels.compiler.jit import inlined, kernel
from neocog.kernels.input.augmented import Augment, Pictures, channels_of
from neocog.kernels.input.byte_changes import (
    autocontrast,
    brightness,
    by_table,
    change_color,
    change_sharpness,
    contrast,
    equalize,
    posterize,
    solarize,
)
from neocog.kernels.input.draws import key_of, source_of
from neocog.kernels.input.image import Images
from neocog.kernels.input.warp import rotation, warp
from neocog.kernels.layout import FeatureMap
from neocog.kernels.random import drawn_below, random_bits

__all__ = ["CHANGES", "draw_change", "kinds", "vary_pictures"]

#: The changes, by number.
CHANGES = (
    *("identity", "shear_x", "shear_y", "translate_x", "translate_y", "rotate"),
    *("brightness", "color", "contrast", "sharpness"),
    *("posterize", "solarize", "autocontrast", "equalize"),
)
_IDENTITY, _SHEAR_X, _SHEAR_Y, _TRANSLATE_X, _TRANSLATE_Y, _ROTATE = range(6)
_BRIGHTNESS, _COLOR, _CONTRAST, _SHARPNESS = range(6, 10)
_POSTERIZE, _SOLARIZE, _AUTOCONTRAST, _EQUALIZE = range(10, 14)

# Purposes of an image's random numbers; see `crop` and `warp`.
_CHANGE, _STRENGTH, _SIGN = 48, 49, 50

_STRENGTHS = 31
_MOST = _STRENGTHS - 1


@inlined
def draw_change(key):
    """An image's n, m and σ."""
    change = drawn_below(len(CHANGES), key, _CHANGE)
    strength = drawn_below(_STRENGTHS, key, _STRENGTH)
    negative = random_bits(key, _SIGN, 0) & 1 == 1
    return change, strength, -1 if negative else 1


@inlined
def matrix_of(change, signed, height, width):
    """The matrix of a change that moves pixels, for σ m."""
    if change == _ROTATE:
        return rotation(135.0 * signed / _MOST, height, width)
    shear = 0.99 * signed / _MOST
    pixels = float(32 * abs(signed) // _MOST)
    if signed < 0:
        pixels = -pixels
    if change == _SHEAR_X:
        return 1.0, shear, 0.5 * shear, 0.0, 1.0, 0.0
    if change == _SHEAR_Y:
        return 1.0, 0.0, 0.0, shear, 1.0, 0.5 * shear
    if change == _TRANSLATE_X:
        return 1.0, 0.0, -pixels, 0.0, 1.0, 0.0
    return 1.0, 0.0, 0.0, 0.0, 1.0, -pixels


@inlined
def fill_table(spec, change, strength, factor, source, counts, table):
    """Fill the table of a change that maps each byte by itself."""
    if change == _BRIGHTNESS:
        brightness(spec, factor, table)
    elif change == _CONTRAST:
        contrast(spec, factor, source, table)
    elif change == _POSTERIZE:
        posterize(spec, 8 - (2 * strength + 5) // 10, table)
    elif change == _SOLARIZE:
        solarize(spec, 255.0 * (_MOST - strength) / _MOST, table)
    elif change == _AUTOCONTRAST:
        autocontrast(spec, source, counts, table)
    else:
        equalize(spec, source, counts, table)


@inlined
def vary(spec, key, source, counts, table, to):
    """Change one image."""
    change, strength, sign = draw_change(key)
    factor = float32(1.0 + sign * (0.99 * strength / _MOST))
    if change == _IDENTITY or (change == _COLOR and channels_of(spec) == 1):
        for at in range(spec.images.image_size):
            to[at] = source[at]
    elif change <= _ROTATE:
        warp(spec, matrix_of(change, sign * strength, spec.x.height, spec.x.width), source, to)
    elif change == _COLOR:
        change_color(spec, factor, source, to)
    elif change == _SHARPNESS:
        change_sharpness(spec, factor, source, to)
    else:
        fill_table(spec, change, strength, factor, source, counts, table)
        by_table(spec, table, source, to)


@kernel(source=BYTES, drawn=LONGS, counts=INTS, table=BYTES, picture=BYTES)
def vary_pictures(spec, o, first, count):
    """Change images first … first + count.

    A worker has room for `LEVELS` int32 in `counts`, and for as many bytes a channel in `table`.
    """
    for n in range(count):
        source = source_of(spec, o.source, o.drawn, n)
        to = advance(o.picture, n * spec.picture_room)
        vary(spec, key_of(o.drawn, n), source, o.counts, o.table, to)


def kinds() -> Iterator[tuple[Any, Any]]:
    """The kernel with a spec of each of its kinds."""
    for channels in (1, 3):
        images = Images(FeatureMap(1, 1, channels, dense=True), True)
        yield vary_pictures, Pictures(images, Augment())
