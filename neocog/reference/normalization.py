"""Batch normalization of feature maps [N, C, H, W], channel by channel.

With m = N · H · W numbers in a channel: mean = Σ x / m, var = Σ (x − mean)² / m (biased) and
x̂ = (x − mean) / √(var + eps), y = x̂ · weight + bias. S. Ioffe and C. Szegedy, "Batch normalization"
(2015); conventions of ``torch.nn.BatchNorm2d``.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "batch_norm2d_backward_bias",
    "batch_norm2d_backward_input",
    "batch_norm2d_backward_weight",
    "batch_norm2d_forward",
    "batch_norm2d_running",
    "batch_norm2d_statistics",
]

Array = NDArray[Any]


def batch_norm2d_statistics(x: Array) -> tuple[Array, Array]:
    """The mean and the biased variance of every channel: x [N, C, H, W] → [C], [C]."""
    mean = x.mean(axis=(0, 2, 3))
    var: Array = ((x - _channels(mean)) ** 2).mean(axis=(0, 2, 3))
    return mean, var


def batch_norm2d_forward(
    x: Array,
    mean: Array,
    var: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
) -> Array:
    """y = (x − mean) / √(var + eps) · weight + bias; without them weight is 1 and bias 0.

    `mean` and `var` [C] are the batch's own in training, and the running ones otherwise.
    """
    y = _normalized(x, mean, var, eps)
    if weight is not None:
        y = y * _channels(weight)
    return y if bias is None else y + _channels(bias)


def batch_norm2d_running(
    running_mean: Array, running_var: Array, x: Array, momentum: float = 0.1
) -> tuple[Array, Array]:
    """r ← (1 − momentum) · r + momentum · s, for the mean and the unbiased variance s of x.

    The unbiased variance is var · m / (m − 1). For m = 1, which PyTorch refuses to train with, it
    is defined as var, which is 0.
    """
    mean, var = batch_norm2d_statistics(x)
    m = x.size // x.shape[1]
    unbiased = var * m / max(m - 1, 1)
    return (
        (1 - momentum) * running_mean + momentum * mean,
        (1 - momentum) * running_var + momentum * unbiased,
    )


def batch_norm2d_backward_input(
    dy: Array,
    x: Array,
    mean: Array,
    var: Array,
    weight: Array | None = None,
    eps: float = 1e-5,
    *,
    training: bool = True,
) -> Array:
    """dx = (g − Σ g / m − x̂ · Σ g·x̂ / m) / √(var + eps), where g = dy · weight.

    In training mean and var depend on x, and the two sums are the gradients through them.
    Otherwise they are constants, and dx = g / √(var + eps).
    """
    g = dy if weight is None else dy * _channels(weight)
    if training:
        x_hat = _normalized(x, mean, var, eps)
        through_mean = g.mean(axis=(0, 2, 3))
        through_var = (g * x_hat).mean(axis=(0, 2, 3))
        g = g - _channels(through_mean) - x_hat * _channels(through_var)
    return g / _channels(np.sqrt(var + eps))


def batch_norm2d_backward_weight(
    dy: Array, x: Array, mean: Array, var: Array, eps: float = 1e-5
) -> Array:
    """Sum dw[c] = Σ_n Σ_i Σ_j dy · x̂ → [C]."""
    dw: Array = (dy * _normalized(x, mean, var, eps)).sum(axis=(0, 2, 3))
    return dw


def batch_norm2d_backward_bias(dy: Array) -> Array:
    """Sum db[c] = Σ_n Σ_i Σ_j dy → [C]."""
    db: Array = dy.sum(axis=(0, 2, 3))
    return db


def _normalized(x: Array, mean: Array, var: Array, eps: float) -> Array:
    x_hat: Array = (x - _channels(mean)) / _channels(np.sqrt(var + eps))
    return x_hat


def _channels(values: Array) -> Array:
    """One number per channel, in the shape of maps."""
    return values[:, None, None]
