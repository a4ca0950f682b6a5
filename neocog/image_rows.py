"""Converts images between scikit-learn's form and the bytes that a network takes.

scikit-learn's tools work on arrays of two axes, a row per sample. So images are rows here,
[n, height · width · channels], even if they came as [n, height, width, channels]; their shape is
kept separately. The numbers are bytes, or numbers in a known range, which is then quantized to 256
levels. The range is never guessed: numbers from 0 to 1 could be a dark picture on a scale from 0 to
255.
"""

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.errors import DataError
from neocog.validation import as_real, as_row, as_whole, refuse, shown

__all__ = [
    "ImageDataError",
    "as_bytes",
    "as_rows",
    "check_image_shape",
    "check_pixel_range",
    "settle_image_shape",
    "settle_pixel_range",
]

Shape = tuple[int, int, int]
Range = tuple[float, float]

# Rows that are converted to bytes at a time.
_CHUNK = 1024
_LARGEST = 65535
#: What `pixel_range` may be besides two numbers.
_FROM_DATA = "data"


class ImageDataError(DataError, ValueError):
    """Images that cannot be used; also a `ValueError`, as scikit-learn's users expect."""


def check_image_shape(shape: object) -> tuple[int, ...] | None:
    """Check (height, width, channels), of which one may be -1, or None; raises otherwise."""
    if shape is None:
        return None
    row = as_row(shape) or ()
    numbers = tuple(n for n in map(as_whole, row) if n is not None)
    sizes = [n for n in numbers if n != -1]
    right = len(row) == len(numbers) == 3 and len(sizes) >= 2
    if not right or not all(1 <= n <= _LARGEST for n in sizes):
        wanted = "(height, width, channels), as in (28, 28, 1), of which one may be -1, or None"
        raise refuse("image_shape", shape, wanted, ImageDataError)
    return numbers


def check_pixel_range(given: object) -> Range | str | None:
    """Check two numbers, the lower first, or "data", or None; raises `DataError` otherwise."""
    if given is None or (isinstance(given, str) and given == _FROM_DATA):
        return given
    numbers = [as_real(number) for number in as_row(given) or ()]
    low, high = numbers if len(numbers) == 2 else (None, None)
    if low is None or high is None or not low < high:
        wanted = "(lowest, highest), as in (0, 255), or 'data', or None"
        raise refuse("pixel_range", given, wanted, ImageDataError)
    return low, high


def as_rows(images: Any) -> tuple[Any, tuple[int, ...] | None]:
    """Images as rows and the shape of one; if they are rows already, the same object and None.

    Args:
        images: an array or tensor of more than two axes, or a list of images.
    """
    if isinstance(images, list | tuple) and images and np.ndim(images[0]) > 1:
        try:
            images = np.stack([np.asarray(image) for image in images])
        except ValueError:
            shapes = sorted({np.shape(image) for image in images})
            raise ImageDataError(f"X must have images of one shape, not {shown(shapes)}.") from None
    if getattr(images, "ndim", 0) <= 2:
        return images, None
    found = np.asarray(images)
    return found.reshape(len(found), prod(found.shape[1:])), found.shape[1:]


def settle_image_shape(
    asked: tuple[int, ...] | None, given: tuple[int, ...] | None, numbers: int
) -> Shape:
    """The shape (height, width, channels) of the images.

    Args:
        asked: the result of `check_image_shape`.
        given: the shape of the images; None for rows.
        numbers: numbers per image.

    Raises:
        DataError: the shapes contradict each other, or the shape remains unknown.
    """
    if asked is None:
        if given is not None and len(given) == 3:
            return given[0], given[1], given[2]
        if given is not None and len(given) == 2:
            height, width = given
            raise ImageDataError(
                f"X must be [n, height, width, channels], not [n, {height}, {width}]: write "
                f"X[..., None] for gray images, or image_shape=({height}, {width}, 1)."
            )
        what = f"rows of {numbers} numbers" if given is None else f"images of {list(given)}"
        raise ImageDataError(
            f"X must be [n, height, width, channels], not {what}: for flat images give "
            "image_shape=(height, width, channels)."
        )
    known = prod(size for size in asked if size != -1)
    height, width, channels = (numbers // known if size == -1 else size for size in asked)
    fits = numbers % known == 0 and height * width * channels == numbers > 0
    shapes: list[tuple[int, ...]] = [(height, width, channels)]
    if channels == 1:
        shapes.append((height, width))
    if not fits or (given is not None and given not in shapes):
        what = f"rows of {numbers} numbers" if given is None else f"images of {list(given)}"
        raise ImageDataError(f"X has {what}, which image_shape={asked} does not fit.")
    return height, width, channels


def settle_pixel_range(asked: Range | str | None, rows: NDArray[Any]) -> Range | None:
    """The range for `as_bytes`: the one that is asked for, or that of these images."""
    if not isinstance(asked, str):
        return asked
    low, high = float(rows.min()), float(rows.max())
    return (low, high) if low < high else (low, low + 1)


def as_bytes(rows: NDArray[Any], pixel_range: Range | None, *, clip: bool) -> NDArray[np.uint8]:
    """The images' numbers as bytes, uint8 [n, numbers].

    Args:
        rows: [n, numbers], all finite.
        pixel_range: the numbers that become 0 and 255. None: uint8 are bytes already, and floats
            are from 0 to 1.
        clip: whether to clip numbers outside of the range; otherwise they are refused.

    Raises:
        DataError: numbers outside of the range, or numbers whose range is unknown.
    """
    if pixel_range is None:
        if rows.dtype == np.uint8:
            return np.asarray(rows)
        pixel_range = 0.0, 1.0
        low, high = rows.min(), rows.max()
        if rows.dtype.kind not in "fb" or low < 0 or high > 1:
            raise ImageDataError(
                f"X must be uint8, pixels from 0 to 255, or floats from 0 to 1, not {rows.dtype} "
                f"from {low:g} to {high:g}: give pixel_range=(0, 255) if the pixels go from 0 to "
                "255, or pixel_range='data' for the range of the images that are trained on."
            )
    elif not clip and (rows.min() < pixel_range[0] or rows.max() > pixel_range[1]):
        raise ImageDataError(
            f"X has numbers from {rows.min():g} to {rows.max():g}, outside of "
            f"pixel_range=({pixel_range[0]:g}, {pixel_range[1]:g})."
        )
    low, high = pixel_range
    found = np.empty(rows.shape, np.uint8)
    for first in range(0, len(rows), _CHUNK):
        part = rows[first : first + _CHUNK].astype(np.float64)
        levels = np.rint((part - low) * (255 / (high - low)))
        found[first : first + _CHUNK] = np.clip(levels, 0, 255)
    return found
