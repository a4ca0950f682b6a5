"""Preprocessing: from pixels to inputs."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["preprocess"]

Array = NDArray[Any]


def preprocess(
    images: NDArray[np.uint8],
    mean: tuple[float, ...],
    std: tuple[float, ...],
    dtype: DTypeLike = np.float64,
) -> Array:
    """Normalize every channel: x = (pixel / 255 − mean) / std.

    uint8 [N, H, W, C] → `dtype` [N, C, H, W]; mean and std have one number per channel.
    """
    pixels = images.astype(dtype) / np.asarray(255, dtype)
    x: Array = (pixels - np.asarray(mean, dtype)) / np.asarray(std, dtype)
    return x.transpose(0, 3, 1, 2)
