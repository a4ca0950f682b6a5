"""Weights of images in the loss, checked before anything is computed with them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.errors import NeocogError
from neocog.validation import refuse

__all__ = ["check_sample_weights"]


def check_sample_weights(
    weights: Sequence[float] | NDArray[Any] | None, images: int
) -> NDArray[np.float32] | None:
    """The weights of the images as float32 [images]; raises `NeocogError` if they are not."""
    if weights is None:
        return None
    found = _float32("sample_weights", weights)
    if found.shape != (images,):
        raise NeocogError(
            f"sample_weights must be {images} numbers, one for each image, not of the shape "
            f"{found.shape}."
        )
    wrong = np.flatnonzero(~(np.isfinite(found) & (found >= 0)))
    if len(wrong):
        raise refuse(f"sample_weights[{wrong[0]}]", float(found[wrong[0]]), "a number from 0")
    if images and not found.any():
        raise NeocogError("sample_weights are all 0: at least one image must count.")
    return found


def _float32(name: str, weights: Any) -> NDArray[np.float32]:
    try:
        given = np.asarray(weights)
    except (TypeError, ValueError, RuntimeError):  # RuntimeError: PyTorch's
        given = np.array(None)
    if given.dtype.kind not in "fiu":
        raise refuse(name, weights, "numbers")
    with np.errstate(over="ignore"):
        return np.array(given, np.float32)
