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

    It equals `cross_correlation` with the kernel turned by 180°.
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
    equals `convolution` with the kernel turned by 180°; as a network learns its kernels, it does
    not matter to the network which of the two it uses.
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


# The layer


def conv2d_forward(
    x: Array, w: Array, b: Array | None = None, padding: tuple[int, int] = (0, 0)
) -> Array:
    """y[n, k, i, j] = b[k] + Σ_c Σ_u Σ_v w[k, c, u, v] · x[n, c, i + u − ph, j + v − pw].

    x [N, C, H, W], w [K, C, kh, kw], b [K] → y [N, K, H + 2ph − kh + 1, W + 2pw − kw + 1]. The
    kernel is not turned: a cross-correlation, summed over the input channels.
    """
    windows = sliding_window_view(_zero_padded(x, padding), w.shape[2:], axis=(2, 3))
    y: Array = np.einsum("ncijuv,kcuv->nkij", windows, w, optimize=True)
    return y if b is None else y + b[:, None, None]


def conv2d_backward_input(
    dy: Array, w: Array, input_shape: tuple[int, ...], padding: tuple[int, int] = (0, 0)
) -> Array:
    """dx[n, c, i, j] = Σ_k Σ_u Σ_v dy[n, k, i − u + ph, j − v + pw] · w[k, c, u, v].

    A true convolution of dy with w. dy [N, K, rows, columns], w [K, C, kh, kw] → dx of
    `input_shape` [N, C, H, W].
    """
    n, c, h, width = input_shape
    ph, pw = padding
    rows, columns = dy.shape[2:]
    padded = np.zeros((n, c, h + 2 * ph, width + 2 * pw), np.result_type(dy, w))
    for u in range(w.shape[2]):
        for v in range(w.shape[3]):
            share = np.einsum("nkij,kc->ncij", dy, w[:, :, u, v], optimize=True)
            padded[:, :, u : u + rows, v : v + columns] += share
    return padded[:, :, ph : ph + h, pw : pw + width]


def conv2d_backward_weight(
    x: Array, dy: Array, kernel_size: tuple[int, int], padding: tuple[int, int] = (0, 0)
) -> Array:
    """dw[k, c, u, v] = Σ_n Σ_i Σ_j dy[n, k, i, j] · x[n, c, i + u − ph, j + v − pw].

    x [N, C, H, W], dy [N, K, rows, columns] → dw [K, C, kh, kw]; `kernel_size` is (kh, kw).
    """
    windows = sliding_window_view(_zero_padded(x, padding), kernel_size, axis=(2, 3))
    dw: Array = np.einsum("ncijuv,nkij->kcuv", windows, dy, optimize=True)
    return dw


def conv2d_backward_bias(dy: Array) -> Array:
    """Sum db[k] = Σ_n Σ_i Σ_j dy[n, k, i, j]: dy [N, K, rows, columns] → db [K]."""
    db: Array = dy.sum(axis=(0, 2, 3))
    return db


def _zero_padded(x: Array, padding: tuple[int, int]) -> Array:
    ph, pw = padding
    return np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
