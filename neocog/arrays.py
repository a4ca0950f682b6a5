"""Converts images and labels to the arrays that this package works with.

Lists of images, Pillow images and PyTorch tensors are converted if their meaning is clear. Anything
ambiguous is refused with a hint what to write: numbers that are not bytes, or a single image where
a batch is expected, since the result would have a batch's shape. Neither Pillow nor PyTorch is
imported.
"""

from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.errors import DataError

__all__ = ["as_array", "as_image", "as_images", "as_labels", "as_targets"]

# The largest class number.
_MOST_LABEL = np.iinfo(np.int64).max


def as_images(images: Any, what: str = "images") -> NDArray[np.uint8]:
    """Images uint8 [n, height, width, channels]; an array of this form is not copied.

    Args:
        images: an array or tensor of bytes, a list of images as `as_image` takes them, or a
            `Dataset`.
        what: what messages call them.

    Raises:
        DataError: other numbers, another shape, or another type.
    """
    if isinstance(images, np.ndarray):
        pass
    elif hasattr(images, "images") and hasattr(images, "labels"):  # a Dataset
        images = images.images
    elif isinstance(images, list | tuple):
        return _stacked(images, what)
    elif _is_pillow(images):
        raise DataError(f"{what} must be several images: write [image] for one.")
    found = as_array(images, what)
    if found.ndim == 3:
        raise DataError(
            f"{what} must be [n, height, width, channels], not {list(found.shape)}: write "
            "image[None] for one image, images[..., None] for gray ones."
        )
    if found.ndim != 4:
        raise _wrong(found, what, "[n, height, width, channels]")
    return _bytes(found, what)


def as_image(image: Any, what: str = "image") -> NDArray[np.uint8]:
    """One image uint8 [height, width, channels]; an array of this form is not copied.

    Args:
        image: an array or tensor of bytes, for gray also [height, width], or a Pillow image of mode
            "L" or "RGB".
        what: what messages call it.

    Raises:
        DataError: other numbers, another shape, or another type.
    """
    if _is_pillow(image) and image.mode not in ("L", "RGB"):
        raise DataError(
            f"{what} is an image of the mode {image.mode!r}: write image.convert('RGB')."
        )
    found = as_array(image, what)
    if found.ndim == 4:
        raise DataError(
            f"{what} must be one image [height, width, channels], not a batch {list(found.shape)}: "
            "take one of it."
        )
    if found.ndim not in (2, 3):
        raise _wrong(found, what, "[height, width, channels]")
    found = _bytes(found, what)
    return found[:, :, None] if found.ndim == 2 else found


def as_labels(labels: Any) -> NDArray[np.int64]:
    """Class numbers int64 [n], from an array, tensor or list of integers.

    Raises:
        DataError: numbers that are not integers, another shape, or another type.
    """
    if isinstance(labels, list | tuple):
        try:
            found: NDArray[Any] = np.array(labels)
        except (TypeError, ValueError, OverflowError, RuntimeError) as error:
            raise DataError(
                f"labels must be whole numbers, one for each image: {error}."
            ) from error
        if not labels:
            found = found.astype(np.int64)
    else:
        found = as_array(labels, "labels")
    if found.ndim == 2 and found.shape[1] > 1:
        raise DataError(
            f"labels must be one number for each image, not {list(found.shape)}: write "
            "labels.argmax(axis=1), if they have a column for each class, or "
            "labels.astype(np.float32) for targets of another loss than cross-entropy."
        )
    if found.ndim != 1 or found.dtype.kind not in "iu":
        raise DataError(
            f"labels must be int64 [n], one for each image, not {found.dtype} {list(found.shape)}: "
            "write np.array(labels, np.int64).reshape(-1), if they are numbers of classes."
        )
    if len(found) and found.max() > _MOST_LABEL:
        raise DataError(f"labels must be numbers of classes, not {found.max()}.")
    return found.astype(np.int64, copy=False)


def as_targets(labels: Any) -> NDArray[Any]:
    """Targets float32 [n, outputs], from floats of this shape; else class numbers, as `as_labels`.

    Raises:
        DataError: neither.
    """
    found = labels
    if isinstance(labels, list | tuple):
        with suppress(TypeError, ValueError, OverflowError, RuntimeError):
            found = np.array(labels)
    if not isinstance(found, list | tuple):
        found = as_array(found, "labels")
        if found.ndim == 2 and found.dtype.kind == "f":
            with np.errstate(over="ignore"):
                return np.asarray(found.astype(np.float32, copy=False))
    return as_labels(labels)


def as_array(given: Any, what: str) -> NDArray[Any]:
    """The array itself, or the NumPy array of a tensor.

    Args:
        given: an array or tensor.
        what: what messages call it.

    Raises:
        DataError: it is neither, or cannot be converted, such as a tensor on a GPU.
    """
    if isinstance(given, np.ndarray):
        return given
    if not hasattr(given, "__array__") and not hasattr(given, "__array_interface__"):
        raise DataError(
            f"{what} must be an array, such as uint8 [n, height, width, channels] for images, or a "
            f"Dataset, such as load_data(…).train, not {type(given).__name__}."
        )
    try:
        return np.asarray(given)
    except Exception as error:  # such as PyTorch's for a tensor on a GPU
        raise DataError(
            f"{what} ({type(given).__name__}) cannot become a NumPy array: {error}"
        ) from error


def _is_pillow(image: Any) -> bool:
    return hasattr(image, "getbands") and hasattr(image, "mode")


def _stacked(images: list[Any] | tuple[Any, ...], what: str) -> NDArray[np.uint8]:
    if not images:
        raise DataError(f"{what} must be images; the list is empty.")
    found = [as_image(image, f"{what}[{n}]") for n, image in enumerate(images)]
    for n, image in enumerate(found):
        if image.shape != found[0].shape:
            raise DataError(
                f"{what} must have one size: {what}[{n}] is {list(image.shape)}, {what}[0] is "
                f"{list(found[0].shape)}."
            )
    return np.stack(found)  # always a copy


def _bytes(found: NDArray[Any], what: str) -> NDArray[np.uint8]:
    if found.dtype != np.uint8:
        name = what.partition("[")[0]
        write = f"{name}.astype(np.uint8), if they go from 0 to 255"
        if found.dtype.kind == "f":
            write = f"(255 * {name}).round().astype(np.uint8), if they go from 0 to 1"
        raise DataError(
            f"{what} must be uint8, pixels from 0 to 255, not {found.dtype} {list(found.shape)}: "
            f"write {write}."
        )
    return found


def _wrong(found: NDArray[Any], what: str, wanted: str) -> DataError:
    return DataError(f"{what} must be uint8 {wanted}, not {found.dtype} {list(found.shape)}.")
