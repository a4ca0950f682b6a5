"""Softmax and cross-entropy."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["cross_entropy", "cross_entropy_backward", "softmax"]

Array = NDArray[Any]


def softmax(z: Array) -> Array:
    """P(y = j | x) = exp(z_j) / Σ_k exp(z_k) along the last axis: [N, classes] → [N, classes].

    The largest z is subtracted first, which changes no quotient and lets no exp overflow.
    """
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    p: Array = e / e.sum(axis=-1, keepdims=True)
    return p


def cross_entropy(z: Array, labels: NDArray[np.integer[Any]]) -> Array:
    """loss_n = −log softmax(z_n)[label_n]: z [N, classes], labels [N] → one loss an image, [N].

    Computed as log Σ_k exp(z_k) − z_label, so that it is never the logarithm of a rounded 0.
    """
    shifted = z - z.max(axis=-1, keepdims=True)
    losses: Array = np.log(np.exp(shifted).sum(axis=-1)) - shifted[np.arange(len(z)), labels]
    return losses


def cross_entropy_backward(z: Array, labels: NDArray[np.integer[Any]]) -> Array:
    """δ = y − t, with y = softmax(z) and t the one-hot labels: [N, classes].

    The gradient of each image's own loss. It is not divided by N: for the gradient of the batch's
    mean loss, which PyTorch's ``CrossEntropyLoss`` gives, divide by N.
    """
    delta = softmax(z)
    delta[np.arange(len(z)), labels] -= 1
    return delta
