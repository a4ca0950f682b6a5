"""Converts many images in one array, in any common form, to uint8 [n, h, w, c].

Pixels are bytes, or numbers from 0 to 1. Channels come last, or first if the layout says so or the
shape allows nothing else; gray images may have no axis of channels.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.arrays import as_array
from neocog.errors import DataError
from neocog.limits import require_memory

__all__ = ["LAYOUTS", "as_batch", "as_pixels", "find_layout"]

#: Layouts of images with four axes, by PyTorch's names.
LAYOUTS = ("NHWC", "NCHW")

_CHANNELS = (1, 3, 4)
# Images that are converted to bytes at a time, to limit the memory for intermediate arrays.
_AT_A_TIME = 1024


def find_layout(shape: tuple[int, ...], what: str) -> str:
    """The layout of images of a shape if none was given: channels last if possible.

    Raises:
        DataError: images cannot have this shape.
    """
    if len(shape) == 3 or (len(shape) == 4 and shape[3] in _CHANNELS):
        return "NHWC"
    if len(shape) == 4 and shape[1] in _CHANNELS[:2]:
        return "NCHW"
    raise DataError(
        f"{what} must be images [n, height, width] or [n, height, width, channels] of 1, 3 or 4 "
        f"channels, not {list(shape)}."
    )


def as_batch(images: Any, layout: str, what: str) -> NDArray[np.uint8]:
    """Images uint8 [n, height, width, channels]; an array of this form is not copied.

    Args:
        images: an array or tensor with three or four axes of bytes, or of numbers from 0 to 1.
        layout: one of `LAYOUTS`; ignored for gray images with three axes.
        what: what messages call them.

    Raises:
        DataError: other numbers, another shape, or another type.
        NeocogError: there is not enough memory.
    """
    found = as_array(images, what)
    if found.ndim == 3:
        found = found[..., None]
    elif found.ndim == 4 and layout == "NCHW":
        found = found.transpose(0, 2, 3, 1)
    if found.ndim != 4 or 0 in found.shape[1:]:
        raise DataError(
            f"{what} must be {layout}, [n, …] with four axes, or three for gray ones, not "
            f"{list(np.shape(found))}."
        )
    if found.dtype == np.uint8 and layout == "NHWC":
        return found
    require_memory(found.size, f"{len(found):,} images", "Give fewer, or smaller ones.")
    made = np.empty(found.shape, np.uint8)
    for first in range(0, len(found), _AT_A_TIME):
        some = slice(first, first + _AT_A_TIME)
        made[some] = as_pixels(found[some], what)
    return made


def as_pixels(numbers: NDArray[Any], what: str) -> NDArray[np.uint8]:
    """Convert bytes or numbers from 0 to 1, in an array of any shape, to bytes.

    Raises:
        DataError: other numbers.
    """
    if numbers.dtype == np.uint8:
        return numbers
    if numbers.dtype.kind != "f":
        raise DataError(
            f"{what} must be uint8, pixels from 0 to 255, or floats from 0 to 1, not "
            f"{numbers.dtype} {list(numbers.shape)}: write {what}.astype(np.uint8), if they go "
            "from 0 to 255."
        )
    if numbers.size and not (numbers.min() >= 0 and numbers.max() <= 1):  # also True for NaN
        low, high = float(numbers.min()), float(numbers.max())
        raise DataError(
            f"{what} must be floats from 0 to 1, or uint8; they go from {low:g} to {high:g}: write "
            f"{what}.astype(np.uint8), if they go from 0 to 255."
        )
    return np.rint(numbers * np.float32(255)).astype(np.uint8)
