"""Which pictures to label next: those that a network is least certain of, unlike each other.

The uncertainty of a picture is the entropy of its probabilities,

    H(x) = −Σ p log p

Many of the least certain pictures may be nearly the same, and to label one of them is enough. So
the pictures are the centers that the greedy heuristic for the weighted p-center problem chooses
(M. Dyer and A. Frieze, Operations Research Letters 3, 1985): first the one with the largest
entropy, then again and again

    argmax H(x) · min ‖u(x) − u(c)‖ over the centers c so far

with u the features at length one.
"""

import numpy as np
from numpy.typing import NDArray

from neocog.curation.similarity import cosines

__all__ = ["entropies", "spread_out"]

Doubles = NDArray[np.float64]


def entropies(probabilities: NDArray[np.floating]) -> Doubles:
    """The entropy of each row in nats, float64 [n]: from 0 to the logarithm of the classes."""
    p = probabilities.astype(np.float64)
    logs = np.log(p, out=np.zeros_like(p), where=p > 0)
    found: Doubles = np.maximum(-(p * logs).sum(axis=1), 0)
    return found


def spread_out(weights: Doubles, features: NDArray[np.float32], count: int) -> list[int]:
    """Rows with large weights that are far from each other, in the order of their choice.

    Args:
        weights: at least 0, float64 [n].
        features: float32 [n, features].
        count: how many are chosen, if there are so many.
    """
    chosen: list[int] = []
    nearest = np.full(len(weights), np.inf)
    scores = weights.copy()
    while len(chosen) < min(count, len(weights)):
        one = int(scores.argmax())
        chosen.append(one)
        distance = np.sqrt(np.maximum(2 - 2 * cosines(features, features[one]), 0))
        nearest = np.minimum(nearest, distance)
        scores = weights * nearest
        scores[chosen] = -1
    return chosen
