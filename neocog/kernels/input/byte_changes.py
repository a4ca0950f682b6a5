"""Changes of an image's bytes that move no pixel, as in Pillow's `ImageEnhance` and `ImageOps`.

v are the image's bytes, g a pixel's gray, f a factor; mix(o, v, f) = o + f (v − o) in float32,
truncated to integers and clipped to 0 … 255.

    brightness     mix(0, v, f)
    contrast       mix(⌊mean of g + ½⌋, v, f)
    color          mix(g, v, f)
    sharpness      mix(⌊(Σ of the 3 × 3 pixels, the middle one five times) / 13 + ½⌋, v, f),
                   the outermost pixels as they are
    posterize      v without its lowest 8 − bits bits
    solarize       v below the threshold, else 255 − v
    autocontrast   ⌊(v − lo) · 255 / (hi − lo)⌋, of each channel's least and greatest byte
    equalize       ⌊(t / 2 + how many bytes of the channel are less than v) / t⌋, at most 255, with
                   t = ⌊(bytes less those of the greatest value) / 255⌋; unchanged where t is 0

    g = ⌊(19595 R + 38470 G + 7471 B + 2¹⁵) / 2¹⁶⌋; of other than three channels their mean, rounded

All except color and sharpness map each byte by itself: they fill a table of 256 per channel.
"""

from neocog.kernels.codegen.pointers import advance
from neocog.kernels.codegen.vector_types import float32
from neocog.kernels.compiler.jit import inlined
from neocog.kernels.input.augmented import channels_of

__all__ = [
    "LEVELS",
    "autocontrast",
    "brightness",
    "by_table",
    "change_color",
    "change_sharpness",
    "contrast",
    "equalize",
    "posterize",
    "solarize",
]

#: Values of a byte.
LEVELS = 256


@inlined
def mixed(other, value, factor):
    """mix(other, value, factor)."""
    result = float32(other) + factor * float32(value - other)
    return int(min(max(result, float32(0)), float32(255)))


@inlined
def gray_of(spec, pixel):
    """One pixel's gray."""
    if channels_of(spec) == 3:
        return (19595 * pixel[0] + 38470 * pixel[1] + 7471 * pixel[2] + 32768) >> 16
    total = channels_of(spec) // 2
    for c in range(channels_of(spec)):
        total += pixel[c]
    return total // channels_of(spec)


# By a table


@inlined
def by_table(spec, table, source, to):
    """Map each byte by its channel's table."""
    for pixel in range(spec.x.height * spec.x.width):
        for c in range(channels_of(spec)):
            at = pixel * channels_of(spec) + c
            to[at] = table[c * LEVELS + source[at]]


@inlined
def toward(spec, other, factor, table):
    """The table that mixes every byte with `other`."""
    for c in range(channels_of(spec)):
        for v in range(LEVELS):
            table[c * LEVELS + v] = mixed(other, v, factor)


@inlined
def brightness(spec, factor, table):
    """The table for another brightness."""
    toward(spec, 0, factor, table)


@inlined
def contrast(spec, factor, source, table):
    """The table for another contrast."""
    pixels = spec.x.height * spec.x.width
    total = 0
    for pixel in range(pixels):
        total += gray_of(spec, advance(source, pixel * channels_of(spec)))
    toward(spec, (2 * total + pixels) // (2 * pixels), factor, table)


@inlined
def posterize(spec, bits, table):
    """The table for fewer bits."""
    for c in range(channels_of(spec)):
        for v in range(LEVELS):
            table[c * LEVELS + v] = v >> (8 - bits) << (8 - bits)


@inlined
def solarize(spec, threshold, table):
    """The table that inverts bytes from a threshold on."""
    for c in range(channels_of(spec)):
        for v in range(LEVELS):
            table[c * LEVELS + v] = v if v < threshold else 255 - v


@inlined
def count_levels(spec, channel, source, counts):
    """Count the bytes of a channel by value; returns the least and the greatest value."""
    for v in range(LEVELS):
        counts[v] = 0
    for pixel in range(spec.x.height * spec.x.width):
        counts[source[pixel * channels_of(spec) + channel]] += 1
    low, high = 0, LEVELS - 1
    while counts[low] == 0:
        low += 1
    while counts[high] == 0:
        high -= 1
    return low, high


@inlined
def autocontrast(spec, source, counts, table):
    """The table that stretches every channel to all levels."""
    for c in range(channels_of(spec)):
        low, high = count_levels(spec, c, source, counts)
        scale = 255.0 / max(1, high - low)
        offset = -low * scale
        for v in range(LEVELS):
            level = min(max(v * scale + offset, 0.0), 255.0)
            table[c * LEVELS + v] = int(level) if high > low else v


@inlined
def equalize(spec, source, counts, table):
    """The table that gives every channel about equally many bytes of each level."""
    pixels = spec.x.height * spec.x.width
    for c in range(channels_of(spec)):
        _, high = count_levels(spec, c, source, counts)
        step = (pixels - counts[high]) // 255
        below = step // 2
        for v in range(LEVELS):
            table[c * LEVELS + v] = min(below // max(1, step), 255) if step > 0 else v
            below += counts[v]


# By a pixel, or more


@inlined
def change_color(spec, factor, source, to):
    """More or less color; no change if there is one channel."""
    for pixel in range(spec.x.height * spec.x.width):
        from_ = advance(source, pixel * channels_of(spec))
        there = advance(to, pixel * channels_of(spec))
        gray = gray_of(spec, from_)
        for c in range(channels_of(spec)):
            there[c] = mixed(gray, from_[c], factor)


@inlined
def change_sharpness(spec, factor, source, to):
    """Sharper, or smoother."""
    channels, row = channels_of(spec), spec.x.width * channels_of(spec)
    for y in range(spec.x.height):
        middle = advance(source, y * row)
        there = advance(to, y * row)
        for at in range(row):
            there[at] = middle[at]
        if 0 < y < spec.x.height - 1:
            above, below = advance(middle, -row), advance(middle, row)
            for at in range(channels, row - channels):
                left, right = at - channels, at + channels
                total = above[left] + above[at] + above[right] + below[left] + below[at]
                total += below[right] + middle[left] + 5 * middle[at] + middle[right]
                there[at] = mixed((2 * total + 13) // 26, middle[at], factor)
