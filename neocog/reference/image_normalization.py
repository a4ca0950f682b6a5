"""Normalization within an image: of groups of channels, or of the channels of each pixel.

x are maps [N, C, H, W]. With G groups of the channels of an image, m = C / G · H · W numbers in a
group: mean = Σ x / m, var = Σ (x − mean)² / m (biased) and x̂ = (x − mean) / √(var + eps), y = x̂ ·
weight + bias. Y. Wu and K. He, "Group normalization" (2018); conventions of ``torch.nn.GroupNorm``.
Layer normalization has mean and var of each pixel over its channels (J. L. Ba et al., 2016), as
torchvision's ``LayerNorm2d``.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "group_norm_backward_input",
    "group_norm_forward",
    "group_norm_normalized",
    "layer_norm2d_backward_input",
    "layer_norm2d_forward",
    "layer_norm2d_normalized",
    "norm_backward_bias",
    "norm_backward_weight",
]

Array = NDArray[Any]


def group_norm_normalized(x: Array, groups: int, eps: float = 1e-5) -> Array:
    """x̂ [N, C, H, W]."""
    n = len(x)
    return _normalized(x.reshape(n, groups, -1), 2, eps).reshape(x.shape)


def group_norm_forward(
    x: Array,
    groups: int,
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
) -> Array:
    """y = x̂ · weight + bias; without them weight is 1 and bias 0."""
    return _affine(group_norm_normalized(x, groups, eps), weight, bias)


def group_norm_backward_input(
    dy: Array, x: Array, groups: int, weight: Array | None = None, eps: float = 1e-5
) -> Array:
    """dx = (g − Σ g / m − x̂ · Σ g·x̂ / m) / √(var + eps), where g = dy · weight."""
    n = len(x)
    g = (dy if weight is None else dy * _channels(weight)).reshape(n, groups, -1)
    return _backward(g, x.reshape(n, groups, -1), 2, eps).reshape(x.shape)


def layer_norm2d_normalized(x: Array, eps: float = 1e-6) -> Array:
    """x̂ [N, C, H, W]."""
    return _normalized(x, 1, eps)


def layer_norm2d_forward(
    x: Array, weight: Array | None = None, bias: Array | None = None, eps: float = 1e-6
) -> Array:
    """y = x̂ · weight + bias; without them weight is 1 and bias 0."""
    return _affine(layer_norm2d_normalized(x, eps), weight, bias)


def layer_norm2d_backward_input(
    dy: Array, x: Array, weight: Array | None = None, eps: float = 1e-6
) -> Array:
    """dx as of a group normalization, with sums over the channels of a pixel."""
    return _backward(dy if weight is None else dy * _channels(weight), x, 1, eps)


def norm_backward_weight(dy: Array, normalized: Array) -> Array:
    """Sum dw[c] = Σ_n Σ_i Σ_j dy · x̂ → [C]."""
    dw: Array = (dy * normalized).sum(axis=(0, 2, 3))
    return dw


def norm_backward_bias(dy: Array) -> Array:
    """Sum db[c] = Σ_n Σ_i Σ_j dy → [C]."""
    db: Array = dy.sum(axis=(0, 2, 3))
    return db


def _normalized(x: Array, axis: int, eps: float) -> Array:
    apart = x - x.mean(axis, keepdims=True)
    normalized: Array = apart / np.sqrt((apart**2).mean(axis, keepdims=True) + eps)
    return normalized


def _backward(g: Array, x: Array, axis: int, eps: float) -> Array:
    normalized = _normalized(x, axis, eps)
    deviation = np.sqrt(x.var(axis, keepdims=True) + eps)
    through_var = (g * normalized).mean(axis, keepdims=True)
    dx: Array = (g - g.mean(axis, keepdims=True) - normalized * through_var) / deviation
    return dx


def _affine(normalized: Array, weight: Array | None, bias: Array | None) -> Array:
    y = normalized if weight is None else normalized * _channels(weight)
    return y if bias is None else y + _channels(bias)


def _channels(values: Array) -> Array:
    """One number per channel, in the shape of maps."""
    return values[:, None, None]
