"""Softmax and cross-entropy.

The targets t_n of an image are one-hot, or a mixture of two labels; smoothing moves them toward
1 / classes (C. Szegedy et al., 2016): t′ = (1 − ε) · t + ε / classes. With a weight w a class

    loss_n = −Σ_c w_c · t′_nc · log softmax(z_n)_c,

and the loss of a batch is Σ_n loss_n / Σ_n Σ_c w_c · t_nc: PyTorch's mean of ``CrossEntropyLoss``
for labels, and without weights also that for probabilities.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "cross_entropy",
    "cross_entropy_backward",
    "cross_entropy_divisor",
    "label_score",
    "label_score_backward",
    "mixed_targets",
    "softmax",
]

Array = NDArray[Any]
Labels = NDArray[np.integer[Any]]


def softmax(z: Array) -> Array:
    """P(y = j | x) = exp(z_j) / Σ_k exp(z_k) along the last axis: [N, classes] → [N, classes].

    The largest z is subtracted first, which changes no quotient and lets no exp overflow.
    """
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    p: Array = e / e.sum(axis=-1, keepdims=True)
    return p


def mixed_targets(
    z: Array, labels: Labels, other: Labels | None = None, share: Array | float = 1.0
) -> Array:
    """share · onehot(labels) + (1 − share) · onehot(other): the targets t [N, classes] for z.

    Without `other` they are one-hot. `share` is one number, or one an image [N]; H. Zhang et al.,
    "mixup" (2018).
    """
    rows, part = np.arange(len(z)), np.broadcast_to(np.asarray(share, z.dtype), len(z))
    t = np.zeros_like(z)
    if other is None:
        t[rows, labels] = 1
    else:
        t[rows, labels] = part
        t[rows, other] += 1 - part
    return t


def cross_entropy(
    z: Array,
    labels: Labels,
    *,
    other: Labels | None = None,
    share: Array | float = 1.0,
    smoothing: float = 0.0,
    weight: Array | None = None,
) -> Array:
    """loss_n = −log softmax(z_n)[label_n]: z [N, classes], labels [N] → one loss an image, [N].

    Computed as log Σ_k exp(z_k) − z_label, so that it is never the logarithm of a rounded 0. The
    rest, as above: `other` and `share` as in `mixed_targets`, the ε of `smoothing`, and `weight`
    [classes]. Divide the sum by `cross_entropy_divisor` for the loss of the batch.
    """
    goals = _weighted_goals(z, labels, other, share, smoothing, weight)
    shifted = z - z.max(axis=-1, keepdims=True)
    away = np.log(np.exp(shifted).sum(axis=-1, keepdims=True)) - shifted
    # Left out where the goal is 0: there a distance may be infinite.
    losses: Array = np.where(goals == 0, 0, goals * np.where(goals == 0, 1, away)).sum(axis=-1)
    return losses.astype(z.dtype)


def cross_entropy_backward(
    z: Array,
    labels: Labels,
    *,
    other: Labels | None = None,
    share: Array | float = 1.0,
    smoothing: float = 0.0,
    weight: Array | None = None,
) -> Array:
    """δ = y − t, with y = softmax(z) and t the one-hot labels: [N, classes].

    In general δ_c = y_c · Σ_k w_k t′_k − w_c t′_c, with the same options as `cross_entropy`. The
    gradient of each image's own loss. It is not divided by N: for the gradient of the batch's
    mean loss, which PyTorch's ``CrossEntropyLoss`` gives, divide by `cross_entropy_divisor`.
    """
    goals = _weighted_goals(z, labels, other, share, smoothing, weight)
    delta: Array = softmax(z) * goals.sum(axis=-1, keepdims=True) - goals
    return delta


def cross_entropy_divisor(
    z: Array,
    labels: Labels,
    *,
    other: Labels | None = None,
    share: Array | float = 1.0,
    weight: Array | None = None,
) -> float:
    """Σ_n Σ_c w_c · t_nc, by which the sum of losses is divided; N without weights."""
    if weight is None:
        return float(len(z))
    return float((weight * mixed_targets(z, labels, other, share)).sum())


def label_score(z: Array, labels: Labels) -> Array:
    """s_n = z_n[label_n], which stands in a loss's place: z [N, classes], labels [N] → [N].

    Its gradient says what speaks for a class, as Grad-CAM asks (R. R. Selvaraju et al., 2017).
    """
    scores: Array = z[np.arange(len(z)), labels]
    return scores


def label_score_backward(z: Array, labels: Labels) -> Array:
    """∂s_n/∂z_n: 1 for the label and 0 for all others, [N, classes]."""
    return mixed_targets(z, labels)


def _weighted_goals(
    z: Array,
    labels: Labels,
    other: Labels | None,
    share: Array | float,
    smoothing: float,
    weight: Array | None,
) -> Array:
    """w_c · t′_nc."""
    t = mixed_targets(z, labels, other, share)
    goals: Array = (1 - smoothing) * t + smoothing / z.shape[-1]
    return goals if weight is None else weight * goals
