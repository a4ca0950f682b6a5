"""Pooling and flattening.

A window R_ij of a map begins at row sh·i − ph and column sw·j − pw and has kh × kw positions; there
are ⌊(H + 2ph − kh) / sh⌋ + 1 rows of windows, and likewise columns. With `ceil_mode` the quotient
is rounded up, but every window begins in the map or in the padding before it. `stride` is the
kernel's size by default.

Adaptive pooling to R × C numbers has the windows of rows ⌊i·H / R⌋ to ⌈(i + 1)·H / R⌉ − 1, and
likewise columns.
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
    *,
    ceil_mode: bool = False,
) -> tuple[Array, NDArray[np.int64]]:
    """M(i, j) = the maximum of x over the window R_ij; positions outside x are ignored.

    x [N, C, H, W] → (y, winner), both [N, C, rows, columns]. `winner` is the position in the window
    of its maximum, u · kw + v for row u and column v. Of equal values the first wins. NaN is
    larger than anything, and of several NaNs the last wins, as in PyTorch.
    """
    windows = _Windows(x.shape, kernel_size, stride, padding, ceil_mode)
    y = np.full(windows.shape, -np.inf, x.dtype)
    winner = np.full(windows.shape, -1, np.int64)
    padded, inside = windows.padded(x), windows.padded(np.ones(x.shape, np.bool_))
    for place, region in enumerate(windows.places()):
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
    *,
    ceil_mode: bool = False,
) -> Array:
    """Pass dy to each window's winner, 0 elsewhere; where windows overlap, gradients are added.

    dy and winner [N, C, rows, columns] → dx of `input_shape` [N, C, H, W].
    """
    windows = _Windows(input_shape, kernel_size, stride, padding, ceil_mode)
    padded = windows.padded(np.zeros(input_shape, dy.dtype))
    for place, region in enumerate(windows.places()):
        padded[region] += np.where(winner == place, dy, dy.dtype.type(0))
    return windows.unpadded(padded)


def avg_pool2d_forward(
    x: Array,
    kernel_size: Pair = (2, 2),
    stride: Pair | None = None,
    padding: Pair = (0, 0),
    *,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """Σ x over the window R_ij / its positions in x and its padding.

    Without `count_include_pad` the sum is divided by its positions in x alone, and with
    `divisor_override` by that number.

    x [N, C, H, W] → y [N, C, rows, columns].
    """
    windows = _Windows(x.shape, kernel_size, stride, padding, ceil_mode)
    total, padded = np.zeros(windows.shape, x.dtype), windows.padded(x)
    for region in windows.places():
        total += padded[region]
    divisor = windows.divisor(count_include_pad, divisor_override)
    y: Array = total / divisor.astype(x.dtype)
    return y


def avg_pool2d_backward(
    dy: Array,
    input_shape: tuple[int, ...],
    kernel_size: Pair = (2, 2),
    stride: Pair | None = None,
    padding: Pair = (0, 0),
    *,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """Each position of x gets Σ dy / divisor over all windows that contain it.

    dy [N, C, rows, columns] → dx of `input_shape` [N, C, H, W].
    """
    windows = _Windows(input_shape, kernel_size, stride, padding, ceil_mode)
    divisor = windows.divisor(count_include_pad, divisor_override).astype(dy.dtype)
    padded = windows.padded(np.zeros(input_shape, dy.dtype))
    for region in windows.places():
        padded[region] += dy / divisor
    return windows.unpadded(padded)


def adaptive_avg_pool2d_forward(x: Array, output_size: Pair = (1, 1)) -> Array:
    """The mean of every window: [N, C, H, W] → [N, C, *output_size]."""
    y = np.empty((*x.shape[:2], *output_size), x.dtype)
    for (i, j), (rows, columns) in _adaptive(x.shape, output_size):
        y[:, :, i, j] = x[:, :, rows, columns].mean(axis=(2, 3))
    return y


def adaptive_avg_pool2d_backward(dy: Array, input_shape: tuple[int, ...]) -> Array:
    """Each position gets Σ dy / the window's positions: [N, C, rows, columns] → `input_shape`."""
    dx = np.zeros(input_shape, dy.dtype)
    for (i, j), (rows, columns) in _adaptive(input_shape, _size(dy)):
        window = dx[:, :, rows, columns]
        window += dy[:, :, i, j, None, None] / (window.shape[2] * window.shape[3])
    return dx


def adaptive_max_pool2d_forward(
    x: Array, output_size: Pair = (1, 1)
) -> tuple[Array, NDArray[np.int64]]:
    """The maximum of every window and its position in the map, row · W + column.

    [N, C, H, W] → both [N, C, *output_size]; which one wins: see `max_pool2d_forward`.
    """
    shape = (*x.shape[:2], *output_size)
    y, winner = np.empty(shape, x.dtype), np.empty(shape, np.int64)
    for (i, j), (rows, columns) in _adaptive(x.shape, output_size):
        window = x[:, :, rows, columns]
        size = window.shape[2:]
        best, place = max_pool2d_forward(window, (size[0], size[1]))
        u, v = np.divmod(place[:, :, 0, 0], size[1])
        y[:, :, i, j] = best[:, :, 0, 0]
        winner[:, :, i, j] = (rows.start + u) * x.shape[3] + columns.start + v
    return y, winner


def adaptive_max_pool2d_backward(
    dy: Array, winner: NDArray[np.int64], input_shape: tuple[int, ...]
) -> Array:
    """Pass dy to each window's winner, and add: [N, C, rows, columns] → `input_shape`."""
    n, c, h, w = input_shape
    dx = np.zeros((n, c, h * w), dy.dtype)
    images, channels = np.ogrid[:n, :c]
    for i, j in np.ndindex(*_size(dy)):
        dx[images, channels, winner[:, :, i, j]] += dy[:, :, i, j]
    return dx.reshape(input_shape)


def flatten_forward(x: Array) -> Array:
    """Every image as one vector, channel by channel, row by row: [N, …] → [N, features]."""
    return x.reshape(len(x), -1)


def flatten_backward(dy: Array, input_shape: tuple[int, ...]) -> Array:
    """The inverse: [N, features] → `input_shape`."""
    return dy.reshape(input_shape)


# Windows

#: Rows and columns of an array [N, C, H, W].
_Region = tuple[slice, slice]


def _size(x: Array) -> Pair:
    return x.shape[2], x.shape[3]


class _Windows:
    """The windows of a map, with the padding around it that they may cover."""

    def __init__(
        self,
        input_shape: tuple[int, ...],
        kernel: Pair,
        stride: Pair | None,
        padding: Pair,
        ceil_mode: bool,
    ) -> None:
        self.kernel, self.stride, self.padding = kernel, stride or kernel, padding
        self.input_shape = input_shape
        sizes = input_shape[2:]
        sides = zip(sizes, self.kernel, self.stride, self.padding, strict=True)
        self.count = tuple(self._along(*side, ceil_mode) for side in sides)
        self.shape = (*input_shape[:2], *self.count)

    @staticmethod
    def _along(size: int, kernel: int, stride: int, padding: int, ceil_mode: bool) -> int:
        room = size + 2 * padding - kernel
        if not ceil_mode:
            return room // stride + 1
        count = -(-room // stride) + 1
        return count - ((count - 1) * stride >= size + padding)

    def _around(self) -> list[Pair]:
        """Rows and columns of padding, and what windows cover after it."""
        sides = zip(
            self.input_shape[2:], self.kernel, self.stride, self.padding, self.count, strict=True
        )
        return [
            (p, max(p, (count - 1) * stride + kernel - size - p))
            for size, kernel, stride, p, count in sides
        ]

    def padded(self, x: Array) -> Array:
        """The map with zeros around it."""
        return np.pad(x, ((0, 0), (0, 0), *self._around()))

    def unpadded(self, x: Array) -> Array:
        """The map without what is around it."""
        (top, _), (left, _) = self._around()
        h, w = self.input_shape[2:]
        return x[:, :, top : top + h, left : left + w]

    def places(self) -> Iterator[tuple[slice, slice, slice, slice]]:
        """For every position in a window, its positions in the padded map for all windows."""
        (kh, kw), (sh, sw), (rows, columns) = self.kernel, self.stride, self.count
        for u in range(kh):
            for v in range(kw):
                down = slice(u, u + sh * (rows - 1) + 1, sh)
                across = slice(v, v + sw * (columns - 1) + 1, sw)
                yield slice(None), slice(None), down, across

    def divisor(self, count_include_pad: bool, divisor_override: int | None) -> NDArray[np.int64]:
        """What each window's sum is divided by."""
        if divisor_override is not None:
            return np.full(self.shape, divisor_override)
        counted = self.padded(np.ones(self.input_shape, np.int64))
        if count_include_pad:
            (h, w), (ph, pw) = self.input_shape[2:], self.padding
            counted[:, :, : h + 2 * ph, : w + 2 * pw] = 1
        return sum((counted[region] for region in self.places()), np.zeros(self.shape, np.int64))


def _adaptive(input_shape: tuple[int, ...], output_size: Pair) -> Iterator[tuple[Pair, _Region]]:
    """Every window of adaptive pooling: its number, and its rows and columns."""
    for i, j in np.ndindex(*output_size):
        sides = zip((i, j), input_shape[2:], output_size, strict=True)
        rows, columns = (
            slice(n * size // count, -(-(n + 1) * size // count)) for n, size, count in sides
        )
        yield (i, j), (rows, columns)
