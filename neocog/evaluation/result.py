"""`Evaluation`: the results of evaluating a network."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.evaluation.measures import (
    LEVEL,
    ClassScore,
    class_scores,
    confusion_matrix,
    macro,
    wilson_interval,
)
from neocog.evaluation.mistakes import Mistake
from neocog.evaluation.reliability import BINS, Reliability, reliability
from neocog.evaluation.threshold import (
    WANTED,
    Answered,
    answered,
    threshold_for,
)
from neocog.validation import real, whole

__all__ = ["Evaluation"]

# Number of thresholds in the JSON, and the number of classes above which top-5 accuracy is shown.
_THRESHOLDS = 100
_USUAL_TOP = 5
_MOST_BINS = 1000


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Accuracy, calibration and mistakes of a network on some images.

    Attributes:
        loss: mean negative log-likelihood (cross-entropy), with the network's temperature.
        classes: names of the classes.
        labels: int64 [n], true class of each image.
        predicted: int64 [n], its most probable class.
        confidence: float64 [n], the probability of that class.
        ranks: int64 [n], number of classes that are more probable than the true one.
        label_probability: float64 [n], probability of the true class.
        seconds: time of the predictions.
        names: names of the images, such as their files; None if they have none.
        temperature: the network's temperature: probabilities are softmax(scores / temperature).
        threshold: the network's own threshold of an answer's probability; None if it has none.
    """

    loss: float
    classes: tuple[str, ...]
    labels: NDArray[np.int64]
    predicted: NDArray[np.int64]
    confidence: NDArray[np.float64]
    ranks: NDArray[np.int64]
    label_probability: NDArray[np.float64]
    seconds: float
    names: Sequence[str] | None = None
    temperature: float = 1.0
    threshold: float | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        low, high = self.accuracy_interval()
        return (
            f"<Evaluation of {len(self)} images in {len(self.classes)} classes: "
            f"accuracy={self.accuracy:.4f} ({low:.4f} to {high:.4f}), loss={self.loss:.4g}, "
            f"ECE={self.reliability().ece:.4f}>"
        )

    # Accuracy

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """Whether the most probable class of each image is the true one, bool [n]."""
        return np.asarray(self.predicted == self.labels)

    @property
    def accuracy(self) -> float:
        """The fraction of images whose most probable class is right, 0 to 1."""
        return float(self.right.mean())

    def accuracy_interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Wilson's confidence interval of the accuracy.

        Args:
            level: confidence level, above 0 and below 1.
        """
        wanted = "a probability above 0 and below 1, such as 0.95"
        level = real("level", level, above=0, below=1, wanted=wanted)
        return wilson_interval(int(self.right.sum()), len(self), level)

    @property
    def usual_top(self) -> int | None:
        """The k for which `top_k` is reported: 5 if there are more than five classes, else None."""
        return _USUAL_TOP if len(self.classes) > _USUAL_TOP else None

    def top_k(self, k: int) -> float:
        """The fraction of images whose class is among the k most probable ones, 0 to 1."""
        k = whole("k", k, 1, len(self.classes))
        return float((self.ranks < k).mean())

    # Classes

    @cached_property
    def confusion(self) -> NDArray[np.int64]:
        """Number of images of class (row) predicted as (column): int64 [classes, classes]."""
        return confusion_matrix(self.labels, self.predicted, len(self.classes))

    @property
    def per_class(self) -> list[ClassScore]:
        """Precision, recall, F1 and number of images of each class."""
        return class_scores(self.confusion, self.classes)

    @property
    def macro(self) -> tuple[float, float, float]:
        """Macro averages of precision, recall and F1."""
        return macro(self.per_class)

    # Probabilities

    def reliability(self, bins: int = BINS) -> Reliability:
        """The reliability curve and the expected calibration error.

        Args:
            bins: number of bins of equal width, from 0 to 1.
        """
        bins = whole("bins", bins, 1, _MOST_BINS)
        return reliability(self.confidence, self.right, bins)

    def answered(self, threshold: float) -> Answered:
        """Coverage and accuracy if images below a threshold get no answer.

        Args:
            threshold: the probability that an answer needs, 0 to 1.
        """
        return answered(self.confidence, self.right, real("threshold", threshold, 0, 1))

    def threshold_for(self, accuracy: float) -> float | None:
        """The threshold with the most answers for which this fraction of the answers is right.

        Args:
            accuracy: above 0, at most 1.

        Returns:
            0 to 1, for `Network.threshold` or ``predict(threshold=…)``; None if there is none.
        """
        wanted = "the part of answers that is to be right, above 0 and at most 1"
        accuracy = real("accuracy", accuracy, above=0, most=1, wanted=wanted)
        return threshold_for(self.confidence, self.right, accuracy)

    # Images

    @property
    def mistakes(self) -> list[Mistake]:
        """The misclassified images, the most confident mistakes first."""
        wrong = np.flatnonzero(~self.right)
        wrong = wrong[np.argsort(-self.confidence[wrong], kind="stable")]
        return [
            Mistake(
                n,
                str(n) if self.names is None else self.names[n],
                self.classes[self.labels[n]],
                self.classes[self.predicted[n]],
                float(self.confidence[n]),
                float(self.label_probability[n]),
            )
            for n in wrong.tolist()
        ]

    # Everything

    def to_dict(
        self,
        *,
        top_k: int | None = None,
        threshold: float | None = None,
        complete: bool = False,
    ) -> dict[str, Any]:
        """All results as plain data, for JSON; docs/evaluation.md describes each value.

        Args:
            top_k: k of the top-k accuracy; by default `usual_top`.
            threshold: threshold to report; by default the network's.
            complete: whether to include the results for a hundred thresholds, and all mistakes.
        """
        low, high = self.accuracy_interval()
        k, told = self.usual_top if top_k is None else top_k, self.told(threshold)
        precision, recall, f1 = self.macro
        return {
            "loss": self.loss,
            "accuracy": self.accuracy,
            "accuracy_interval": {"level": LEVEL, "low": low, "high": high},
            "top_k": None if k is None else {"k": k, "accuracy": self.top_k(k)},
            "count": len(self),
            "macro": {"precision": precision, "recall": recall, "f1": f1},
            "classes": [dict(vars(one)) for one in self.per_class],
            "confusion": self.confusion.tolist(),
            "calibration": {"temperature": self.temperature, **self.reliability().to_dict()},
            "threshold": None if told is None else told.to_dict(),
            "thresholds_for": [self._wanted(accuracy) for accuracy in WANTED],
            **(self._lists() if complete else {}),
            "seconds": self.seconds,
        }

    def _lists(self) -> dict[str, Any]:
        thresholds = (n / _THRESHOLDS for n in range(_THRESHOLDS + 1))
        return {
            "thresholds": [self.answered(threshold).to_dict() for threshold in thresholds],
            "mistakes": [one.to_dict() for one in self.mistakes],
        }

    def told(self, threshold: float | None = None) -> Answered | None:
        """The results for this threshold, or the network's own; None if it is missing or 0."""
        if threshold is None:
            threshold = self.threshold
        return self.answered(threshold) if threshold else None

    def _wanted(self, accuracy: float) -> dict[str, Any]:
        threshold = self.threshold_for(accuracy)
        found = {} if threshold is None else self.answered(threshold).to_dict()
        return {"wanted": accuracy, "threshold": None, **found}
