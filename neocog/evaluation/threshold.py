"""Selective classification: answering only if the network is confident.

With a threshold t, an image whose largest probability is below t gets no answer ("none of these").
The fraction that is answered is the coverage; the accuracy is that of the answers. The higher the
threshold, the lower the coverage and, for useful probabilities, the higher the accuracy:
R. El-Yaniv and Y. Wiener, "On the foundations of noise-free selective classification", JMLR 11
(2010); Y. Geifman and R. El-Yaniv, "Selective classification for deep neural networks", NeurIPS
2017.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.evaluation.measures import LEVEL, wilson_interval

__all__ = ["WANTED", "Answered", "answered", "threshold_for"]

#: Accuracies of the answers for which thresholds are reported.
WANTED = (0.9, 0.95, 0.99, 0.999)

Reals = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Answered:
    """The answers that a threshold leaves.

    Attributes:
        threshold: probability that an answer needs, 0 to 1.
        count: number of images that are answered.
        coverage: fraction of all images that are answered.
        accuracy: fraction of the answers that is right; None if there are none.
        interval: 95 % confidence interval of the accuracy, by `wilson_interval`.
    """

    threshold: float
    count: int
    coverage: float
    accuracy: float | None
    interval: tuple[float, float]

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        low, high = self.interval
        return {
            "threshold": self.threshold,
            "count": self.count,
            "coverage": self.coverage,
            "accuracy": self.accuracy,
            "accuracy_interval": {"level": LEVEL, "low": low, "high": high},
        }


def answered(confidence: Reals, right: Flags, threshold: float) -> Answered:
    """The answers that a threshold leaves of at least one prediction.

    Args:
        confidence: probability of each predicted class, float64 [n].
        right: whether each prediction is right, bool [n].
        threshold: 0 to 1.
    """
    chosen = confidence >= threshold
    count, hits = int(chosen.sum()), int((chosen & right).sum())
    return Answered(
        threshold,
        count,
        count / len(confidence),
        hits / count if count else None,
        wilson_interval(hits, count),
    )


def threshold_for(confidence: Reals, right: Flags, accuracy: float) -> float | None:
    """The threshold with the most answers of which at least this fraction is right.

    It lies halfway between the lowest confidence that is answered and the highest that is not, so
    rounding makes no difference. It is 0 if all are answered, and None if no threshold suffices.
    """
    order = np.argsort(-confidence, kind="stable")
    sorted_ = confidence[order]
    hits = np.cumsum(right[order])
    counts = np.arange(1, len(order) + 1)
    # Images of the same confidence are answered together.
    ends = np.append(sorted_[1:] < sorted_[:-1], True)
    enough = np.flatnonzero(ends & (hits >= accuracy * counts))
    if not len(enough):
        return None
    last = int(enough[-1])
    if last == len(order) - 1:
        return 0.0
    return float((sorted_[last] + sorted_[last + 1]) / 2)
