"""Evaluations of networks whose outputs are several labels, or numbers.

With targets t and probabilities p [n, K], of several labels an image:

    accuracy            the part of the n · K labels for which p ≥ ½ is t ≥ ½
    F1 of a label       2 · right / (predicted + there), of the images that have it
    average precision   Σ_k precision of the k likeliest images, over those k that have the label,
                        divided by how many have it; of equal probabilities all or none are taken

Means over labels leave out those that no image has. Of numbers z:

    RMSE = √(Σ (z − t)² / nK)           R² = 1 − Σ (z − t)² / Σ (t − mean t)²,  of each output
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    """

    loss: float
    classes: tuple[str, ...]
    targets: NDArray[np.float32]
    probabilities: Reals
    seconds: float

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
    def accuracy(self) -> float:
        """The part of all labels of all images that is right, 0 to 1."""
        return float(((self.probabilities >= 0.5) == self._there).mean())

    @property
    def f1_scores(self) -> Reals:
        """F1 of each label, float64 [labels]; NaN where it is neither there nor predicted."""
        there, predicted = self._there, self.probabilities >= 0.5
        right = 2.0 * (there & predicted).sum(axis=0)
        with np.errstate(invalid="ignore"):
            return np.asarray(right / (there.sum(axis=0) + predicted.sum(axis=0)))

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
    def line(self) -> str:
        """The result in a line."""
        return (
            f"{100 * self.accuracy:.2f} % of the labels of {len(self):,} images are right "
            f"(F1 {self.f1:.3f}, mAP {self.mean_precision:.3f})"
        )

    @property
    def table(self) -> dict[str, Any]:
        """The results by what they measure, to be read in a table; None where there is none."""
        return {
            "images": len(self),
            "loss": self.loss,
            "accuracy": self.accuracy,
            "F1": _plain(self.f1),
            "mAP": _plain(self.mean_precision),
            **_named("F1 of", self.classes, self.f1_scores),
            **_named("average precision of", self.classes, self.average_precisions),
        }

    def to_dict(self) -> dict[str, Any]:
        """All results as plain data, for JSON."""
        each = zip(self.classes, self.f1_scores, self.average_precisions, strict=True)
        return {
            "loss": self.loss,
            "accuracy": self.accuracy,
            "f1": _plain(self.f1),
            "mean_average_precision": _plain(self.mean_precision),
            "count": len(self),
            "labels": [
                {"name": name, "f1": _plain(f1), "average_precision": _plain(precision)}
                for name, f1, precision in each
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
    """

    loss: float
    classes: tuple[str, ...]
    targets: NDArray[np.float32]
    outputs: Reals
    seconds: float
    #: There is none; the history of a training asks every evaluation.
    accuracy: None = None

    def __len__(self) -> int:
        return len(self.targets)

    def __repr__(self) -> str:
        return f"<NumbersEvaluation of {len(self)} images: RMSE={self.rmse:.4g}, R²={self.r2:.4f}>"

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
        return f"RMSE {self.rmse:.4g}, R² {self.r2:.4f}, of {len(self):,} images"

    @property
    def table(self) -> dict[str, Any]:
        """The results by what they measure, to be read in a table; None where there is none."""
        return {
            "images": len(self),
            "RMSE": self.rmse,
            "R²": _plain(self.r2),
            **_named("R² of", self.classes, self.r2_scores),
        }

    def to_dict(self) -> dict[str, Any]:
        """All results as plain data, for JSON."""
        return {
            "loss": self.loss,
            "rmse": self.rmse,
            "r2": _plain(self.r2),
            "count": len(self),
            "outputs": [
                {"name": name, "r2": _plain(r2)}
                for name, r2 in zip(self.classes, self.r2_scores, strict=True)
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


def _mean(scores: Reals) -> float:
    known = scores[~np.isnan(scores)]
    return float(known.mean()) if len(known) else math.nan


def _plain(number: float) -> float | None:
    return None if math.isnan(number) else float(number)


def _named(what: str, names: tuple[str, ...], scores: Reals) -> dict[str, float | None]:
    return {f"{what} {name}": _plain(score) for name, score in zip(names, scores, strict=True)}
