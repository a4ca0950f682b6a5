"""Resamples a rectangle of an image to another size: bilinear, with antialiasing.

For a side of n pixels that becomes m pixels, with step r = n / m and radius ρ = max(r, 1):

    c_i = (i + ½) r                         the center of the new pixel i
    w_k = max(0, 1 − |k + ½ − c_i| / ρ)     for ⌊c_i − ρ + ½⌋ ≤ k < ⌊c_i + ρ + ½⌋, 0 ≤ k < n
    q_k = ⌊2²² w_k / Σ w + ½⌋               a weight in fixed point
    y_i = ⌊(Σ q_k x_k + 2²¹) / 2²²⌋         at most 255

first along every row, then along every column, with bytes in between. Pixels outside of the
rectangle are not used. Where the image shrinks the filter widens, which is the antialiasing. This
is Pillow's `crop` and `resize(…, BILINEAR)`, bit for bit if Pillow starts with rows too, which
depends on the sizes (src/libImaging/Resample.c). With integers, neither the order of sums nor the
width of vectors matters.
"""

from neocog.kernels.codegen.pointers import advance
from neocog.kernels.compiler.jit import inlined
from neocog.kernels.input.augmented import channels_of

__all__ = ["resample"]

_BITS = 22
_ONE, _HALF = 1 << _BITS, 1 << (_BITS - 1)


@inlined
def find_taps(side, wanted, most, first, count, taps):
    """For each new pixel its first pixel, the number of pixels, and `most` weights."""
    step = side / wanted
    reach = max(step, 1.0)
    by = 1.0 / reach
    for i in range(wanted):
        center = (i + 0.5) * step
        low = max(0, int(center - reach + 0.5))
        high = min(side, int(center + reach + 0.5))
        total = 0.0
        for k in range(low, high):
            total += max(0.0, 1.0 - abs((k - center + 0.5) * by))
        here = advance(taps, i * most)
        for k in range(low, high):
            weight = max(0.0, 1.0 - abs((k - center + 0.5) * by)) / total
            here[k - low] = int(weight * _ONE + 0.5)
        first[i] = low
        count[i] = high - low


@inlined
def along_row(spec, source, first, count, taps, to):
    """Resample one row."""
    channels = channels_of(spec)
    for i in range(spec.x.width):
        from_ = advance(source, first[i] * channels)
        weights = advance(taps, i * spec.taps)
        for c in range(channels):
            total = _HALF
            for k in range(count[i]):
                total += weights[k] * from_[k * channels + c]
            to[i * channels + c] = min(total >> _BITS, 255)


@inlined
def along_columns(spec, rows, first, count, taps, sums, to):
    """Compute one new row from the resampled rows."""
    size = spec.x.width * channels_of(spec)
    for at in range(size):
        sums[at] = _HALF
    for k in range(count):
        row = advance(rows, (first + k) * size)
        weight = taps[k]
        for at in range(size):
            sums[at] += weight * row[at]
    for at in range(size):
        to[at] = min(sums[at] >> _BITS, 255)


@inlined
def resample(spec, source, height, width, rows, numbers, to):
    """Resample a rectangle of a stored image to the size of the map x.

    Args:
        spec: an `augmented.Pictures`.
        source: the rectangle's first byte.
        height: rows of the rectangle.
        width: columns of the rectangle.
        rows: room for all rows of a stored image, each as wide as x.
        numbers: room for `crop_numbers` int32.
        to: gets the bytes.
    """
    first = numbers
    count = advance(numbers, spec.longest)
    sums = advance(numbers, 2 * spec.longest)
    taps = advance(sums, spec.images.row)
    find_taps(width, spec.x.width, spec.taps, first, count, taps)
    for row in range(height):
        there = advance(rows, row * spec.images.row)
        along_row(spec, advance(source, row * spec.stored_row), first, count, taps, there)
    find_taps(height, spec.x.height, spec.taps, first, count, taps)
    for row in range(spec.x.height):
        mine = advance(taps, row * spec.taps)
        there = advance(to, row * spec.images.row)
        along_columns(spec, rows, first[row], count[row], mine, sums, there)
