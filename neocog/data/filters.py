"""Weights of the pixels when a picture is scaled.

The formula is in `neocog.reference.resize`. The order of the sums is Pillow's, so that the rounded
weights are the same.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["FILTERS", "Weights", "support", "weights"]

# Fractional bits of the weights.
_BITS = 22


def _box(x: NDArray[Any]) -> NDArray[Any]:
    return np.where((x > -0.5) & (x <= 0.5), 1.0, 0.0)


def _bilinear(x: NDArray[Any]) -> NDArray[Any]:
    return np.where(np.abs(x) < 1, 1.0 - np.abs(x), 0.0)


def _bicubic(x: NDArray[Any]) -> NDArray[Any]:
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * -0.5
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def _lanczos(x: NDArray[Any]) -> NDArray[Any]:
    return np.where((x >= -3) & (x < 3), np.sinc(x) * np.sinc(x / 3), 0.0)


#: Filters and their radii.
FILTERS: dict[str, tuple[float, Callable[[NDArray[Any]], NDArray[Any]]]] = {
    "box": (0.5, _box),
    "bilinear": (1.0, _bilinear),
    "bicubic": (2.0, _bicubic),
    "lanczos": (3.0, _lanczos),
}


class Weights(NamedTuple):
    """The weights along rows or columns, for each pixel of the result.

    Attributes:
        first: int32 [n], the first input pixel.
        counts: int32 [n], the number of input pixels.
        values: int32 [n, most], the weights, with 22 fractional bits.
    """

    first: NDArray[np.int32]
    counts: NDArray[np.int32]
    values: NDArray[np.int32]


def support(n: int, begin: float, end: float, interpolation: str) -> float:
    """Radius, in pixels of the picture, of the region that makes a pixel of the result."""
    reach = FILTERS[interpolation][0] if interpolation in FILTERS else 0.5
    return reach * max((end - begin) / n, 1.0)


@lru_cache(maxsize=64)  # pictures often have a few sizes; the weights of the largest take 2 MB
def weights(pixels: int, n: int, begin: float, end: float, interpolation: str) -> Weights:
    """The weights that scale the pixels from `begin` to `end`, out of `pixels`, to `n` pixels."""
    # Pillow stores these two as float32, and computes their difference in float32.
    left, right = np.float32(begin), np.float32(end)
    scale = float(right - left) / n
    wider = max(scale, 1.0)
    reach = FILTERS[interpolation][0] * wider
    center = float(left) + (np.arange(n) + 0.5) * scale
    first = np.maximum(np.trunc(center - reach + 0.5), 0).astype(np.int32)
    counts = np.minimum(np.trunc(center + reach + 0.5), pixels).astype(np.int32) - first
    column = np.arange(counts.max())
    away = (column + first[:, None] - center[:, None] + 0.5) * (1.0 / wider)
    values = np.where(column < counts[:, None], FILTERS[interpolation][1](away), 0.0)
    values /= np.add.accumulate(values, axis=1)[:, -1:]
    whole = np.trunc(values * (1 << _BITS) + np.copysign(0.5, values)).astype(np.int32)
    return Weights(first, counts, whole)
