"""Padding of maps with zeros, or with numbers of their own, and the gradient.

Every number y[i, j] of the padded map is zero or a copy of one number of x:

    zeros      0 outside x
    reflect    x mirrored in its first and last rows and columns
    replicate  the nearest number of x
    circular   x repeated

so the gradient of a number of x is the sum of dy over its copies.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["pad2d_backward", "pad2d_forward"]

Array = NDArray[Any]
Sides = tuple[tuple[int, int], tuple[int, int]]

# NumPy's names.
_NAMES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def pad2d_forward(x: Array, padding: Sides, mode: str = "zeros") -> Array:
    """Pad the rows and columns of x.

    Args:
        x: [N, C, H, W].
        padding: ((top, bottom), (left, right)).
        mode: ``zeros``, ``reflect``, ``replicate`` or ``circular``.

    Returns:
        y [N, C, top + H + bottom, left + W + right].
    """
    around = ((0, 0), (0, 0), *padding)
    y: Array = np.pad(x, around, mode=_NAMES[mode])  # type: ignore[call-overload]
    return y


def pad2d_backward(
    dy: Array, input_shape: tuple[int, ...], padding: Sides, mode: str = "zeros"
) -> Array:
    """The sum of dy over the copies of each number: dy, as y → dx of `input_shape`."""
    _, _, h, w = input_shape
    # Where each number of y comes from; −1 for zeros.
    places = pad2d_forward(1 + np.arange(h * w).reshape(1, 1, h, w), padding, mode)[0, 0] - 1
    copied = places >= 0
    dx = np.zeros((h * w, *input_shape[:2]), dy.dtype)
    np.add.at(dx, places[copied], np.moveaxis(dy[:, :, copied], 2, 0))
    return np.moveaxis(dx, 0, 2).reshape(input_shape)
