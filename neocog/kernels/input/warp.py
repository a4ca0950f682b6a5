"""Affine maps of an image: each new pixel is interpolated at its source position.

For the pixel in column i and row j, counted from 0 at pixel centers:

    x = a i + (b j + c),   y = d i + (e j + f)
    X = ⌊2048 x + ½⌋ = 2048 k + u,   Y = ⌊2048 y + ½⌋ = 2048 l + v,   0 ≤ u, v < 2048
    new[j, i] = ⌊((2048 − v) ((2048 − u) p[l, k] + u p[l, k + 1])
                      + v ((2048 − u) p[l + 1, k] + u p[l + 1, k + 1]) + 2²¹) / 2²²⌋

so it is bilinear, with positions in steps of 1 ⁄ 2048 of a pixel and integer sums. Outside of the
image, p is the image mirrored at its outermost pixels (reflect) or black (zero).

    rotation by θ about the center (m, n) = ((W − 1) / 2, (H − 1) / 2), counterclockwise:
        x = cos θ i + (−sin θ j + m − cos θ m + sin θ n)
        y = sin θ i + (cos θ j + n − sin θ m − cos θ n)
"""

from collections.abc import Iterator
from math import cos, floor, pi, sin
from typing import Any

from neocog.kernels.codegen.pointers import advance
from neocog.kernels.codegen.vector_types import BYTES, LONGS
from neocog.kernels.compiler.jit import inlined, kernel
from neocog.kernels.input.augmented import Augment, Pictures, channels_of
from neocog.kernels.input.draws import key_of, source_of
from neocog.kernels.input.image import Images
from neocog.kernels.input.mirroring import mirrored
from neocog.kernels.layout import FeatureMap
from neocog.kernels.random import uniform

__all__ = ["kinds", "rotate_pictures", "rotation", "warp"]

_ANGLE = 40  # the purpose of its random number

_BITS = 11
_ONE = 1 << _BITS
_HALF = 1 << (2 * _BITS - 1)


@inlined
def warp(spec, matrix, source, to):
    """Map an image's pixels by a matrix.

    Args:
        spec: has the map `x` and `augment`, whose `reflected` says what lies outside.
        matrix: (a, b, c, d, e, f).
        source: the image's bytes, of the size of x.
        to: gets the bytes.
    """
    a, b, c, d, e, f = matrix
    height, width, channels = spec.x.height, spec.x.width, channels_of(spec)
    for row in range(height):
        line = advance(to, row * width * channels)
        for column in range(width):
            across = floor(_ONE * (a * column + (b * row + c)) + 0.5)
            down = floor(_ONE * (d * column + (e * row + f)) + 0.5)
            left, up = across >> _BITS, down >> _BITS
            right, low = left + 1, up + 1
            of_right, of_low = across & (_ONE - 1), down & (_ONE - 1)
            of_left, of_up = _ONE - of_right, _ONE - of_low
            if left < 0 or right >= width or up < 0 or low >= height:
                if spec.augment.reflected:
                    left, right = mirrored(left, width), mirrored(right, width)
                    up, low = mirrored(up, height), mirrored(low, height)
                else:
                    of_left, left = inside(of_left, left, width)
                    of_right, right = inside(of_right, right, width)
                    of_up, up = inside(of_up, up, height)
                    of_low, low = inside(of_low, low, height)
            above = advance(source, up * width * channels)
            below = advance(source, low * width * channels)
            for channel in range(channels):
                at, after = left * channels + channel, right * channels + channel
                upper = of_left * above[at] + of_right * above[after]
                lower = of_left * below[at] + of_right * below[after]
                total = of_up * upper + of_low * lower + _HALF
                line[column * channels + channel] = total >> (2 * _BITS)


@inlined
def inside(weight, at, size):
    """The weight and position of a pixel; weight 0 if it is outside of the image."""
    if 0 <= at < size:
        return weight, at
    return 0, 0


@inlined
def rotation(degrees, height, width):
    """The matrix of a rotation about the center."""
    angle = degrees * (pi / 180)
    cosine, sine = cos(angle), sin(angle)
    m, n = (width - 1) / 2, (height - 1) / 2
    c = m - cosine * m + sine * n
    f = n - sine * m - cosine * n
    return cosine, -sine, c, sine, cosine, f


@kernel(source=BYTES, drawn=LONGS, picture=BYTES)
def rotate_pictures(spec, o, first, count):
    """Rotate images first … first + count by angles that are uniform in ± `augment.degrees`."""
    for n in range(count):
        by = (2 * uniform(key_of(o.drawn, n), _ANGLE, 0) - 1) * spec.augment.degrees
        matrix = rotation(by, spec.x.height, spec.x.width)
        to = advance(o.picture, n * spec.picture_room)
        warp(spec, matrix, source_of(spec, o.source, o.drawn, n), to)


def kinds() -> Iterator[tuple[Any, Any]]:
    """The kernel with a spec of each of its kinds."""
    for channels in (1, 3):
        images = Images(FeatureMap(1, 1, channels, dense=True), True)
        yield rotate_pictures, Pictures(images, Augment())
