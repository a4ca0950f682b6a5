"""Metrics of a classifier, computed from true and predicted classes."""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from neocog.reference import softmax

__all__ = [
    "LEVEL",
    "ClassScore",
    "ImageScores",
    "class_scores",
    "confusion_matrix",
    "image_scores",
    "macro",
    "wilson_interval",
]

#: Default probability with which an interval contains the true value.
LEVEL = 0.95
# Images whose probabilities are in memory at a time.
_CHUNK = 4096

Whole = NDArray[np.int64]
Reals = NDArray[np.float64]


@dataclass(frozen=True)
class ClassScore:
    """How well one class is recognized.

    With TP images of the class predicted as the class, FP images of other classes predicted as it,
    and FN images of the class predicted as another one:

        precision = TP / (TP + FP),  recall = TP / (TP + FN),  F1 = 2 TP / (2 TP + FP + FN)

    F1 is their harmonic mean (C. J. van Rijsbergen, *Information Retrieval*, 1979).

    Attributes:
        name: name of the class.
        precision: None if nothing was predicted as this class.
        recall: None if there is no image of this class.
        f1: None if both are None.
        count: number of images of this class.
    """

    name: str
    precision: float | None
    recall: float | None
    f1: float | None
    count: int


@dataclass(frozen=True, eq=False)
class ImageScores:
    """Results for each image, as arrays [n].

    Attributes:
        predicted: int64, the most probable class.
        confidence: float64, its probability.
        ranks: int64, number of classes ranked above the true one; 0 if the prediction is right.
        label_probability: float64, probability of the true class.
        losses: float64, −log of that probability.
    """

    predicted: Whole
    confidence: Reals
    ranks: Whole
    label_probability: Reals
    losses: Reals


def image_scores(scores: Reals, labels: Whole, temperature: float = 1.0) -> ImageScores:
    """Predictions, their probabilities, and the probabilities of the true classes.

    p = softmax(z / T), and the loss of an image is −log p of its class: log Σ exp(z / T) − z_y / T.
    Classes with equal scores are ranked in their order, as in `numpy.argmax`.

    Args:
        scores: z, float64 [n, classes], finite.
        labels: y, int64 [n].
        temperature: T.
    """
    n = len(scores)
    predicted, ranks = scores.argmax(axis=1), np.empty(n, np.int64)
    confidence, label_probability, losses = np.empty(n), np.empty(n), np.empty(n)
    classes = np.arange(scores.shape[1])
    for first in range(0, n, _CHUNK):
        part = slice(first, first + _CHUNK)
        y, z = labels[part, None], scores[part]
        of_label = np.take_along_axis(z, y, axis=1)
        before = (z > of_label) | ((z == of_label) & (classes < y))
        ranks[part] = before.sum(axis=1)
        p = softmax(z, temperature)
        confidence[part] = p.max(axis=1)
        label_probability[part] = np.take_along_axis(p, y, axis=1)[:, 0]
        # By scores instead of −log p, which is infinite if p is rounded to 0. The largest p is
        # 1 / Σ exp((z − top) / T).
        margin = z.max(axis=1) - of_label[:, 0]
        losses[part] = margin / temperature - np.log(confidence[part])
    return ImageScores(predicted, confidence, ranks, label_probability, losses)


def confusion_matrix(labels: Whole, predicted: Whole, classes: int) -> Whole:
    """Number of images of class (row) predicted as (column): int64 [classes, classes]."""
    counts = np.bincount(labels * classes + predicted, minlength=classes * classes)
    return counts.astype(np.int64).reshape(classes, classes)


def class_scores(confusion: Whole, names: tuple[str, ...]) -> list[ClassScore]:
    """Precision, recall, F1 and number of images of each class."""
    found = []
    for name, right, called, count in zip(
        names,
        confusion.diagonal().tolist(),
        confusion.sum(axis=0).tolist(),
        confusion.sum(axis=1).tolist(),
        strict=True,
    ):
        precision, recall = _part(right, called), _part(right, count)
        found.append(ClassScore(name, precision, recall, _part(2 * right, called + count), count))
    return found


def macro(scores: list[ClassScore]) -> tuple[float, float, float]:
    """Macro averages of precision, recall and F1: unweighted means over classes.

    As in scikit-learn: classes without images that were never predicted are left out, and None
    counts as 0 for the others.
    """
    seen = [one for one in scores if one.f1 is not None]
    n = max(1, len(seen))
    return (
        sum(one.precision or 0.0 for one in seen) / n,
        sum(one.recall or 0.0 for one in seen) / n,
        sum(one.f1 or 0.0 for one in seen) / n,
    )


def wilson_interval(right: int, count: int, level: float = LEVEL) -> tuple[float, float]:
    """Wilson's interval, which contains the true accuracy with a probability of about `level`.

    With p = right / count, n = count and the normal distribution's quantile q of (1 + level) / 2:

        (p + q² / 2n ± q √(p (1 − p) / n + q² / 4n²)) / (1 + q² / n)

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of
    the American Statistical Association 22 (1927). It is valid for few images, too, and for an
    accuracy near 0 or 1. Without images it is 0 to 1.
    """
    if count == 0:
        return 0.0, 1.0
    p, q = right / count, NormalDist().inv_cdf((1 + level) / 2)
    middle = p + q * q / (2 * count)
    half = q * math.sqrt(p * (1 - p) / count + q * q / (4 * count * count))
    scale = 1 + q * q / count
    # Exactly 0 and 1 at the ends; rounding errors would be 1e-17.
    low = 0.0 if right == 0 else (middle - half) / scale
    high = 1.0 if right == count else (middle + half) / scale
    return low, high


def _part(some: int, of: int) -> float | None:
    return some / of if of else None
