"""Evaluations of networks whose outputs are several labels, or numbers.

With targets t and probabilities p [n, K], of several labels an image:

    accuracy            the part of the n · K labels for which p ≥ threshold is t ≥ ½
    precision, recall   of a label: right / predicted, and right / there
    F1 of a label       2 · right / (predicted + there), of the images that have it
    average precision   Σ_k precision of the k likeliest images, over those k that have the label,
                        divided by how many have it; of equal probabilities all or none are taken

Means over labels leave out those that no image has. Of numbers z:

    MAE = Σ |z − t| / nK        RMSE = √(Σ (z − t)² / nK)
    R² = 1 − Σ (z − t)² / Σ (t − mean t)²,  of each output
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.evaluation.target_mistakes import LabelMistake, NumberMistake

__all__ = ["LabelsEvaluation", "NumbersEvaluation", "average_precision"]

Reals = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LabelsEvaluation:
    """How well a network finds the labels of images, of which each may have several.

    Attributes:
        loss: the mean binary cross-entropy.
        classes: names of the labels.
        targets: float32 [n, labels].
        probabilities: float64 [n, labels].
        seconds: time of the predictions.
        names: name of each image, such as its file; None if they have no names.
        threshold: the least probability of a label that is predicted.
    """

    loss: float
    classes: tuple[str, ...]
    targets: NDArray[np.float32]
    probabilities: Reals
    seconds: float
    names: Sequence[str] | None = None
    threshold: float = 0.5

    def __len__(self) -> int:
        return len(self.targets)

    def __repr__(self) -> str:
        return (
            f"<LabelsEvaluation of {len(self)} images with {len(self.classes)} labels: "
            f"accuracy={self.accuracy:.4f}, F1={self.f1:.4f}, mAP={self.mean_precision:.4f}, "
            f"loss={self.loss:.4g}>"
        )

    @property
    def _there(self) -> NDArray[np.bool_]:
        return np.asarray(self.targets >= 0.5)

    @property
    def _predicted(self) -> NDArray[np.bool_]:
        return np.asarray(self.probabilities >= self.threshold)

    @property
    def _right(self) -> Reals:
        return np.asarray((self._there & self._predicted).sum(axis=0), np.float64)

    @property
    def counts(self) -> NDArray[np.int64]:
        """How many images have each label, int64 [labels]."""
        return np.asarray(self._there.sum(axis=0), np.int64)

    @property
    def accuracy(self) -> float:
        """The part of all labels of all images that is right, 0 to 1."""
        return float((self._predicted == self._there).mean())

    @property
    def precisions(self) -> Reals:
        """The precision of each label, float64 [labels]; NaN where it is never predicted."""
        return _parts(self._right, self._predicted.sum(axis=0))

    @property
    def recalls(self) -> Reals:
        """The recall of each label, float64 [labels]; NaN where no image has it."""
        return _parts(self._right, self.counts)

    @property
    def f1_scores(self) -> Reals:
        """F1 of each label, float64 [labels]; NaN where it is neither there nor predicted."""
        return _parts(2 * self._right, self.counts + self._predicted.sum(axis=0))

    @property
    def f1(self) -> float:
        """The mean F1 of the labels."""
        return _mean(self.f1_scores)

    @property
    def average_precisions(self) -> Reals:
        """The average precision of each label, float64 [labels]; NaN where no image has it."""
        pairs = zip(self._there.T, self.probabilities.T, strict=True)
        return np.array([average_precision(there, p) for there, p in pairs])

    @property
    def mean_precision(self) -> float:
        """mAP: the mean average precision of the labels."""
        return _mean(self.average_precisions)

    @property
    def mistakes(self) -> tuple[LabelMistake, ...]:
        """All labels of images that are wrong, those first whose probabilities are most so."""
        wrong = np.argwhere(self._predicted != self._there)
        off = np.abs(self.probabilities - self._there)[tuple(wrong.T)]
        return tuple(
            LabelMistake(
                image,
                _name_of(self.names, image),
                self.classes[label],
                there=bool(self._there[image, label]),
                probability=float(self.probabilities[image, label]),
            )
            for image, label in wrong[np.argsort(-off, kind="stable")].tolist()
        )

    @property
    def line(self) -> str:
        """The result in a line."""
        return (
            f"{100 * self.accuracy:.2f} % of the labels of {len(self):,} images are right "
            f"(F1 {self.f1:.3f}, mAP {self.mean_precision:.3f})"
        )

    def to_dict(self) -> dict[str, Any]:
        """All results as plain data, for JSON."""
        keys = ("precision", "recall", "f1", "average_precision")
        scores = self.precisions, self.recalls, self.f1_scores, self.average_precisions
        each = zip(self.classes, self.counts.tolist(), zip(*scores, strict=True), strict=True)
        return {
            "loss": self.loss,
            "accuracy": self.accuracy,
            "f1": _plain(self.f1),
            "mean_average_precision": _plain(self.mean_precision),
            "count": len(self),
            "threshold": self.threshold,
            "labels": [
                {"name": name, "count": count, **dict(zip(keys, map(_plain, row), strict=True))}
                for name, count, row in each
            ],
            "seconds": self.seconds,
        }


@dataclass(frozen=True, eq=False)
class NumbersEvaluation:
    """How far the outputs of a network are from numbers.

    Attributes:
        loss: the mean squared error.
        classes: names of the outputs.
        targets: float32 [n, outputs].
        outputs: float64 [n, outputs].
        seconds: time of the predictions.
        names: name of each image, such as its file; None if they have no names.
    """

    loss: float
    classes: tuple[str, ...]
    targets: NDArray[np.float32]
    outputs: Reals
    seconds: float
    names: Sequence[str] | None = None
    #: There is none; the history of a training asks every evaluation.
    accuracy: None = None

    def __len__(self) -> int:
        return len(self.targets)

    def __repr__(self) -> str:
        return f"<NumbersEvaluation of {len(self)} images: RMSE={self.rmse:.4g}, R²={self.r2:.4f}>"

    @property
    def maes(self) -> Reals:
        """The mean absolute error of each output, float64 [outputs]."""
        return np.asarray(np.abs(self.outputs - self.targets).mean(axis=0), np.float64)

    @property
    def mae(self) -> float:
        """The mean absolute error, in the units of the targets."""
        return float(self.maes.mean())

    @property
    def rmse(self) -> float:
        """The root of the mean squared error, in the units of the targets."""
        return math.sqrt(self.loss)

    @property
    def r2_scores(self) -> Reals:
        """R² of each output, float64 [outputs]: 1 is perfect, and 0 no better than the mean.

        NaN for outputs whose targets are all equal.
        """
        wide = self.targets.astype(np.float64)
        around = ((wide - wide.mean(axis=0)) ** 2).sum(axis=0)
        left = ((self.outputs - wide) ** 2).sum(axis=0)
        return np.array([1 - a / b if b else math.nan for a, b in zip(left, around, strict=True)])

    @property
    def r2(self) -> float:
        """The mean R² of the outputs."""
        return _mean(self.r2_scores)

    @property
    def line(self) -> str:
        """The result in a line."""
        return (
            f"MAE {self.mae:.4g}, RMSE {self.rmse:.4g}, R² {self.r2:.4f}, of {len(self):,} images"
        )

    @property
    def mistakes(self) -> tuple[NumberMistake, ...]:
        """All numbers, those first that are farthest off, in parts of their outputs' deviation."""
        spread = self.targets.astype(np.float64).std(axis=0)
        off = np.abs(self.outputs - self.targets) / np.where(spread > 0, spread, 1.0)
        places = np.unravel_index(np.argsort(-off, axis=None, kind="stable"), off.shape)
        return tuple(
            NumberMistake(
                image,
                _name_of(self.names, image),
                self.classes[output],
                float(self.targets[image, output]),
                float(self.outputs[image, output]),
            )
            for image, output in zip(*(place.tolist() for place in places), strict=True)
        )

    def to_dict(self) -> dict[str, Any]:
        """All results as plain data, for JSON."""
        return {
            "loss": self.loss,
            "mae": self.mae,
            "rmse": self.rmse,
            "r2": _plain(self.r2),
            "count": len(self),
            "outputs": [
                {"name": name, "mae": float(mae), "r2": _plain(r2)}
                for name, mae, r2 in zip(self.classes, self.maes, self.r2_scores, strict=True)
            ],
            "seconds": self.seconds,
        }


def average_precision(there: NDArray[np.bool_], probabilities: Reals) -> float:
    """The average precision of one label; NaN if no image has it.

    Args:
        there: bool [n], which images have the label.
        probabilities: float64 [n].
    """
    count = int(there.sum())
    if not count:
        return math.nan
    order = np.argsort(-probabilities, kind="stable")
    found = there[order].cumsum()
    # The last of images with equal probabilities, of which no threshold takes only some.
    last = np.append(np.diff(probabilities[order]) != 0, True)
    precision = (found / np.arange(1, len(order) + 1))[last]
    recall = found[last] / count
    return float((np.diff(recall, prepend=0.0) * precision).sum())


def _parts(some: Reals, of_all: NDArray[Any]) -> Reals:
    with np.errstate(invalid="ignore"):
        return np.asarray(some / of_all)


def _name_of(names: Sequence[str] | None, index: int) -> str:
    return str(index) if names is None else names[index]


def _mean(scores: Reals) -> float:
    known = scores[~np.isnan(scores)]
    return float(known.mean()) if len(known) else math.nan


def _plain(number: float) -> float | None:
    return None if math.isnan(number) else float(number)
