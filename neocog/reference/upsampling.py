"""Upsampling: y[i, j] = x[⌊i / sh⌋, ⌊j / sw⌋], and the gradient, the sum of dy over the copies."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["upsample_backward", "upsample_forward"]

Array = NDArray[Any]


def upsample_forward(x: Array, scale: tuple[int, int]) -> Array:
    """Repeat rows and columns: [N, C, H, W] → [N, C, sh · H, sw · W]."""
    return np.repeat(np.repeat(x, scale[0], axis=2), scale[1], axis=3)


def upsample_backward(dy: Array, scale: tuple[int, int]) -> Array:
    """The sum of dy over each number's copies: [N, C, sh · H, sw · W] → [N, C, H, W]."""
    n, c, h, w = dy.shape
    copies = dy.reshape(n, c, h // scale[0], scale[0], w // scale[1], scale[1])
    dx: Array = copies.sum(axis=(3, 5))
    return dx
