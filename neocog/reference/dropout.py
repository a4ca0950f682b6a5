"""Dropout with a given mask."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["dropout_backward", "dropout_forward"]

Array = NDArray[Any]


def dropout_forward(x: Array, kept: NDArray[np.bool_], p: float) -> Array:
    """y = x / (1 − p) where kept, else 0 · x: the expected value is x.

    `kept` has the shape of x; each of its elements is true with probability 1 − p, and none is for
    p = 1. N. Srivastava et al., "Dropout" (2014), scaled in training as in PyTorch.
    """
    factor = 1 / (1 - p) if p < 1 else 0.0
    y: Array = x * np.where(kept, factor, 0).astype(x.dtype)
    return y


def dropout_backward(dy: Array, kept: NDArray[np.bool_], p: float) -> Array:
    """dx = dy / (1 − p) where kept, else 0 · dy."""
    return dropout_forward(dy, kept, p)
