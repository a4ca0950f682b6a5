"""Cross-validation of a last layer: pictures are scored by a fit that has not seen them.

All views of a picture are on one side. The strength C is the one with the least loss on pictures
that were left out, from weak ones upwards until the loss grows. Where there are many pictures, it
is chosen on some of each class: more of them move the loss of all strengths alike, and the penalty
is one on the weights, whatever the number of pictures, so that C is the same for all.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.data.progress import Progress, counting
from neocog.transfer.large_arrays import forget_pages
from neocog.transfer.linear_model import LinearModel
from neocog.transfer.logistic import fit_classes, fit_labels
from neocog.transfer.ridge import Ridge

__all__ = [
    "STRENGTHS",
    "Chosen",
    "Fit",
    "choose",
    "cross_validate",
    "folds_of",
    "mean_loss",
    "sample_of",
]

Doubles = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]
Places = NDArray[np.int64]
#: Fits for a strength, with `start`, a model to begin with, and `tolerance` as of `fit_classes`.
Solver = Callable[..., LinearModel]

#: Strengths that are tried, the weakest first.
STRENGTHS = tuple(10.0 ** (k / 2) for k in range(-8, 5))
_FOLDS = 5
# Of cross-validation, in which a loss need not be known to many digits.
_ROUGH = 1e-3
# Pictures that are scored at a time.
_ROWS = 2048


def folds_of(labels: NDArray[Any], seed: int) -> Places:
    """The fold of each picture, int64 [n]; each class is dealt evenly over the folds.

    There are five folds, or as many as the smallest class has pictures, but two at least.
    """
    classes = _classes_of(labels)
    counts = np.bincount(classes)
    count = max(2, min(_FOLDS, int(counts[counts > 0].min())))
    rng = np.random.default_rng(seed)
    found = np.empty(len(classes), np.int64)
    begin = 0
    for one in np.flatnonzero(counts):
        places = rng.permutation(np.flatnonzero(classes == one))
        found[places] = (begin + np.arange(len(places))) % count
        begin += len(places)
    return found


def sample_of(labels: NDArray[Any], fold: Places, most: int, seed: int) -> Places:
    """At most about so many of the pictures, int64, in their order; all, if they are no more.

    Each class has its part of them in each fold, and at least one where it has any.
    """
    n = len(labels)
    if n <= most:
        return np.arange(n)
    group = _classes_of(labels) * (int(fold.max()) + 1) + fold
    rng = np.random.default_rng(seed)
    chosen = []
    for one in np.unique(group):
        places = np.flatnonzero(group == one)
        count = max(1, round(len(places) * most / n))
        chosen.append(rng.permutation(places)[:count])
    return np.sort(np.concatenate(chosen))


def _classes_of(labels: NDArray[Any]) -> NDArray[Any]:
    """What is dealt evenly: the classes; pictures with targets are all of one."""
    return labels if labels.ndim == 1 else np.zeros(len(labels), np.int64)


@dataclass(frozen=True, eq=False)
class Fit:
    """What is fitted again and again, for other strengths and other pictures.

    Attributes:
        rows: of all pictures in the first view, then in the next: [views n, features].
        labels: of the pictures: classes, int64 [n], or targets, [n, outputs].
        outputs: of the model.
        loss: as of `neocog.fit`.
    """

    rows: Floats
    labels: NDArray[Any]
    outputs: int
    loss: str

    @property
    def views(self) -> int:
        """How many there are of each picture."""
        return len(self.rows) // len(self.labels)

    def some(self, pictures: Places) -> "Fit":
        """The fit of some of the pictures."""
        n = len(self.labels)
        if len(pictures) == n:
            return self
        places = (np.arange(0, n * self.views, n)[:, None] + pictures).ravel()
        rows = self.rows[places]
        forget_pages(self.rows)
        return Fit(rows, self.labels[pictures], self.outputs, self.loss)

    def solver(self, seen: NDArray[np.bool_]) -> Solver:
        """What fits the pictures that are seen, by any strength."""
        x, v = self.rows, np.tile(seen, self.views) / self.views
        labels = np.tile(self.labels, (self.views, *[1] * (self.labels.ndim - 1)))
        if self.loss == "mse":
            ridge = Ridge(x, labels.astype(np.float64), v)
            return lambda strength, **_: ridge.model(strength)
        if self.loss == "binary-cross-entropy":
            targets = labels.astype(np.float64)
            return lambda strength, **how: fit_labels(x, targets, strength, row_weights=v, **how)
        return lambda strength, **how: fit_classes(
            x, labels, self.outputs, strength, row_weights=v, **how
        )

    def with_all_outputs(self, model: LinearModel) -> LinearModel:
        """The model with an output for each class, also of two."""
        return model.of_classes() if self.loss == "cross-entropy" else model

    def scores(self, model: LinearModel, pictures: Places) -> Doubles:
        """Of pictures as they are, which is their first view: float64 [pictures, outputs]."""
        whole, found = self.with_all_outputs(model), np.empty((len(pictures), self.outputs))
        for first in range(0, len(pictures), _ROWS):
            some = slice(first, first + _ROWS)
            found[some] = whole.scores(self.rows[pictures[some]].astype(np.float64))
            forget_pages(self.rows)
        return found


@dataclass(frozen=True, eq=False)
class Chosen:
    """A strength, with what its cross-validation has given.

    Attributes:
        strength: C.
        losses: by strength, the mean loss of pictures that were left out.
        models: for each fold, of the pictures that are not in it; none if every loss was NaN.
        scores: of each picture by the model that has not seen it, float64 [n, outputs].
    """

    strength: float
    losses: dict[float, float]
    models: list[LinearModel]
    scores: Doubles


def choose(fit: Fit, fold: Places, progress: Progress | None) -> Chosen:
    """Choose the strength by the folds of the pictures."""
    solvers = [fit.solver(fold != k) for k in range(int(fold.max()) + 1)]
    losses: dict[float, float] = {}
    best = Chosen(STRENGTHS[0], losses, [], np.zeros((len(fit.labels), fit.outputs)))
    starts: list[LinearModel] = []
    most = len(STRENGTHS) * len(solvers)
    told = counting(progress, "strength")
    for strength in STRENGTHS:
        if told is not None:
            told(len(losses) * len(solvers), most)
        starts, scores = cross_validate(fit, fold, strength, solvers, starts)
        losses[strength] = mean_loss(scores, fit.labels, fit.loss)
        if losses[strength] <= min(losses.values()):
            best = Chosen(strength, losses, starts, scores)
        else:
            break
    if told is not None:
        told(most, most)
    return best


def cross_validate(
    fit: Fit,
    fold: Places,
    strength: float,
    solvers: Iterable[Solver],
    starts: Sequence[LinearModel],
) -> tuple[list[LinearModel], Doubles]:
    """A model for each fold, and the scores of each picture by the one that has not seen it.

    Args:
        fit: of the pictures.
        fold: of each.
        strength: C.
        solvers: of each fold: of the pictures that are not in it.
        starts: models to begin with, of which none has seen its fold; zeros if empty.
    """
    models, scores = [], np.empty((len(fit.labels), fit.outputs))
    for k, solver in enumerate(solvers):
        out = np.flatnonzero(fold == k)
        model = solver(strength, start=starts[k] if starts else None, tolerance=_ROUGH)
        scores[out] = fit.scores(model, out)
        models.append(model)
    return models, scores


def mean_loss(scores: Doubles, labels: NDArray[Any], loss: str) -> float:
    """The mean loss of pictures, as `neocog.evaluate` has it."""
    if loss == "mse":
        return float(np.square(scores - labels).mean())
    if loss == "binary-cross-entropy":
        return float((np.logaddexp(0, scores) - labels * scores).mean())
    top = scores.max(axis=1)
    total = np.log(np.exp(scores - top[:, None]).sum(axis=1)) + top
    return float((total - scores[np.arange(len(labels)), labels]).mean())
