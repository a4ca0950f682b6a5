"""Losses with a target for every output: binary cross-entropy and squared error.

For scores z and targets t [N, K], with a_n the weight of an image (1 without sample weights) and
p_j the weight of what is true of output j (1 without pos_weight):

    binary cross-entropy    l_nj = −p_j · t_nj · log σ(z_nj) − (1 − t_nj) · log(1 − σ(z_nj))
    squared error           l_nj = (z_nj − t_nj)²

The loss of an image is a_n times the mean of its l_nj, and that of a batch the sum of these over
the sum of the weights: PyTorch's means of ``BCEWithLogitsLoss`` and ``MSELoss``.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.reference.activation import sigmoid_forward

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_backward",
    "squared_error",
    "squared_error_backward",
]

Array = NDArray[Any]


def binary_cross_entropy(
    z: Array, t: Array, sample_weight: Array | None = None, pos_weight: Array | None = None
) -> Array:
    """One loss per image, [N]: z [N, K], targets from 0 to 1 [N, K], pos_weight [K].

    Computed with −log σ(−z) = max(z, 0) + log(1 + exp(−|z|)), which never overflows.
    """
    p = 1.0 if pos_weight is None else pos_weight
    softplus = np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))
    each = (1 + (p - 1) * t) * softplus - p * t * z
    return _weighted(each.mean(axis=-1), sample_weight)


def binary_cross_entropy_backward(
    z: Array, t: Array, sample_weight: Array | None = None, pos_weight: Array | None = None
) -> Array:
    """δ = ((1 + (p − 1) t) σ(z) − p t) / K, the gradient of each image's own loss: [N, K]."""
    p = 1.0 if pos_weight is None else pos_weight
    delta: Array = ((1 + (p - 1) * t) * sigmoid_forward(z) - p * t) / z.shape[-1]
    return _weighted(delta, sample_weight)


def squared_error(z: Array, t: Array, sample_weight: Array | None = None) -> Array:
    """One loss per image, [N]: z [N, K], targets [N, K]."""
    return _weighted(((z - t) ** 2).mean(axis=-1), sample_weight)


def squared_error_backward(z: Array, t: Array, sample_weight: Array | None = None) -> Array:
    """δ = 2 (z − t) / K, the gradient of each image's own loss: [N, K]."""
    delta: Array = 2 * (z - t) / z.shape[-1]
    return _weighted(delta, sample_weight)


def _weighted(values: Array, weight: Array | None) -> Array:
    if weight is None:
        return values
    weighted: Array = values * weight.reshape(-1, *[1] * (values.ndim - 1))
    return weighted
