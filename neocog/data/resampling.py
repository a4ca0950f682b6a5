"""Scales color pictures with a compiled kernel, bit for bit as Pillow does.

Compiling takes two seconds the first time on a machine, as long as scaling two thousand
photographs. So Pillow scales the first ones, and callers with many call `prepare_if_worth`.
"""

import ctypes
import threading
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from neocog.data.filters import FILTERS, weights

__all__ = ["prepare", "prepare_if_worth", "resampled"]

# The kernel, once it is ready; and the pixels that were scaled without it.
_kernel: Any = None
_without = 0
_preparing = threading.Lock()
# After this many pixels more are to be expected: two thousand photographs of 640 × 480.
_MANY = 600_000_000


def prepare_if_worth() -> None:
    """Prepare the kernel if many pictures have been scaled without; other threads may be at it."""
    if _kernel is None and _without >= _MANY and _preparing.acquire(blocking=False):
        try:
            prepare()
        finally:
            _preparing.release()


def prepare() -> None:
    """Prepare the kernel, which `resampled` uses from then on."""
    global _kernel
    if _kernel is None:
        # Imported here because Numba takes half a second, too long for reading a single picture.
        from neocog.kernels.input.resizing import resize_pixels

        _scale(resize_pixels, np.zeros((4, 16), np.uint8), (2, 2), (0, 0, 4, 4), "bilinear")
        _kernel = resize_pixels


def resampled(
    picture: Image.Image,
    size: tuple[int, int],
    region: tuple[float, float, float, float],
    interpolation: str,
) -> NDArray[np.uint8] | None:
    """Scale a region of a picture: uint8 [height, width, 3].

    Rows are scaled first, then columns.

    Args:
        picture: of mode RGB or RGBX.
        size: width and height of the result.
        region: left, top, right and bottom, within the picture.
        interpolation: one of `neocog.preprocessing.INTERPOLATIONS`.

    Returns:
        None if Pillow must do it: the kernel is not ready although the size changes, or the picture
        is a few pixels wide, or too large for one contiguous block of memory.
    """
    global _without
    as_it_is = size == picture.size and region == (0, 0, *size)
    if not as_it_is and (_kernel is None or interpolation not in FILTERS):
        _without += picture.width * picture.height  # lost updates of other threads do no harm
        return None
    try:
        _schema, array = picture.__arrow_c_array__()
    except ValueError:  # not contiguous
        return None
    pixels = np.asarray(_Memory(array, picture.height, 4 * picture.width))
    if as_it_is:
        return pixels.reshape(picture.height, picture.width, 4)[:, :, :3].copy()
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
    first, counts, _ = rows
    needed = int(first[-1] + counts[-1] - first[0])
    room = np.empty((needed, 3 * width + 1), np.uint8), np.empty(3 * width, np.int32)
    kernel(pixels, *found, *rows, *room, result)
    return result.reshape(height, width, 3)


@lru_cache(maxsize=64)
def _column_weights(
    pixels: int, n: int, begin: float, end: float, interpolation: str
) -> tuple[NDArray[np.int32], NDArray[np.int32]] | None:
    """First columns and weights for the kernel; None if the picture is too narrow."""
    first, counts, values = weights(pixels, n, begin, end, interpolation)
    pairs = -(-int(counts.max()) // 2)
    if 2 * pairs > pixels:
        return None
    # The last windows begin further left, with weights of zero, so that they end in the picture.
    start = np.minimum(first, pixels - 2 * pairs)
    moved = np.zeros((n, 2 * pairs), np.int32)
    line, column = np.nonzero(np.arange(values.shape[1]) < counts[:, None])
    moved[line, column + (first - start)[line]] = values[line, column]
    return start, np.repeat(moved, 4, axis=1)


# Access to Pillow's memory through Arrow's C data interface:
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


class _Memory:
    """The memory of a picture of four bytes a pixel, [height, width], for NumPy."""

    def __init__(self, capsule: object, height: int, width: int) -> None:
        self._capsule = capsule  # it owns the memory
        address = _pointer(capsule, b"arrow_array")
        values = _Array.from_address(address).children[0].contents  # bytes within lists of four
        self.__array_interface__ = {
            "version": 3,
            "typestr": "|u1",
            "shape": (height, width),
            "data": (values.buffers[1], False),
        }
