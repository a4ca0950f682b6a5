"""Softmax and cross-entropy.

The targets t_n of an image are one-hot, or a mixture of two labels, times the image's weight a_n,
which is 1 without sample weights. Label smoothing moves them toward the uniform distribution
(C. Szegedy et al., 2016): t′_nc = (1 − ε) · t_nc + ε · Σ_k t_nk / classes. With class weights w_c

    loss_n = −Σ_c w_c · t′_nc · log softmax(z_n)_c,

and the loss of a batch is Σ_n loss_n / Σ_n Σ_c w_c · t_nc: PyTorch's mean of ``CrossEntropyLoss``
for labels, and without weights also that for probabilities. With sample weights and labels y it is
PyTorch's ``(a * cross_entropy(z, y, weight, reduction="none")).sum() / (a * weight[y]).sum()``.
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


def softmax(z: Array, temperature: float = 1.0) -> Array:
    """P(y = j | x) = exp(z_j / T) / Σ_k exp(z_k / T) along the last axis: [N, classes] → the same.

    The largest z is subtracted first, which does not change the result and avoids overflow. With a
    temperature T above 1 probabilities are closer to each other, with one below 1 further apart.
    """
    with np.errstate(over="ignore"):  # exp(−∞) is 0
        e = np.exp((z - z.max(axis=-1, keepdims=True)) / temperature)
    p: Array = e / e.sum(axis=-1, keepdims=True)
    return p


def mixed_targets(
    z: Array,
    labels: Labels,
    other: Labels | None = None,
    share: Array | float = 1.0,
    sample_weight: Array | None = None,
    other_weight: Array | None = None,
) -> Array:
    """t = share · a · onehot(labels) + (1 − share) · b · onehot(other): the targets for z.

    [N, classes]; without `other` a · onehot(labels). `share` is one number, or one per image [N];
    H. Zhang et al., "mixup" (2018). a is `sample_weight` [N], of the images of `labels`, and b is
    `other_weight` [N], of their partners; both are 1 if they are None.
    """
    rows, part = np.arange(len(z)), np.broadcast_to(np.asarray(share, z.dtype), len(z))
    own = np.ones(len(z), z.dtype) if sample_weight is None else sample_weight
    t = np.zeros_like(z)
    if other is None:
        t[rows, labels] = own
    else:
        partner = np.ones(len(z), z.dtype) if other_weight is None else other_weight
        t[rows, labels] = part * own
        t[rows, other] += (1 - part) * partner
    return t


def cross_entropy(
    z: Array,
    labels: Labels,
    *,
    other: Labels | None = None,
    share: Array | float = 1.0,
    smoothing: float = 0.0,
    weight: Array | None = None,
    sample_weight: Array | None = None,
    other_weight: Array | None = None,
) -> Array:
    """loss_n = −log softmax(z_n)[label_n]: z [N, classes], labels [N] → one loss per image, [N].

    Computed as log Σ_k exp(z_k) − z_label, so that it is never the logarithm of a rounded 0. The
    options are described above: `other`, `share`, `sample_weight` and `other_weight` as in
    `mixed_targets`, `smoothing` is ε, and `weight` [classes] is w. Divide the sum by
    `cross_entropy_divisor` for the loss of the batch.
    """
    goals = _weighted_goals(z, labels, other, share, smoothing, weight, sample_weight, other_weight)
    shifted = z - z.max(axis=-1, keepdims=True)
    away = np.log(np.exp(shifted).sum(axis=-1, keepdims=True)) - shifted
    # Left out where the target is 0, since the distance may be infinite there.
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
    sample_weight: Array | None = None,
    other_weight: Array | None = None,
) -> Array:
    """δ = y − t, with y = softmax(z) and t the one-hot labels: [N, classes].

    In general δ_c = y_c · Σ_k w_k t′_k − w_c t′_c, with the same options as `cross_entropy`. It is
    the gradient of each image's own loss. For the gradient of the batch's mean loss, as in
    PyTorch's ``CrossEntropyLoss``, divide by `cross_entropy_divisor`.
    """
    goals = _weighted_goals(z, labels, other, share, smoothing, weight, sample_weight, other_weight)
    delta: Array = softmax(z) * goals.sum(axis=-1, keepdims=True) - goals
    return delta


def cross_entropy_divisor(
    z: Array,
    labels: Labels,
    *,
    other: Labels | None = None,
    share: Array | float = 1.0,
    weight: Array | None = None,
    sample_weight: Array | None = None,
    other_weight: Array | None = None,
) -> float:
    """Σ_n Σ_c w_c · t_nc, by which the sum of losses is divided; N without weights.

    A batch in which every image has weight 0 has the loss 0; the divisor is then 1.
    """
    if weight is None and sample_weight is None:
        return float(len(z))
    t = mixed_targets(z, labels, other, share, sample_weight, other_weight)
    total = float((t if weight is None else weight * t).sum())
    return 1.0 if sample_weight is not None and total == 0 else total


def label_score(z: Array, labels: Labels) -> Array:
    """s_n = z_n[label_n], used in place of a loss: z [N, classes], labels [N] → [N].

    Its gradient shows what supports a class, as in Grad-CAM (R. R. Selvaraju et al., 2017).
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
    sample_weight: Array | None,
    other_weight: Array | None,
) -> Array:
    """w_c · t′_nc."""
    t = mixed_targets(z, labels, other, share, sample_weight, other_weight)
    mass = 1 if sample_weight is None else t.sum(axis=-1, keepdims=True)
    goals: Array = (1 - smoothing) * t + smoothing / z.shape[-1] * mass
    return goals if weight is None else weight * goals
