"""Color jitter: random changes of an image's brightness, contrast and saturation.

v are the image's bytes / 255, each result is clamped to 0 … 1, and b, c, s are uniform in
[max(0, 1 − strength), 1 + strength], one of each for the image:

    v ← b v
    v ← c v + (1 − c) mean(gray(v))         the mean over the whole image
    v ← s v + (1 − s) gray(v)               of the pixel
    x = 255 v · scale + shift

    gray = 0.2989 R + 0.587 G + 0.114 B, or the mean of the channels if they are not three

torchvision's `adjust_brightness`, `adjust_contrast` and `adjust_saturation`, always in this order.
Pixels of three channels in four floats are computed in vectors, all others one by one.
"""

from neocog.kernels.jit import inlined
from neocog.kernels.random import uniform
from neocog.kernels.simd import (
    LANES,
    accumulators,
    advance,
    block,
    float32,
    nothing,
    zeros,
)

__all__ = ["change_colors"]

# Which of an image's random numbers is for what; below 16 are those of `augmentation`.
_BRIGHTNESS, _CONTRAST, _SATURATION = 16, 17, 18

_RED, _GREEN, _BLUE = 0.2989, 0.587, 0.114


def _clamped(emit, value):
    one = emit.constant(1.0)
    return emit.relu(emit.select(emit.greater(value, one), one, value))


def _gray(emit, value):
    """Every pixel's gray, in all four of its lanes."""
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
    """Add a vector's grays, after its brightness has changed: each four times."""
    value = _clamped(emit, emit.mul(emit.load(x), emit.splat(brightness)))
    return [emit.add(sums[0], _gray(emit, value))]


@block(lambda *_: float32)
def total(emit, spec, sums):
    """The sum of all lanes."""
    return emit.sum(sums[0])


@block(nothing)
def color(emit, spec, brightness, contrast, saturation, mean, scale, shift, x):
    """A vector of four-float pixels: its colors, then normalized."""
    value = _clamped(emit, emit.mul(emit.load(x), emit.splat(brightness)))
    if spec.how.contrast > 0:
        value = _blended(emit, value, contrast, emit.splat(mean))
    if spec.how.saturation > 0:
        value = _blended(emit, value, saturation, _gray(emit, value))
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
    """One pixel's gray, after its brightness has changed."""
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
    if spec.how.contrasted:
        for c in range(spec.x.channels):
            pixel[c] = blended(pixel[c], contrast, mean)
    if spec.how.saturation > 0:
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
def mean_gray(spec, brightness, x):
    """The mean of an image's grays, after its brightness has changed."""
    mean = 0.0
    for row in range(spec.x.height):
        line = advance(x, row * spec.x.row)
        # A row's sum in single precision, and the rows' in double.
        sums = zeros(1)
        for at in range(0, spec.whole * spec.x.pixel, LANES):
            sums = add_gray(spec, sums, brightness, advance(line, at))
        mean += 0.25 * total(spec, sums)
        for at in range(spec.whole, spec.x.width):
            mean += gray_of(spec, advance(line, at * spec.x.pixel), brightness)
    return float32(mean / (spec.x.height * spec.x.width))


@inlined
def change_colors(spec, key, scale, shift, x):
    """Change one image's colors, of bytes / 255, and normalize it.

    Args:
        spec: has the map `x`, `how` (an `augmentation.Augment`) and `whole`, the number of pixels
            of a row that lie in whole vectors.
        key: what decides the image's random numbers.
        scale: as `load_images` has it.
        shift: as `load_images` has it.
        x: the image's first pixel.
    """
    brightness = factor_of(spec.how.brightness, key, _BRIGHTNESS)
    contrast = factor_of(spec.how.contrast, key, _CONTRAST)
    saturation = factor_of(spec.how.saturation, key, _SATURATION)
    mean = float32(0)
    if spec.how.contrasted:
        mean = mean_gray(spec, brightness, x)
    for row in range(spec.x.height):
        line = advance(x, row * spec.x.row)
        for at in range(0, spec.whole * spec.x.pixel, LANES):
            here, by, plus = advance(line, at), advance(scale, at), advance(shift, at)
            color(spec, brightness, contrast, saturation, mean, by, plus, here)
        for at in range(spec.whole, spec.x.width):
            pixel = advance(line, at * spec.x.pixel)
            color_pixel(spec, brightness, contrast, saturation, mean, scale, shift, pixel)
