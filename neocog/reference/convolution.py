"""Convolution and cross-correlation, of one image and as a layer."""

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

__all__ = [
    "conv2d_backward_bias",
    "conv2d_backward_input",
    "conv2d_backward_weight",
    "conv2d_forward",
    "convolution",
    "cross_correlation",
]

Array = NDArray[Any]
Pair = tuple[int, int]
Padding = Pair | tuple[Pair, Pair]


# One image, one kernel


def convolution(image: Array, kernel: Array, padding: int = 0) -> Array:
    """S(i, j) = Σ_m Σ_n I(m, n) K(i − m, j − n), with I and K zero outside their arrays.

    For an image [H, W] and a kernel [kh, kw], S differs from zero for i in 0 … H + kh − 2 and j in
    0 … W + kw − 2. The result is a window of S: with `padding` p it holds the rows
    i = kh − 1 − p … H − 1 + p, and the columns likewise, so its shape is
    [H + 2p − kh + 1, W + 2p − kw + 1]. Hence

    - p = 0 keeps the places where the kernel lies wholly on the image ("valid"),
    - p = (k − 1) / 2 gives a result of the image's size for an odd k × k kernel ("same"),
    - p = k − 1 gives the whole of S for a k × k kernel ("full").

    It equals `cross_correlation` with the kernel rotated by 180°.
    """
    (kh, kw), (rows, columns) = kernel.shape, _output_size(image.shape, kernel.shape, padding)
    padded = np.pad(image, padding)
    s = np.zeros((rows, columns), np.result_type(image, kernel))
    for u in range(kh):  # u = i − m and v = j − n: I is read at (i − u, j − v)
        for v in range(kw):
            top, left = kh - 1 - u, kw - 1 - v
            s += padded[top : top + rows, left : left + columns] * kernel[u, v]
    return s


def cross_correlation(image: Array, kernel: Array, padding: int = 0) -> Array:
    """S(i, j) = Σ_m Σ_n I(i + m − p, j + n − p) K(m, n): what networks call a convolution.

    For an image [H, W] and a kernel [kh, kw] the shape is [H + 2p − kh + 1, W + 2p − kw + 1]. It
    equals `convolution` with the kernel rotated by 180°; since a network learns its kernels, it
    makes no difference to the network which of the two it uses.
    """
    _output_size(image.shape, kernel.shape, padding)
    windows = sliding_window_view(np.pad(image, padding), kernel.shape)
    s: Array = np.einsum("ijmn,mn->ij", windows, kernel)
    return s


def _output_size(image: tuple[int, ...], kernel: tuple[int, ...], padding: int) -> tuple[int, int]:
    rows, columns = (n + 2 * padding - k + 1 for n, k in zip(image, kernel, strict=True))
    if rows < 1 or columns < 1:
        raise ValueError(
            f"A kernel of {kernel} with padding {padding} does not fit into an image of {image}."
        )
    return rows, columns


# The layer. `padding` is (ph, pw) or ((above, below), (left, right)); `stride` (sh, sw) is the step
# in x between neighbors in y, `dilation` (dh, dw) that between neighboring taps of the kernel.


def conv2d_forward(
    x: Array,
    w: Array,
    b: Array | None = None,
    padding: Padding = (0, 0),
    *,
    stride: Pair = (1, 1),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> Array:
    """y[n, k, i, j] = b[k] + Σ_c Σ_u Σ_v w[k, c, u, v] · x[n, c, p, q].

    Here p = sh·i + dh·u − ph and q = sw·j + dw·v − pw, and x is zero outside its array.
    x [N, C, H, W], w [K, C / groups, kh, kw], b [K] → y [N, K, rows, columns], where
    rows = ⌊(H + 2ph − dh·(kh − 1) − 1) / sh⌋ + 1. The kernel is not rotated, so it is a
    cross-correlation, summed over the input channels. With groups, an output sees only the channels
    of its own group: the first K / groups outputs see the first C / groups inputs, and so on.
    """
    n, k = len(x), len(w)
    windows = _windows(x, w.shape[2:], padding, stride, dilation, groups)
    sums = np.einsum("ngcijuv,gkcuv->ngkij", windows, _in_groups(w, groups), optimize=True)
    y: Array = sums.reshape(n, k, *sums.shape[3:])
    return y if b is None else y + b[:, None, None]


def conv2d_backward_input(
    dy: Array,
    w: Array,
    input_shape: tuple[int, ...],
    padding: Padding = (0, 0),
    *,
    stride: Pair = (1, 1),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> Array:
    """dx[n, c, p, q] = Σ dy[n, k, i, j] · w[k, c, u, v], over all terms of the forward pass.

    These are the k, i, j, u, v with p = sh·i + dh·u − ph and q = sw·j + dw·v − pw.
    With stride and dilation 1 it is a true convolution of dy with w:
    dx[n, c, i, j] = Σ_k Σ_u Σ_v dy[n, k, i − u + ph, j − v + pw] · w[k, c, u, v].
    dy [N, K, rows, columns], w [K, C / groups, kh, kw] → dx of `input_shape` [N, C, H, W].
    """
    n, c, h, width = input_shape
    (top, bottom), (left, right) = _sides(padding)
    (rows, columns), (sh, sw), (dh, dw) = dy.shape[2:], stride, dilation
    padded = np.zeros((n, c, h + top + bottom, width + left + right), np.result_type(dy, w))
    parts = dy.reshape(n, groups, -1, rows, columns)
    for u in range(w.shape[2]):
        for v in range(w.shape[3]):
            tap = _in_groups(w, groups)[..., u, v]
            share = np.einsum("ngkij,gkc->ngcij", parts, tap, optimize=True)
            rows_read = slice(u * dh, u * dh + sh * (rows - 1) + 1, sh)
            columns_read = slice(v * dw, v * dw + sw * (columns - 1) + 1, sw)
            padded[:, :, rows_read, columns_read] += share.reshape(n, c, rows, columns)
    return padded[:, :, top : top + h, left : left + width]


def conv2d_backward_weight(
    x: Array,
    dy: Array,
    kernel_size: tuple[int, ...],
    padding: Padding = (0, 0),
    *,
    stride: Pair = (1, 1),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> Array:
    """dw[k, c, u, v] = Σ_n Σ_i Σ_j dy[n, k, i, j] · x[n, c, sh·i + dh·u − ph, sw·j + dw·v − pw].

    x [N, C, H, W], dy [N, K, rows, columns] → dw [K, C / groups, kh, kw]; `kernel_size` (kh, kw).
    """
    n, k, rows, columns = dy.shape
    windows = _windows(x, kernel_size, padding, stride, dilation, groups)
    parts = dy.reshape(n, groups, k // groups, rows, columns)
    dw: Array = np.einsum("ngcijuv,ngkij->gkcuv", windows, parts, optimize=True)
    return dw.reshape(k, *dw.shape[2:])


def conv2d_backward_bias(dy: Array) -> Array:
    """Sum db[k] = Σ_n Σ_i Σ_j dy[n, k, i, j]: dy [N, K, rows, columns] → db [K]."""
    db: Array = dy.sum(axis=(0, 2, 3))
    return db


def _windows(
    x: Array, kernel: tuple[int, ...], padding: Padding, stride: Pair, dilation: Pair, groups: int
) -> Array:
    """The window of x for each position of y: [N, groups, C / groups, rows, columns, kh, kw]."""
    (sh, sw), (dh, dw), (kh, kw) = stride, dilation, kernel
    padded = np.pad(x, ((0, 0), (0, 0), *_sides(padding)))
    reach = (dh * (kh - 1) + 1, dw * (kw - 1) + 1)
    windows = sliding_window_view(padded, reach, axis=(2, 3))[:, :, ::sh, ::sw, ::dh, ::dw]
    return windows.reshape(len(x), groups, -1, *windows.shape[2:])


def _in_groups(w: Array, groups: int) -> Array:
    return w.reshape(groups, -1, *w.shape[1:])


def _sides(padding: Padding) -> tuple[Pair, Pair]:
    """((above, below), (left, right))."""
    vertical, horizontal = padding
    if isinstance(vertical, tuple) and isinstance(horizontal, tuple):
        return vertical, horizontal
    return (vertical, vertical), (horizontal, horizontal)  # type: ignore[return-value]
