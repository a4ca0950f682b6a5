"""Pictures that are far from all others of their class.

The features of a picture (`neocog.data.check.features`) are its thumbnail, its colors and its
gradients. The squared distance of two pictures is the sum of the squared distances of the three
blocks, each divided by the block's variance in the class, so that all three have the same weight. A
picture is as far out as its mean distance to the nearest few of its class. The logarithms of these
distances are compared, since their distribution has a long upper tail. The score is the number of
robust standard deviations (1.4826 times the median absolute deviation) above the class's median.
The threshold of 3.5 is from B. Iglewicz and D. Hoaglin, "How to Detect and Handle Outliers", 1993.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from neocog.data.check.features import BLOCKS

__all__ = ["CONSPICUOUS", "NEAREST", "SMALLEST_CLASS", "outlier_scores"]

#: Number of nearest pictures that count, smallest class that is scored, and the score from which a
#: picture is worth a look.
NEAREST, SMALLEST_CLASS, CONSPICUOUS = 5, 20, 3.5

# In a larger class, all pictures are compared with an even selection of this many.
_COMPARED = 2048
_ROWS = 512
# A smaller spread counts as none: all pictures are the same.
_LEAST_SPREAD = 1e-6


def outlier_scores(
    numbers: NDArray[np.uint8],
    labels: NDArray[np.int64],
    classes: int,
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.float64]:
    """The outlier score of each picture in its class.

    Args:
        numbers: uint8 [n, 384], the pictures' features.
        labels: int64 [n].
        classes: number of classes.
        progress: called with the number of pictures done and the number of all.

    Returns:
        float64 [n]; 0 for classes of fewer than 20 pictures.
    """
    scores, done = np.zeros(len(labels)), 0
    for label in range(classes):
        rows = np.flatnonzero(labels == label)
        done += len(rows)
        if len(rows) < SMALLEST_CLASS:
            continue
        distances = np.log(_distances(numbers[rows]) + _LEAST_SPREAD)
        middle = np.median(distances)
        spread = 1.4826 * np.median(np.abs(distances - middle))
        if spread > _LEAST_SPREAD:
            scores[rows] = (distances - middle) / spread
        if progress is not None:
            progress(done, len(labels))
    return scores


def _distances(numbers: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The mean distance of each picture to the nearest others."""
    n = len(numbers)
    compared = np.arange(n) if n <= _COMPARED else np.linspace(0, n - 1, _COMPARED).astype(np.int64)
    others = numbers[compared]
    weights = [1 / variance if (variance := _variance(numbers[:, b])) else 0.0 for b in BLOCKS]
    nearest = np.empty(n)
    for first in range(0, n, _ROWS):
        some = numbers[first : first + _ROWS]
        squares = np.zeros((len(some), len(others)), np.float32)
        for block, weight in zip(BLOCKS, weights, strict=True):
            squares += np.float32(weight) * _squares(some[:, block], others[:, block])
        itself = np.arange(first, first + len(some))[:, None] == compared
        squares[itself] = np.inf
        least = np.partition(squares, NEAREST - 1, axis=1)[:, :NEAREST]
        nearest[first : first + len(some)] = np.sqrt(np.sort(least, axis=1), dtype=np.float64).mean(
            axis=1
        )
    return nearest


def _variance(block: NDArray[np.uint8]) -> float:
    return float(block.var(axis=0, dtype=np.float64).sum())


def _squares(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Squared distances between all rows of both, exact: see `neocog.data.check.features`."""
    x, y = a.astype(np.float32), b.astype(np.float32)
    of_x, of_y = (x * x).sum(axis=1), (y * y).sum(axis=1)
    squares: NDArray[np.float32] = of_x[:, None] + of_y - 2 * (x @ y.T)
    return squares
