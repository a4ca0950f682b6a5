"""The fully connected layer."""

from typing import Any

from numpy.typing import NDArray

__all__ = [
    "linear_backward_bias",
    "linear_backward_input",
    "linear_backward_weight",
    "linear_forward",
]

Array = NDArray[Any]


def linear_forward(x: Array, w: Array, b: Array | None = None) -> Array:
    """The layer z = W x + b for every image: x [N, in], w [out, in], b [out] → z [N, out]."""
    z: Array = x @ w.T
    return z if b is None else z + b


def linear_backward_input(dy: Array, w: Array) -> Array:
    """The input's gradient dx = Wᵀ dy for every image: dy [N, out], w [out, in] → dx [N, in]."""
    dx: Array = dy @ w
    return dx


def linear_backward_weight(x: Array, dy: Array) -> Array:
    """The weight's gradient dW = Σ_n dy_n x_nᵀ: x [N, in], dy [N, out] → dw [out, in]."""
    dw: Array = dy.T @ x
    return dw


def linear_backward_bias(dy: Array) -> Array:
    """The bias's gradient db = Σ_n dy_n: [N, out] → [out]."""
    db: Array = dy.sum(axis=0)
    return db
