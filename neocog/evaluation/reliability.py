"""Calibration: how far confidence is from accuracy.

Predictions are grouped into M bins of equal width by their confidence, the probability of the
predicted class; bin m has those in ((m − 1) / M, m / M]. With n_m predictions in the bin, of which
a fraction acc_m is right, and their mean confidence conf_m, the expected calibration error is

    ECE = Σ_m n_m / n · |acc_m − conf_m|

C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On calibration of modern neural networks", ICML 2017,
who use M = 15, too.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BINS", "Bin", "Reliability", "reliability"]

#: M, the number of bins.
BINS = 15


@dataclass(frozen=True)
class Bin:
    """The predictions whose confidence is above `low` and at most `high`.

    Attributes:
        low: see above.
        high: see above.
        count: number of predictions.
        confidence: their mean confidence; None if there are none.
        accuracy: the fraction that is right; None if there are none.
    """

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True)
class Reliability:
    """The reliability curve: confidence and accuracy of each bin.

    Attributes:
        bins: bins in order of confidence, empty ones included.
        ece: expected calibration error, 0 to 1.
        confidence: mean confidence of all predictions.
        accuracy: fraction of all predictions that is right.
    """

    bins: tuple[Bin, ...]
    ece: float
    confidence: float
    accuracy: float

    def __repr__(self) -> str:
        return (
            f"<Reliability in {len(self.bins)} bins: ECE={self.ece:.4f}, "
            f"confidence={self.confidence:.4f}, accuracy={self.accuracy:.4f}>"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data: ``ece``, ``confidence``, ``accuracy``, and ``bins`` with `Bin`'s fields."""
        return {
            "ece": self.ece,
            "confidence": self.confidence,
            "accuracy": self.accuracy,
            "bins": [dict(vars(one)) for one in self.bins],
        }


def reliability(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], bins: int = BINS
) -> Reliability:
    """The reliability curve of at least one prediction.

    Args:
        confidence: probability of each predicted class, float64 [n], 0 to 1.
        right: whether each prediction is right, bool [n].
        bins: M.
    """
    edges = np.arange(bins + 1) / bins
    # An edge belongs to the bin below it, and 0 to the first bin.
    place = np.maximum(np.searchsorted(edges, confidence, side="left") - 1, 0)
    place = np.minimum(place, bins - 1)  # for values that rounding has put above 1
    counts = np.bincount(place, minlength=bins)
    sums = np.bincount(place, confidence, bins)
    hits = np.bincount(place, right, bins)
    found = tuple(
        Bin(
            float(edges[m]),
            float(edges[m + 1]),
            int(counts[m]),
            float(sums[m] / counts[m]) if counts[m] else None,
            float(hits[m] / counts[m]) if counts[m] else None,
        )
        for m in range(bins)
    )
    n = len(confidence)
    ece = float(np.abs(hits - sums).sum() / n)
    return Reliability(found, ece, float(sums.sum() / n), float(hits.sum() / n))
