"""Many pictures of colors scaled by a compiled kernel, to the very bits that Pillow gives.

Compiling takes two seconds on a machine where neocog has not done it yet, as much as scaling two
thousand photographs. So a picture or two are scaled by Pillow, and `prepare` is for who has many.
"""

import ctypes
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from neocog.data.filters import FILTERS, weights

__all__ = ["prepare", "resampled"]

# The kernel, from when it is prepared.
_kernel: Any = None


def prepare() -> None:
    """Have the kernel, which `resampled` uses from then on."""
    global _kernel
    if _kernel is None:
        # Numba takes half a second to import, which nobody waits for who reads one picture.
        from neocog.kernels.resizing import resize_pixels

        _scale(resize_pixels, np.zeros((4, 16), np.uint8), (2, 2), (0, 0, 4, 4), "bilinear")
        _kernel = resize_pixels


def resampled(
    picture: Image.Image,
    size: tuple[int, int],
    region: tuple[float, float, float, float],
    interpolation: str,
) -> NDArray[np.uint8] | None:
    """A region of a picture in a size, uint8 [height, width, 3].

    Rows are scaled first, then columns.

    Args:
        picture: of mode RGB, or RGBX.
        size: width and height of the result.
        region: left, top, right and bottom, within the picture.
        interpolation: one of `neocog.preprocessing.INTERPOLATIONS`.

    Returns:
        None where it must be done by Pillow: nothing is prepared, or the picture is a few pixels
        wide, or too large to lie in memory in one piece.
    """
    if _kernel is None or interpolation not in FILTERS:
        return None
    try:
        _schema, array = picture.__arrow_c_array__()
    except ValueError:  # not in one piece
        return None
    pixels = _memory(array, picture.height, 4 * picture.width)
    # `array` holds the picture's memory until it is gone.
    return _scale(_kernel, pixels, size, region, interpolation)


def _scale(
    kernel: Any,
    pixels: NDArray[np.uint8],
    size: tuple[int, int],
    region: tuple[float, float, float, float],
    interpolation: str,
) -> NDArray[np.uint8] | None:
    (width, height), (left, top, right, bottom) = size, region
    lines, across = pixels.shape[0], pixels.shape[1] // 4
    found = _column_weights(across, width, left, right, interpolation)
    if found is None:
        return None
    rows = weights(lines, height, top, bottom, interpolation)
    result = np.empty((height, 3 * width), np.uint8)
    kernel(pixels, *found, *rows, result)
    return result.reshape(height, width, 3)


@lru_cache(maxsize=64)
def _column_weights(
    pixels: int, n: int, begin: float, end: float, interpolation: str
) -> tuple[NDArray[np.int32], NDArray[np.int32]] | None:
    """First columns and weights as the kernel takes them; None for too narrow a picture."""
    first, counts, values = weights(pixels, n, begin, end, interpolation)
    pairs = -(-int(counts.max()) // 2)
    if 2 * pairs > pixels:
        return None
    # The last ones begin further left, with weights of nothing, so that none is behind the picture.
    start = np.minimum(first, pixels - 2 * pairs)
    moved = np.zeros((n, 2 * pairs), np.int32)
    line, column = np.nonzero(np.arange(values.shape[1]) < counts[:, None])
    moved[line, column + (first - start)[line]] = values[line, column]
    return start, np.repeat(moved, 4, axis=1)


# Pillow's memory, by way of Arrow's interface in C:
# https://arrow.apache.org/docs/format/CDataInterface.html


class _Array(ctypes.Structure):
    pass


_Array._fields_ = [
    *((name, ctypes.c_int64) for name in ("length", "nulls", "offset", "buffer_count", "count")),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(_Array))),
]
_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype = ctypes.c_void_p
_pointer.argtypes = (ctypes.py_object, ctypes.c_char_p)


def _memory(capsule: object, height: int, width: int) -> NDArray[np.uint8]:
    """The bytes of a picture of four bytes a pixel, [height, width]; held by the capsule."""
    address = _pointer(capsule, b"arrow_array")
    values = _Array.from_address(address).children[0].contents  # bytes within lists of four
    block = (ctypes.c_uint8 * (height * width)).from_address(values.buffers[1])
    return np.ctypeslib.as_array(block).reshape(height, width)
