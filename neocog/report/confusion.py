"""The confusion matrix, with pictures of its cells.

For up to `MOST_IN_TABLE` classes all counts are shown; for more classes only the pairs that were
confused most often.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.evaluation import Evaluation

__all__ = ["MOST_IN_TABLE", "choose_pictures", "confusion"]

#: Largest number of classes for which all counts are shown.
MOST_IN_TABLE = 24
_MOST_PAIRS = 100
# Pictures per cell: of mistakes, and of correct predictions.
_WRONG, _RIGHT = 12, 6
# Fraction of the pictures that may show correct predictions.
_RIGHT_PART = 0.25

Whole = NDArray[np.int64]


def confusion(evaluation: Evaluation) -> dict[str, Any]:
    """The ``table`` of all counts, or ``pairs`` [class, predicted class, count], largest first."""
    counts = evaluation.confusion
    if len(counts) <= MOST_IN_TABLE:
        return {"table": counts.tolist()}
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:_MOST_PAIRS]
    pairs = [(int(k) // len(counts), int(k) % len(counts)) for k in order]
    return {
        "pairs": [
            [row, column, int(wrong[row, column])] for row, column in pairs if wrong[row, column]
        ],
        "different": int((wrong > 0).sum()),
    }


def choose_pictures(evaluation: Evaluation, most: int) -> list[int]:
    """Indices of the images to show in the cells of the matrix, at most this many.

    Mistakes are chosen by highest confidence, correct predictions by lowest. Every cell gets its
    first picture before any gets its second, the largest cells first.
    """
    right = evaluation.predicted == evaluation.labels
    wrong = _choose(evaluation, np.flatnonzero(~right), -evaluation.confidence, _WRONG, most)
    # The rest goes to correct predictions, which have a minimum in any case.
    rest = max(most - len(wrong), int(_RIGHT_PART * most))
    unsure = _choose(evaluation, np.flatnonzero(right), evaluation.confidence, _RIGHT, rest)
    return [*wrong[: most - len(unsure)].tolist(), *unsure.tolist()]


def _choose(
    evaluation: Evaluation, among: Whole, key: NDArray[np.float64], of_cell: int, most: int
) -> Whole:
    """The images with the smallest keys in each cell, `of_cell` per cell and `most` in all."""
    cell = evaluation.labels[among] * len(evaluation.classes) + evaluation.predicted[among]
    order = np.lexsort((among, key[among], cell))
    among, cell = among[order], cell[order]
    _cells, first, place, size = np.unique(
        cell, return_index=True, return_inverse=True, return_counts=True
    )
    rank = np.arange(len(among)) - first[place]
    order = np.lexsort((among, -size[place], rank))
    chosen: Whole = among[order[rank[order] < of_cell][:most]]
    return chosen
