"""Elementwise functions and their gradients.

Every ``…_backward(dy, x)`` is dy · f′(x), where x is the input of f, of any shape. At infinities
each function gives what its formula gives, as in PyTorch: x · 0 for x = −∞ is NaN.

Exponentials are computed in float64 or a wider type, and the result is rounded once. In float32,
1 + exp(−x) and its quotient would each lose the last digits: an error of one unit in silu(16.6).
"""

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "elu_backward",
    "elu_forward",
    "gelu_backward",
    "gelu_forward",
    "hardsigmoid_backward",
    "hardsigmoid_forward",
    "hardswish_backward",
    "hardswish_forward",
    "leaky_relu_backward",
    "leaky_relu_forward",
    "mish_backward",
    "mish_forward",
    "relu6_backward",
    "relu6_forward",
    "relu_backward",
    "relu_forward",
    "scale_backward",
    "scale_forward",
    "sigmoid_backward",
    "sigmoid_forward",
    "silu_backward",
    "silu_forward",
    "softplus_backward",
    "softplus_forward",
    "tanh_backward",
    "tanh_forward",
]

Array = NDArray[Any]


def relu_forward(x: Array) -> Array:
    """f(x) = max(0, x), any shape. NaN stays NaN."""
    y: Array = np.maximum(x, x.dtype.type(0))
    return y


def relu_backward(dy: Array, x: Array) -> Array:
    """Pass dy where x > 0, else 0; the gradient at x = 0 is defined as 0. NaN in x passes dy."""
    return np.where(x <= 0, dy.dtype.type(0), dy)


def leaky_relu_forward(x: Array, negative_slope: float = 0.01) -> Array:
    """f(x) = x where x > 0, else negative_slope · x."""
    with np.errstate(invalid="ignore"):  # 0 · ∞ for a slope of 0
        return np.where(x > 0, x, negative_slope * x)


def leaky_relu_backward(dy: Array, x: Array, negative_slope: float = 0.01) -> Array:
    """Pass dy where x > 0, else negative_slope · dy, also for NaN."""
    return np.where(x > 0, dy, negative_slope * dy)


def relu6_forward(x: Array) -> Array:
    """f(x) = min(max(0, x), 6). NaN stays NaN."""
    y: Array = np.minimum(relu_forward(x), x.dtype.type(6))
    return y


def relu6_backward(dy: Array, x: Array) -> Array:
    """Pass dy where 0 < x < 6, else 0."""
    return np.where((x > 0) & (x < 6), dy, dy.dtype.type(0))


def hardsigmoid_forward(x: Array) -> Array:
    """f(x) = min(max(0, x + 3), 6) / 6."""
    y: Array = relu6_forward(x + x.dtype.type(3)) / x.dtype.type(6)
    return y


def hardsigmoid_backward(dy: Array, x: Array) -> Array:
    """f′ = 1/6 where −3 < x < 3, else 0."""
    dx: Array = np.where((x > -3) & (x < 3), dy / dy.dtype.type(6), dy.dtype.type(0))
    return dx


def hardswish_forward(x: Array) -> Array:
    """f(x) = x · min(max(0, x + 3), 6) / 6."""
    with np.errstate(invalid="ignore"):
        return x * hardsigmoid_forward(x)


def hardswish_backward(dy: Array, x: Array) -> Array:
    """f′ = 0 where x ≤ −3, x/3 + 1/2 where x < 3, else 1."""
    with np.errstate(invalid="ignore"):
        between = dy * (x / x.dtype.type(3) + x.dtype.type(0.5))
    return np.where(x <= -3, dy.dtype.type(0), np.where(x < 3, between, dy))


def elu_forward(x: Array, alpha: float = 1.0) -> Array:
    """f(x) = x where x > 0, else alpha · (exp(x) − 1)."""
    wide = _wide(x)
    below = alpha * np.expm1(np.where(wide > 0, 0, wide))
    return _rounded(np.where(wide > 0, wide, below), x)


def elu_backward(dy: Array, x: Array, alpha: float = 1.0) -> Array:
    """f′ = alpha · exp(x) where x ≤ 0, else 1, also for NaN."""
    wide = _wide(x)
    return _rounded(np.where(wide <= 0, alpha * np.exp(np.minimum(wide, 0)), 1) * dy, dy, x)


def softplus_forward(x: Array, beta: float = 1.0, threshold: float = 20.0) -> Array:
    """f(x) = log(1 + exp(beta · x)) / beta; x itself where beta · x > threshold."""
    wide = _wide(x)
    v = beta * wide
    with np.errstate(invalid="ignore"):
        y = np.maximum(v, 0) + np.log1p(np.exp(-np.abs(v)))
    return _rounded(np.where(v > threshold, wide, y / beta), x)


def softplus_backward(dy: Array, x: Array, beta: float = 1.0, threshold: float = 20.0) -> Array:
    """f′ = σ(beta · x), or 1 beyond the threshold."""
    v = beta * _wide(x)
    return _rounded(dy * np.where(v > threshold, 1, _sigmoid(v)), dy, x)


def mish_forward(x: Array) -> Array:
    """f(x) = x · tanh(log(1 + exp(x)))."""
    wide = _wide(x)
    with np.errstate(invalid="ignore"):
        return _rounded(wide * np.tanh(softplus_forward(wide)), x)


def mish_backward(dy: Array, x: Array) -> Array:
    """f′ = tanh s + x · σ(x) / cosh² s with s = log(1 + exp(x))."""
    wide = _wide(x)
    s = softplus_forward(wide)
    with np.errstate(invalid="ignore"):
        return _rounded(dy * (np.tanh(s) + wide * (_sigmoid(wide) * _bell(s))), dy, x)


def sigmoid_forward(x: Array) -> Array:
    """σ(x) = 1 / (1 + exp(−x))."""
    return _rounded(_sigmoid(_wide(x)), x)


def sigmoid_backward(dy: Array, x: Array) -> Array:
    """σ′(x) = σ(x) · (1 − σ(x)) = σ(x) · σ(−x)."""
    wide = _wide(x)
    return _rounded(dy * _sigmoid(wide) * _sigmoid(-wide), dy, x)


def tanh_forward(x: Array) -> Array:
    """f(x) = tanh x."""
    y: Array = np.tanh(x)
    return y


def tanh_backward(dy: Array, x: Array) -> Array:
    """f′ = 1 − tanh² x = 1 / cosh² x."""
    return _rounded(dy * _bell(_wide(x)), dy, x)


def silu_forward(x: Array) -> Array:
    """f(x) = x · σ(x)."""
    wide = _wide(x)
    with np.errstate(invalid="ignore"):
        return _rounded(wide * _sigmoid(wide), x)


def silu_backward(dy: Array, x: Array) -> Array:
    """f′ = σ(x) · (1 + x · (1 − σ(x))) = σ(x) · (1 + x · σ(−x))."""
    wide = _wide(x)
    with np.errstate(invalid="ignore"):
        return _rounded(dy * _sigmoid(wide) * (1 + wide * _sigmoid(-wide)), dy, x)


def gelu_forward(x: Array, approximate: Literal["none", "tanh"] = "none") -> Array:
    """f(x) = x · Φ(x) with Φ(x) = (1 + erf(x / √2)) / 2, the normal distribution's.

    With ``"tanh"`` Φ(x) ≈ (1 + tanh(√(2/π) · (x + 0.044715 x³))) / 2. D. Hendrycks and K. Gimpel,
    "Gaussian error linear units" (2016).
    """
    wide = _wide(x)
    with np.errstate(invalid="ignore"):
        return _rounded(wide * _normal_share(wide, approximate), x)


def gelu_backward(dy: Array, x: Array, approximate: Literal["none", "tanh"] = "none") -> Array:
    """f′ = Φ(x) + x · Φ′(x), where Φ′(x) = exp(−x² / 2) / √(2π), or that of the tanh.

    The latter, with u = √(2/π) · (x + 0.044715 x³), is
    (1 − tanh² u) / 2 · √(2/π) · (1 + 0.134145 x²).
    """
    wide = _wide(x)
    with np.errstate(invalid="ignore", over="ignore"):
        if approximate == "none":
            density = np.exp(-wide * wide / 2) / math.sqrt(2 * math.pi)
        else:
            slope = _ROOT * (1 + 3 * _CUBIC * wide * wide)
            density = _bell(_ROOT * (wide + _CUBIC * wide**3)) / 2 * slope
        return _rounded(dy * (_normal_share(wide, approximate) + wide * density), dy, x)


def scale_forward(x: Array, factor: float) -> Array:
    """f(x) = factor · x."""
    return factor * x


def scale_backward(dy: Array, factor: float) -> Array:
    """f′ = factor."""
    return factor * dy


_ROOT = math.sqrt(2 / math.pi)
_CUBIC = 0.044715


def _wide(x: Array) -> Array:
    return x.astype(np.result_type(x, np.float64))


def _rounded(y: Array, *of: Array) -> Array:
    """Round to the precision of the inputs."""
    with np.errstate(over="ignore", under="ignore"):
        return y.astype(np.result_type(*of))


def _sigmoid(x: Array) -> Array:
    with np.errstate(over="ignore"):  # then exp is infinite, and its quotient the right 0
        y: Array = 1 / (1 + np.exp(-x))
    return y


def _normal_share(x: Array, approximate: str) -> Array:
    """Φ(x), with the error function in float64 whatever the type of x."""
    # Neither subtracts from 1 a number near it: 1 + erf(t) = erfc(−t) and
    # (1 + tanh u) / 2 = σ(2u).
    if approximate == "none":
        erfc = np.vectorize(math.erfc, otypes=[float])
        return np.asarray(erfc(-x / math.sqrt(2)) / 2, x.dtype)
    with np.errstate(over="ignore"):
        u = _ROOT * (x + _CUBIC * x**3)
    return _sigmoid(2 * u)


def _bell(x: Array) -> Array:
    """1 − tanh² x, as 1 / cosh² x, which is accurate near 0."""
    with np.errstate(over="ignore"):
        y: Array = 1 / np.cosh(x) ** 2
    return y
