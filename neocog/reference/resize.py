"""Antialiased scaling of pictures.

Rows are scaled first, then columns, each with the same filter f. With s = (end − begin) / n input
pixels per output pixel, and m = max(s, 1), pixel i of the result is

    y[i] = Σ_j w[i, j] x[j],    w[i, j] = f((j + ½ − c[i]) / m) / Σ_k f((k + ½ − c[i]) / m),
    c[i] = begin + (i + ½) s,

over the pixels j of the picture. When shrinking, the filter is as wide as an output pixel, so that
no input pixel is skipped. Levels are rounded to integers from 0 to 255 after the rows and after the
columns. `nearest` takes x[⌊c[i]⌋] instead.

The filters are Pillow's (https://pillow.readthedocs.io/en/stable/handbook/concepts.html#filters):
bicubic is Keys' cubic convolution with a = −½ (1981), lanczos the sinc windowed over 3 pixels.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["resize_image"]

Array = NDArray[Any]


def _box(x: Array) -> Array:
    return ((x > -0.5) & (x <= 0.5)).astype(np.float64)


def _bilinear(x: Array) -> Array:
    return np.where(np.abs(x) < 1, 1 - np.abs(x), 0)


def _bicubic(x: Array) -> Array:
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def _lanczos(x: Array) -> Array:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)


_FILTERS: dict[str, Callable[[Array], Array]] = {
    "box": _box,
    "bilinear": _bilinear,
    "bicubic": _bicubic,
    "lanczos": _lanczos,
}


def resize_image(
    picture: NDArray[np.uint8],
    size: tuple[int, int],
    interpolation: str,
    region: tuple[float, float, float, float] | None = None,
) -> NDArray[np.uint8]:
    """Scale a region of a picture.

    Args:
        picture: uint8 [H, W, C].
        size: height and width of the result.
        interpolation: "nearest", "box", "bilinear", "bicubic" or "lanczos".
        region: left, top, right and bottom, in pixels; None is the whole picture.

    Returns:
        uint8 [height, width, C].
    """
    rows, columns = picture.shape[:2]
    left, top, right, bottom = region or (0.0, 0.0, float(columns), float(rows))
    if interpolation == "nearest":
        down = np.floor(_centers(size[0], top, bottom)).astype(int)
        across = np.floor(_centers(size[1], left, right)).astype(int)
        taken: NDArray[np.uint8] = picture[down][:, across]
        return taken
    across = _weights(columns, size[1], left, right, interpolation)
    down = _weights(rows, size[0], top, bottom, interpolation)
    narrow = _levels(np.einsum("ij,hjc->hic", across, picture.astype(np.float64)))
    result: NDArray[np.uint8] = _levels(np.einsum("ij,jwc->iwc", down, narrow)).astype(np.uint8)
    return result


def _centers(n: int, begin: float, end: float) -> Array:
    centers: Array = begin + (np.arange(n) + 0.5) * (end - begin) / n
    return centers


def _weights(pixels: int, n: int, begin: float, end: float, interpolation: str) -> Array:
    """w [n, pixels]."""
    away = np.arange(pixels) + 0.5 - _centers(n, begin, end)[:, None]
    w = _FILTERS[interpolation](away / max((end - begin) / n, 1.0))
    weights: Array = w / w.sum(axis=1, keepdims=True)
    return weights


def _levels(x: Array) -> Array:
    levels: Array = np.floor(x + 0.5).clip(0, 255)
    return levels
