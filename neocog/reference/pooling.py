"""Pooling and flattening.

A window R_ij of a map begins at row sh·i − ph and column sw·j − pw and has kh × kw positions; there
are ⌊(H + 2ph − kh) / sh⌋ + 1 rows of windows, and likewise columns. `stride` is the kernel's size
by default.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "adaptive_avg_pool2d_backward",
    "adaptive_avg_pool2d_forward",
    "adaptive_max_pool2d_backward",
    "adaptive_max_pool2d_forward",
    "avg_pool2d_backward",
    "avg_pool2d_forward",
    "flatten_backward",
    "flatten_forward",
    "max_pool2d_backward",
    "max_pool2d_forward",
]

Array = NDArray[Any]
Pair = tuple[int, int]


def max_pool2d_forward(
    x: Array,
    kernel_size: Pair = (2, 2),
    stride: Pair | None = None,
    padding: Pair = (0, 0),
) -> tuple[Array, NDArray[np.int64]]:
    """M(i, j) = the maximum of x over the window R_ij; positions outside x are ignored.

    x [N, C, H, W] → (y, winner), both [N, C, rows, columns]. `winner` is the position in the window
    of its maximum, u · kw + v for row u and column v. Of equal values the first wins. NaN is
    larger than anything, and of several NaNs the last wins, as in PyTorch.
    """
    shape, inside = _counted(x.shape, kernel_size, stride, padding)
    y, winner = np.full(shape, -np.inf, x.dtype), np.full(shape, -1, np.int64)
    padded = _padded(x, padding)
    for place, region in enumerate(_places(kernel_size, stride, shape)):
        value, within = padded[region], inside[region]
        wins = within & ((winner < 0) | (value > y) | np.isnan(value))
        y[wins] = value[wins]
        winner[wins] = place
    return y, winner


def max_pool2d_backward(
    dy: Array,
    winner: NDArray[np.int64],
    input_shape: tuple[int, ...],
    kernel_size: Pair = (2, 2),
    stride: Pair | None = None,
    padding: Pair = (0, 0),
) -> Array:
    """Pass dy to each window's winner, 0 elsewhere; where windows overlap, gradients are added.

    dy and winner [N, C, rows, columns] → dx of `input_shape` [N, C, H, W].
    """
    padded = _padded(np.zeros(input_shape, dy.dtype), padding)
    for place, region in enumerate(_places(kernel_size, stride, dy.shape)):
        padded[region] += np.where(winner == place, dy, dy.dtype.type(0))
    return _unpadded(padded, padding)


def avg_pool2d_forward(
    x: Array,
    kernel_size: Pair = (2, 2),
    stride: Pair | None = None,
    padding: Pair = (0, 0),
    *,
    count_include_pad: bool = True,
) -> Array:
    """Σ x over the window R_ij / its size; without `count_include_pad` / its positions in x.

    x [N, C, H, W] → y [N, C, rows, columns].
    """
    shape, inside = _counted(x.shape, kernel_size, stride, padding)
    total, padded = np.zeros(shape, x.dtype), _padded(x, padding)
    for region in _places(kernel_size, stride, shape):
        total += padded[region]
    divisor = _divisor(inside, kernel_size, stride, shape, count_include_pad)
    y: Array = total / divisor.astype(x.dtype)
    return y


def avg_pool2d_backward(
    dy: Array,
    input_shape: tuple[int, ...],
    kernel_size: Pair = (2, 2),
    stride: Pair | None = None,
    padding: Pair = (0, 0),
    *,
    count_include_pad: bool = True,
) -> Array:
    """Each position of x gets Σ dy / divisor over all windows that contain it.

    dy [N, C, rows, columns] → dx of `input_shape` [N, C, H, W].
    """
    shape, inside = _counted(input_shape, kernel_size, stride, padding)
    divisor = _divisor(inside, kernel_size, stride, shape, count_include_pad).astype(dy.dtype)
    padded = _padded(np.zeros(input_shape, dy.dtype), padding)
    for region in _places(kernel_size, stride, shape):
        padded[region] += dy / divisor
    return _unpadded(padded, padding)


def adaptive_avg_pool2d_forward(x: Array) -> Array:
    """The mean of each channel: [N, C, H, W] → [N, C, 1, 1]."""
    y: Array = x.mean(axis=(2, 3), keepdims=True)
    return y


def adaptive_avg_pool2d_backward(dy: Array, input_shape: tuple[int, ...]) -> Array:
    """dx = dy / (H · W) everywhere: [N, C, 1, 1] → `input_shape`."""
    return np.broadcast_to(dy / (input_shape[2] * input_shape[3]), input_shape).copy()


def adaptive_max_pool2d_forward(x: Array) -> tuple[Array, NDArray[np.int64]]:
    """The maximum of each channel and its position, i · W + j; see `max_pool2d_forward`."""
    return max_pool2d_forward(x, _whole(x.shape))


def adaptive_max_pool2d_backward(
    dy: Array, winner: NDArray[np.int64], input_shape: tuple[int, ...]
) -> Array:
    """Pass dy to each channel's winner: [N, C, 1, 1] → `input_shape`."""
    return max_pool2d_backward(dy, winner, input_shape, _whole(input_shape))


def flatten_forward(x: Array) -> Array:
    """Every image as one vector, channel by channel, row by row: [N, …] → [N, features]."""
    return x.reshape(len(x), -1)


def flatten_backward(dy: Array, input_shape: tuple[int, ...]) -> Array:
    """The inverse: [N, features] → `input_shape`."""
    return dy.reshape(input_shape)


# Windows


def _whole(shape: tuple[int, ...]) -> Pair:
    return shape[2], shape[3]


def _counted(
    input_shape: tuple[int, ...], kernel: Pair, stride: Pair | None, padding: Pair
) -> tuple[tuple[int, ...], NDArray[np.bool_]]:
    """The shape of the map of windows, and which positions of the padded map are in x."""
    n, c, h, w = input_shape
    rows, columns = (
        (size + 2 * p - k) // s + 1
        for size, k, s, p in zip((h, w), kernel, stride or kernel, padding, strict=True)
    )
    return (n, c, rows, columns), _padded(np.ones(input_shape, np.bool_), padding)


def _places(
    kernel: Pair, stride: Pair | None, shape: tuple[int, ...]
) -> Iterator[tuple[slice, slice, slice, slice]]:
    """For every position in a window, its positions in the padded map for all windows."""
    (kh, kw), (sh, sw), (rows, columns) = kernel, stride or kernel, shape[2:]
    for u in range(kh):
        for v in range(kw):
            down = slice(u, u + sh * (rows - 1) + 1, sh)
            across = slice(v, v + sw * (columns - 1) + 1, sw)
            yield slice(None), slice(None), down, across


def _divisor(
    inside: NDArray[np.bool_],
    kernel: Pair,
    stride: Pair | None,
    shape: tuple[int, ...],
    count_include_pad: bool,
) -> NDArray[np.int64]:
    if count_include_pad:
        return np.full(shape, kernel[0] * kernel[1])
    counts = np.zeros(shape, np.int64)
    for region in _places(kernel, stride, shape):
        counts += inside[region]
    return counts


def _padded(x: Array, padding: Pair) -> Array:
    ph, pw = padding
    return np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))


def _unpadded(x: Array, padding: Pair) -> Array:
    ph, pw = padding
    return x[:, :, ph : x.shape[2] - ph, pw : x.shape[3] - pw]
