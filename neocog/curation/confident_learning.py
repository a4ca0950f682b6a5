"""Which labels look wrong, by confident learning.

Of pictures with labels y and out-of-sample probabilities p, the threshold of a class is how
probable it is for its own pictures,

    t(j) = mean of p(x, j) over the x with y(x) = j

A picture counts as one of class j with confidence if p(x, j) ≥ t(j); of several such classes it is
the most probable one. The counts of pictures by their label and that class are the confident joint,
and those off its diagonal have labels that look wrong (C. Northcutt, L. Jiang and I. Chuang,
"Confident learning: estimating uncertainty in dataset labels", 2021). Only pictures for which that
class is also more probable than their label are taken, as the authors' own program does.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Confident", "confident_learning"]

Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Confident:
    """What confident learning finds.

    Attributes:
        thresholds: t, float64 [classes].
        joint: pictures by label and by the class they count as, int64 [classes, classes].
        wrong: the pictures whose labels look wrong, int64; those with the largest margin p(x, j) −
            p(x, y) first.
        instead: the class j of each of them, int64.
    """

    thresholds: Doubles
    joint: NDArray[np.int64]
    wrong: NDArray[np.int64]
    instead: NDArray[np.int64]


def confident_learning(probabilities: Doubles, labels: NDArray[np.int64]) -> Confident:
    """Find labels that look wrong.

    Args:
        probabilities: of pictures by models that were not fitted on them, float64 [n, classes].
        labels: int64 [n]; each class has a picture.
    """
    n, classes = probabilities.shape
    rows = np.arange(n)
    own = probabilities[rows, labels]
    counts = np.bincount(labels, minlength=classes)
    thresholds = np.bincount(labels, own, classes) / counts
    above = probabilities >= thresholds
    best = np.where(above, probabilities, -1).argmax(axis=1)
    confident = above.any(axis=1)
    joint = np.zeros((classes, classes), np.int64)
    np.add.at(joint, (labels[confident], best[confident]), 1)
    margin = probabilities[rows, best] - own
    wrong = np.flatnonzero(confident & (best != labels) & (margin > 0))
    wrong = wrong[np.argsort(-margin[wrong], kind="stable")]
    return Confident(thresholds, joint, wrong, best[wrong])
