"""Color jitter: random changes of an image's brightness, contrast and saturation.

v are the image's bytes / 255, each result is clamped to 0 … 1, and b, c, s are drawn once per
image, uniformly from [max(0, 1 − strength), 1 + strength]:

    v ← b v
    v ← c v + (1 − c) mean(gray(v))         the mean over the whole image
    v ← s v + (1 − s) gray(v)               of the pixel
    x = 255 v · scale + shift

    gray = 0.2989 R + 0.587 G + 0.114 B, or the mean of the channels unless there are three

torchvision's `adjust_brightness`, `adjust_contrast` and `adjust_saturation`, always in this order.
Pixels of three channels in four floats are computed in vectors, others one by one.
"""

from collections.abc import Iterator
from typing import Any

from neocog.kernels.codegen.block import accumulators, block, nothing
from neocog.kernels.codegen.pointers import advance, zeros
from neocog.kernels.codegen.vector_types import FLOATS, LANES, LONGS, float32
from neocog.kernels.compiler.jit import inlined, kernel
from neocog.kernels.input.augmented import Augment, Augmented
from neocog.kernels.input.draws import key_of
from neocog.kernels.input.image import Images
from neocog.kernels.layout import FeatureMap
from neocog.kernels.random import uniform

__all__ = ["color_images", "kinds"]

# Purposes of an image's random numbers; those below 16 belong to `draws` and `cutout`.
_BRIGHTNESS, _CONTRAST, _SATURATION = 16, 17, 18

_RED, _GREEN, _BLUE = 0.2989, 0.587, 0.114


def _clamped(emit, value):
    one = emit.constant(1.0)
    return emit.relu(emit.select(emit.greater(value, one), one, value))


def _gray(emit, value):
    """The gray of each pixel, in all four of its lanes."""
    parts = emit.mul(value, emit.pattern((_RED, _GREEN, _BLUE, 0.0)))
    parts = emit.add(parts, emit.exchange(parts, 1))
    return emit.add(parts, emit.exchange(parts, 2))


def _blended(emit, value, factor, other):
    """factor · value + (1 − factor) · other, clamped."""
    factor = emit.splat(factor)
    rest = emit.sub(emit.constant(1.0), factor)
    return _clamped(emit, emit.fma(factor, value, emit.mul(rest, other)))


@block(accumulators)
def add_gray(emit, spec, sums, brightness, x):
    """Add the grays of a vector, each four times, after the change of brightness."""
    value = _clamped(emit, emit.mul(emit.load(x), emit.splat(brightness)))
    return [emit.add(sums[0], _gray(emit, value))]


@block(lambda *_: float32)
def total(emit, spec, sums):
    """The sum of all lanes."""
    return emit.sum(sums[0])


@block(nothing)
def color(emit, spec, brightness, contrast, saturation, mean, scale, shift, x):
    """Change the colors of a vector of four-float pixels, and normalize it."""
    value = _clamped(emit, emit.mul(emit.load(x), emit.splat(brightness)))
    other = _blended(emit, value, contrast, emit.splat(mean))
    value = emit.select(spec.augment.contrasted, other, value)
    other = _blended(emit, value, saturation, _gray(emit, value))
    value = emit.select(spec.augment.saturated, other, value)
    value = emit.mul(value, emit.constant(255.0))
    emit.store(emit.fma(value, emit.load(scale), emit.load(shift)), x)


@inlined
def clamped(value):
    """The nearest number from 0 to 1."""
    return min(max(value, float32(0)), float32(1))


@inlined
def blended(value, factor, other):
    """factor · value + (1 − factor) · other, clamped."""
    return clamped(factor * value + (float32(1) - factor) * other)


@inlined
def gray_of(spec, pixel, brightness):
    """The gray of a pixel after the change of brightness."""
    sum_ = float32(0)
    for c in range(spec.x.channels):
        value = clamped(brightness * pixel[c])
        if spec.x.channels == 3:
            value *= float32(_RED) if c == 0 else float32(_GREEN) if c == 1 else float32(_BLUE)
        sum_ += value
    return sum_ if spec.x.channels == 3 else sum_ / float32(spec.x.channels)


@inlined
def color_pixel(spec, brightness, contrast, saturation, mean, scale, shift, pixel):
    """`color` of one pixel of any number of channels."""
    for c in range(spec.x.channels):
        pixel[c] = clamped(brightness * pixel[c])
    if spec.augment.contrasted:
        for c in range(spec.x.channels):
            pixel[c] = blended(pixel[c], contrast, mean)
    if spec.augment.saturated:
        gray = gray_of(spec, pixel, float32(1))
        for c in range(spec.x.channels):
            pixel[c] = blended(pixel[c], saturation, gray)
    for c in range(spec.x.channels):
        pixel[c] = pixel[c] * float32(255) * scale[c] + shift[c]


@inlined
def factor_of(strength, key, purpose):
    """Uniformly random from max(0, 1 − strength) to 1 + strength."""
    low = max(0.0, 1.0 - strength)
    return float32(low + (1.0 + strength - low) * uniform(key, purpose, 0))


@inlined
def in_vectors(spec):
    """Pixels of a row whose colors are computed in vectors: of three channels in four floats."""
    if spec.images.colored:
        return spec.x.width // (LANES // 4) * (LANES // 4)
    return 0


@inlined
def mean_gray(spec, brightness, x):
    """The mean gray of an image after the change of brightness."""
    mean, whole = 0.0, in_vectors(spec)
    for row in range(spec.x.height):
        line = advance(x, row * spec.x.row)
        # Sum a row in float32, and the rows in float64.
        sums = zeros(1)
        for at in range(0, 4 * whole, LANES):
            sums = add_gray(spec, sums, brightness, advance(line, at))
        mean += 0.25 * total(spec, sums)
        for at in range(whole, spec.x.width):
            mean += gray_of(spec, advance(line, at * spec.x.pixel), brightness)
    return float32(mean / (spec.x.height * spec.x.width))


@inlined
def change_colors(spec, key, scale, shift, x):
    """Change one image's colors, from its first pixel on."""
    brightness = factor_of(spec.augment.brightness, key, _BRIGHTNESS)
    contrast = factor_of(spec.augment.contrast, key, _CONTRAST)
    saturation = factor_of(spec.augment.saturation, key, _SATURATION)
    mean = float32(0)
    if spec.augment.contrasted:
        mean = mean_gray(spec, brightness, x)
    whole = in_vectors(spec)
    for row in range(spec.x.height):
        line = advance(x, row * spec.x.row)
        for at in range(0, 4 * whole, LANES):
            here, by, plus = advance(line, at), advance(scale, at), advance(shift, at)
            color(spec, brightness, contrast, saturation, mean, by, plus, here)
        for at in range(whole, spec.x.width):
            pixel = advance(line, at * spec.x.pixel)
            color_pixel(spec, brightness, contrast, saturation, mean, scale, shift, pixel)


@kernel(drawn=LONGS, scale=FLOATS, shift=FLOATS, x=FLOATS)
def color_images(spec, o, first, count):
    """Change the colors of images first … first + count, of bytes / 255, and normalize them."""
    for n in range(count):
        x = advance(o.x, n * spec.x.size + spec.x.start)
        change_colors(spec, key_of(o.drawn, n), o.scale, o.shift, x)


def kinds() -> Iterator[tuple[Any, Any]]:
    """The kernel with a spec of the only kind that it has."""
    yield color_images, Augmented(Images(FeatureMap(1, 1, 1, dense=True), True), Augment())
