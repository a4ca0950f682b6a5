"""The last layer alone, fitted to its optimum on features that were computed once.

Features are standardized: less their mean, over their deviation. Then they are turned to their
principal axes, in which the loss is nearly as curved along one axis as its diagonal says, so that
conjugate gradients need few products; neither changes what the penalty allows. The strength C is
chosen by cross-validation over pictures, of which all views are on one side: the one with the least
loss on pictures that were left out, from weak ones upwards until the loss grows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.transfer.logistic import LinearModel, fit_classes, fit_labels, fit_numbers

__all__ = ["Head", "fit_head", "folds_of"]

Doubles = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]

#: Strengths that are tried, the weakest first.
STRENGTHS = tuple(10.0 ** (k / 2) for k in range(-8, 5))
_FOLDS = 5
# Bytes of rows up to which they are kept in float64, in which all is computed.
_WIDE = 2**28
# Of cross-validation, in which a loss need not be known to many digits.
_ROUGH = 1e-3
# Features that hardly vary are not enlarged: the least deviation, in parts of the mean one.
_LEAST_DEVIATION = 1e-3
# Axes with less than this part of the largest one's variance are rounding.
_LEAST_VARIANCE = 1e-10
_ROWS = 2048


@dataclass(frozen=True, eq=False)
class Head:
    """A fitted last layer.

    Attributes:
        weight: float32 [outputs, features], for features as they are.
        bias: float32 [outputs].
        strength: C, which cross-validation has chosen.
        losses: by strength, the mean loss in cross-validation.
        scores: of each picture by a head that has not seen it, float64 [n, outputs].
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    strength: float
    losses: dict[float, float] = field(repr=False)
    scores: Doubles = field(repr=False)


def folds_of(labels: NDArray[Any], seed: int) -> NDArray[np.int64]:
    """The fold of each picture, int64 [n]; each class is dealt evenly over the folds.

    There are five folds, or as many as the smallest class has pictures, but two at least.
    """
    classes = labels if labels.ndim == 1 else np.zeros(len(labels), np.int64)
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


def fit_head(
    views: Sequence[Floats], labels: NDArray[Any], outputs: int, loss: str, seed: int = 0
) -> Head:
    """Fit a last layer on features of pictures.

    Args:
        views: for each view the features of all pictures, [n, features]; the first is of the
            pictures as they are, which predictions are made of.
        labels: classes, int64 [n], or targets, float32 [n, outputs].
        outputs: of the layer.
        loss: as of `neocog.fit`.
        seed: of the folds.
    """
    n, count = len(labels), len(views)
    fit = _Fit(_Axes.of(views), np.tile(labels, (count, *[1] * (labels.ndim - 1))), outputs, loss)
    fold = folds_of(labels, seed)
    starts: list[LinearModel | None] = [None] * (int(fold.max()) + 1)
    losses: dict[float, float] = {}
    best: tuple[float, Doubles] = STRENGTHS[0], np.zeros((n, outputs))
    for strength in STRENGTHS:
        scores = np.empty((n, outputs))
        for k in range(len(starts)):
            out = fold == k
            seen = np.tile(~out, count) / count
            starts[k] = model = fit.model(strength, seen, starts[k], _ROUGH)
            scores[out] = fit.with_all_outputs(model).scores(fit.rows(np.flatnonzero(out)))
        losses[strength] = _loss(scores, labels, loss)
        if losses[strength] <= min(losses.values()):
            best = strength, scores
        else:
            break
    strength, scores = best
    model = fit.model(strength, np.full(n * count, 1 / count), None, None)
    weight, bias = fit.axes.back(fit.with_all_outputs(model))
    return Head(weight, bias, strength, losses, scores)


def _loss(scores: Doubles, labels: NDArray[Any], loss: str) -> float:
    """The mean loss of pictures, as `neocog.evaluate` has it."""
    if loss == "mse":
        return float(np.square(scores - labels).mean())
    if loss == "binary-cross-entropy":
        return float((np.logaddexp(0, scores) - labels * scores).mean())
    top = scores.max(axis=1)
    total = np.log(np.exp(scores - top[:, None]).sum(axis=1)) + top
    return float((total - scores[np.arange(len(labels)), labels]).mean())


@dataclass(frozen=True, eq=False)
class _Axes:
    """Standardized features along their principal axes."""

    rows: Floats
    turn: Doubles
    mean: Doubles
    deviation: Doubles

    @classmethod
    def of(cls, views: Sequence[Floats]) -> "_Axes":
        n = sum(map(len, views))
        mean = sum(view.sum(axis=0, dtype=np.float64) for view in views) / n
        variance = sum(np.square(b - mean).sum(axis=0) for b in _blocks(views)) / n
        deviation = np.sqrt(variance)
        least = _LEAST_DEVIATION * deviation.mean()
        deviation = np.maximum(deviation, least if least > 0 else 1.0)
        standard = np.concatenate(
            [((block - mean) / deviation).astype(np.float32) for block in _blocks(views)]
        )
        turn = _principal_axes(standard)
        kind = np.float64 if 8 * n * turn.shape[1] <= _WIDE else np.float32
        rows = np.concatenate([(block @ turn).astype(kind) for block in _blocks([standard])])
        return cls(rows, turn, mean, deviation)

    def back(self, model: LinearModel) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Weight and bias for features as they are."""
        weight = (model.weight @ self.turn.T) / self.deviation
        bias = model.bias - weight @ self.mean
        return weight.astype(np.float32), bias.astype(np.float32)


def _blocks(views: Sequence[Floats]) -> Any:
    for view in views:
        for first in range(0, len(view), _ROWS):
            yield view[first : first + _ROWS].astype(np.float64)


def _principal_axes(rows: NDArray[np.float32]) -> Doubles:
    """Orthonormal axes, float64 [features, axes], by the smaller of the two products of rows."""
    n, features = rows.shape
    if n < features:
        wide = rows.astype(np.float64)
        values, vectors = np.linalg.eigh(wide @ wide.T)
        kept = values > _LEAST_VARIANCE * max(values[-1], np.finfo(np.float64).tiny)
        turn: Doubles = wide.T @ (vectors[:, kept] / np.sqrt(values[kept]))
        return turn if kept.any() else np.eye(features)[:, :1]
    total = np.zeros((features, features))
    for block in _blocks([rows]):
        total += block.T @ block
    axes: Doubles = np.linalg.eigh(total)[1]
    return axes


@dataclass(frozen=True, eq=False)
class _Fit:
    """What is fitted again and again, for other strengths and other pictures."""

    axes: _Axes
    labels: NDArray[Any]
    outputs: int
    loss: str

    def with_all_outputs(self, model: LinearModel) -> LinearModel:
        return model.of_classes() if self.loss == "cross-entropy" else model

    def rows(self, places: NDArray[np.int64]) -> Floats:
        return self.axes.rows[places].astype(np.float64)

    def model(
        self, strength: float, weights: Doubles, start: LinearModel | None, rough: float | None
    ) -> LinearModel:
        x = self.axes.rows
        how: dict[str, Any] = {} if rough is None else {"tolerance": rough}
        if self.loss == "mse":
            return fit_numbers(x, self.labels.astype(np.float64), strength, row_weights=weights)
        how |= {"row_weights": weights, "start": start}
        if self.loss == "binary-cross-entropy":
            return fit_labels(x, self.labels.astype(np.float64), strength, **how)
        return fit_classes(x, self.labels, self.outputs, strength, **how)
