"""A rectangle of an image made as large as is wanted: bilinear, over more pixels where it shrinks.

Of a side of n pixels that becomes one of m, with the step r = n / m and the reach ρ = max(r, 1):

    c_i = (i + ½) r                         where the center of the new pixel i lies
    w_k = max(0, 1 − |k + ½ − c_i| / ρ)     for ⌊c_i − ρ + ½⌋ ≤ k < ⌊c_i + ρ + ½⌋, 0 ≤ k < n
    q_k = ⌊2²² w_k / Σ w + ½⌋               a tap, in whole numbers
    y_i = ⌊(Σ q_k x_k + 2²¹) / 2²²⌋         at most 255

first along every row, then along every column; bytes in between. What is outside of the rectangle
has no part in it. The filter widens where an image shrinks, which is called antialiasing. That is
Pillow's `crop` and `resize(…, BILINEAR)`, bit for bit where it takes rows first, too, which depends
on the sizes (src/libImaging/Resample.c). In whole numbers, the order of sums does not matter, nor
how wide vectors are.
"""

from math import ceil

from neocog.kernels.jit import inlined
from neocog.kernels.simd import advance

__all__ = ["most_taps", "resample"]

_BITS = 22
_ONE, _HALF = 1 << _BITS, 1 << (_BITS - 1)


def most_taps(side: int, wanted: int) -> int:
    """The most pixels that one new pixel is made of, where at most `side` become `wanted`."""
    return 2 * ceil(max(side / wanted, 1.0)) + 1


@inlined
def find_taps(side, wanted, most, first, count, taps):
    """Each new pixel's first pixel, how many there are, and their weights, `most` places each."""
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
    """One row's new pixels."""
    channels = spec.x.channels
    for i in range(spec.x.width):
        from_ = advance(source, first[i] * channels)
        weights = advance(taps, i * spec.scratch.taps)
        for c in range(channels):
            total = _HALF
            for k in range(count[i]):
                total += weights[k] * from_[k * channels + c]
            to[i * channels + c] = min(total >> _BITS, 255)


@inlined
def along_columns(spec, rows, first, count, taps, sums, to):
    """One new row, of some of the rows."""
    size = spec.x.width * spec.x.channels
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
    """Make a rectangle of a stored image as large as the map x.

    Args:
        spec: has the map `x`, `stored_row` (bytes of a row of the source) and `scratch`.
        source: the rectangle's first byte.
        height: rows of the rectangle.
        width: columns of the rectangle.
        rows: room for as many rows as a stored image has, each as wide as x.
        numbers: room for int32; see `picture_changes.Scratch`.
        to: gets the bytes.
    """
    first = numbers
    count = advance(numbers, spec.scratch.longest)
    sums = advance(numbers, 2 * spec.scratch.longest)
    taps = advance(sums, spec.scratch.row)
    find_taps(width, spec.x.width, spec.scratch.taps, first, count, taps)
    for row in range(height):
        there = advance(rows, row * spec.scratch.row)
        along_row(spec, advance(source, row * spec.stored_row), first, count, taps, there)
    find_taps(height, spec.x.height, spec.scratch.taps, first, count, taps)
    for row in range(spec.x.height):
        mine = advance(taps, row * spec.scratch.taps)
        there = advance(to, row * spec.scratch.row)
        along_columns(spec, rows, first[row], count[row], mine, sums, there)
