"""The last layer alone, fitted to its optimum on features that were computed once.

It is fitted in the principal axes of the features (`axes`), and the strength of its penalty is
chosen by cross-validation (`cross_validation`). Where there are many pictures, the strength is
chosen on some of them, and only the fits of that strength are of all: those that score pictures
that they have not seen, and the last layer itself, which begins at the mean of these.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.data.progress import Progress, counting
from neocog.transfer.axes import Axes
from neocog.transfer.cross_validation import (
    Fit,
    Solver,
    choose,
    cross_validate,
    folds_of,
    sample_of,
)
from neocog.transfer.linear_model import LinearModel

__all__ = ["Head", "fit_head"]

Doubles = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]

# Rows, which are views of pictures, on which the strength is chosen.
_MOST_ROWS = 20_000


@dataclass(frozen=True, eq=False)
class Head:
    """A fitted last layer.

    Attributes:
        weight: float32 [outputs, features], for features as they are.
        bias: float32 [outputs].
        strength: C, which cross-validation has chosen.
        losses: by strength, the mean loss in cross-validation.
        tried: how many pictures the strength was chosen on; the losses are of these.
        scores: of each picture by a head that has not seen it, float64 [n, outputs].
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    strength: float
    losses: dict[float, float] = field(repr=False)
    tried: int
    scores: Doubles = field(repr=False)


def fit_head(
    views: Sequence[Floats],
    labels: NDArray[Any],
    outputs: int,
    loss: str,
    seed: int = 0,
    progress: Progress | None = None,
) -> Head:
    """Fit a last layer on features of pictures.

    Args:
        views: for each view the features of all pictures, [n, features]; the first is of the
            pictures as they are, which predictions are made of.
        labels: classes, int64 [n], or targets, float32 [n, outputs].
        outputs: of the layer.
        loss: as of `neocog.fit`.
        seed: of the folds, and of the pictures that the strength is chosen on.
        progress: called with "strength", then with "head", how many fits are done, and how many
            there are at most.
    """
    axes = Axes.of(views)
    fit, fold = Fit(axes.rows, labels, outputs, loss), folds_of(labels, seed)
    tried = sample_of(labels, fold, _MOST_ROWS // len(views), seed)
    chosen = choose(fit.some(tried), fold[tried], progress)
    strength, scores, start = chosen.strength, chosen.scores, None
    folds = int(fold.max()) + 1 if len(tried) < len(labels) else 0
    told = counting(progress, "head")

    def solver(done: int, seen: NDArray[np.bool_]) -> Solver:
        if told is not None:
            told(done, folds + 1)
        return fit.solver(seen)

    if folds:
        solvers = (solver(k, fold != k) for k in range(folds))
        models, scores = cross_validate(fit, fold, strength, solvers, chosen.models)
        start = LinearModel.mean(models)
    model = solver(folds, np.ones(len(labels), np.bool_))(strength, start=start)
    if told is not None:
        told(folds + 1, folds + 1)
    weight, bias = axes.back(fit.with_all_outputs(model))
    return Head(weight, bias, strength, chosen.losses, len(tried), scores)
