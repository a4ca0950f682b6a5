"""Resizes color pictures with antialiasing, bit for bit as Pillow does.

    narrow[y, i] = ⌊½ + Σ_j a[i, j] x[y, j]⌋        rows, for each row y that is needed
    result[i, c] = ⌊½ + Σ_j b[i, j] narrow[j, c]⌋   columns

The weights a, b are fixed-point numbers with 22 fractional bits; `neocog.reference.resize` has
their formula. Results are clipped to 0 … 255. It takes a quarter of Pillow's time: 0.4 ms from 640
× 480 to 224 × 224, half of it for rows, where `pixel_sum` adds a few pixels at a time. Along
columns whole rows are added, which LLVM vectorizes by itself.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numba import int32, uint8

from neocog.kernels.codegen.arrays import pointer_to
from neocog.kernels.codegen.pixel_sum import pixel_sum
from neocog.kernels.compiler.jit import Compilable
from neocog.kernels.compiler.python_function import python_function

__all__ = ["kinds", "resize_pixels"]

HALF = np.int32(1 << 21)
BITS = np.int32(22)


@python_function(
    pixels=uint8[:, ::1],
    columns=int32[::1],
    column_weights=int32[:, ::1],
    rows=int32[::1],
    counts=int32[::1],
    row_weights=int32[:, ::1],
    narrow=uint8[:, ::1],
    total=int32[::1],
    result=uint8[:, ::1],
)
def resize_pixels(given):
    """Scale pixels, uint8 [h · w, 4], to `result`, uint8 [height, 3 · width].

    Operands:
        pixels: the rows of the picture, uint8 [h, 4 · w]; each fourth byte is ignored.
        columns: int32 [width], for each column of the result the first column of its sum.
        column_weights: int32 [width, 8 · pairs], four equal weights for each of
            2 · pairs columns, none of which is past the last one of the picture.
        rows: int32 [height], for each row of the result the first row of its sum.
        counts: int32 [height], the number of rows in each sum.
        row_weights: int32 [height, …].
        narrow: uint8 [needed, 3 · width + 1], room for the rows that are needed. One byte more per
            row, because pixels are stored four bytes at a time.
        total: int32 [3 · width], room for one row.
        result: see above.
    """
    pixels, columns, column_weights = given.pixels, given.columns, given.column_weights
    rows, counts, row_weights = given.rows, given.counts, given.row_weights
    narrow, total, result = given.narrow, given.total, given.result
    height, across = result.shape
    width = len(columns)
    first = rows[0]
    flat, weights, places = pointer_to(pixels), pointer_to(column_weights), pointer_to(narrow)
    step = column_weights.shape[1]
    for y in range(len(narrow)):
        for x in range(width):
            at = np.intp(first + y) * pixels.shape[1] + np.intp(columns[x]) * 4
            to = np.intp(y) * (across + 1) + 3 * x
            pixel_sum(flat, at, weights, x * step, step // 8, places, to)
    for y in range(height):
        for x in range(across):
            total[x] = HALF
        for k in range(counts[y]):
            weight, row = row_weights[y, k], narrow[rows[y] + k - first]
            for x in range(across):
                total[x] += weight * np.int32(row[x])
        line = result[y]
        for x in range(across):
            line[x] = min(max(total[x] >> BITS, 0), 255)


def kinds() -> Iterator[tuple[Compilable, Any]]:
    """The one kind."""
    yield resize_pixels, None
