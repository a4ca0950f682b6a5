"""What single images count in the loss."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.errors import DataError
from neocog.validation import refuse

__all__ = ["check_sample_weights"]


def check_sample_weights(weights: Any, images: int) -> NDArray[np.float32] | None:
    """The weights of the images as float32 [images]; None if there are none.

    Args:
        weights: numbers from 0, one for each image, as an array, a tensor or a list.
        images: how many there are.

    Raises:
        DataError: they are something else, or all are 0.
    """
    if weights is None:
        return None
    try:
        given = np.asarray(weights)
    except (TypeError, ValueError, RuntimeError):  # RuntimeError: PyTorch's
        given = np.array(None)
    if given.dtype.kind not in "fiu":
        raise refuse("sample_weights", weights, "numbers, one for each image", DataError)
    with np.errstate(over="ignore"):
        found = np.array(given, np.float32)
    if found.shape != (images,):
        raise DataError(
            f"sample_weights must be {images} numbers, one for each image, not of the shape "
            f"{found.shape}."
        )
    wrong = np.flatnonzero(~(np.isfinite(found) & (found >= 0)))
    if len(wrong):
        name = f"sample_weights[{wrong[0]}]"
        raise refuse(name, float(found[wrong[0]]), "a number from 0", DataError)
    if not found.any():
        raise DataError("sample_weights are all 0: at least one image must count.")
    return found
