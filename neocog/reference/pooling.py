"""Pooling, and flattening what is left."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["flatten_backward", "flatten_forward", "max_pool2d_backward", "max_pool2d_forward"]

Array = NDArray[Any]


def max_pool2d_forward(x: Array) -> tuple[Array, NDArray[np.int64]]:
    """M(i, j) = the maximum of x over the region R_ij, 2 × 2 and 2 apart.

    x [N, C, H, W] → (y, winner), both [N, C, H // 2, W // 2]; an odd last row or column is left
    out. `winner` says which of the four was taken: 0, 1 above and 2, 3 below, left to right. Of
    equal values the first wins. NaN is larger than anything, and of several NaNs the last wins, as
    in PyTorch.
    """
    rows, columns = x.shape[2] // 2, x.shape[3] // 2
    corner = x[:, :, : 2 * rows : 2, : 2 * columns : 2]
    y, winner = corner.copy(), np.zeros(corner.shape, np.int64)
    for place in (1, 2, 3):
        value = x[:, :, place // 2 : 2 * rows : 2, place % 2 : 2 * columns : 2]
        wins = (value > y) | np.isnan(value)
        y[wins] = value[wins]
        winner[wins] = place
    return y, winner


def max_pool2d_backward(
    dy: Array, winner: NDArray[np.int64], input_shape: tuple[int, ...]
) -> Array:
    """Pass dy to each region's winner, 0 elsewhere.

    dy and winner [N, C, H // 2, W // 2] → dx of `input_shape` [N, C, H, W].
    """
    rows, columns = dy.shape[2:]
    dx = np.zeros(input_shape, dy.dtype)
    for place in range(4):
        part = dx[:, :, place // 2 : 2 * rows : 2, place % 2 : 2 * columns : 2]
        np.copyto(part, dy, where=winner == place)
    return dx


def flatten_forward(x: Array) -> Array:
    """Every image as one vector, channel by channel, row by row: [N, …] → [N, features]."""
    return x.reshape(len(x), -1)


def flatten_backward(dy: Array, input_shape: tuple[int, ...]) -> Array:
    """The way back: [N, features] → `input_shape`."""
    return dy.reshape(input_shape)
