"""How good a network is on images it has not seen."""

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neocog.data.dataset import Dataset
from neocog.engine import predict_scores
from neocog.engine.trainer import check_labels
from neocog.errors import DataError, NeocogError
from neocog.network import Network

__all__ = ["ClassScore", "Evaluation", "evaluate"]


@dataclass(frozen=True)
class ClassScore:
    """One class: of what was called it, the part that is (precision); of what is, the part found.

    Precision is None where nothing was called this class, recall where there is no such image.
    """

    name: str
    precision: float | None
    recall: float | None
    count: int


@dataclass(frozen=True)
class Evaluation:
    """Loss and accuracy, and where the errors are.

    Attributes:
        loss: mean cross-entropy.
        accuracy: the part of images whose most probable class is right, 0 to 1.
        confusion: int64 [classes, classes], images of class (row) that were called (column).
        classes: names of the classes.
        seconds: how long the predictions took.
    """

    loss: float
    accuracy: float
    confusion: NDArray[np.int64]
    classes: tuple[str, ...]
    seconds: float

    @property
    def per_class(self) -> list[ClassScore]:
        """Precision, recall and count of each class."""
        right = self.confusion.diagonal()
        called, count = self.confusion.sum(axis=0), self.confusion.sum(axis=1)
        return [
            ClassScore(
                name,
                float(right[k] / called[k]) if called[k] else None,
                float(right[k] / count[k]) if count[k] else None,
                int(count[k]),
            )
            for k, name in enumerate(self.classes)
        ]

    def to_dict(self) -> dict[str, object]:
        """All of it as plain data."""
        return {
            "loss": self.loss,
            "accuracy": self.accuracy,
            "count": int(self.confusion.sum()),
            "classes": [
                {"name": c.name, "precision": c.precision, "recall": c.recall, "count": c.count}
                for c in self.per_class
            ],
            "confusion": self.confusion.tolist(),
            "seconds": self.seconds,
        }


def evaluate(network: Network, data: Dataset, *, threads: int | None = None) -> Evaluation:
    """Predict every image and compare with its class.

    Raises:
        DataError: images or classes that are not the network's.
        NeocogError: outputs that are not numbers, as of weights from a training that diverged;
            or threads below 1.
    """
    if len(data) == 0:
        raise DataError("There are no images to evaluate on.")
    classes = network.output_shape[0]
    check_labels(network, data.labels)
    began = time.perf_counter()
    scores = predict_scores(network, data.images, threads=threads).astype(np.float64)
    seconds = time.perf_counter() - began
    if not np.isfinite(scores).all():
        raise NeocogError(
            "The network's outputs are NaN or infinite for some images: its weights are damaged, "
            "or come from a training that diverged."
        )
    top = scores.max(axis=1)
    log_sum = np.log(np.exp(scores - top[:, None]).sum(axis=1)) + top
    loss = (log_sum - scores[np.arange(len(data)), data.labels]).mean()
    called = scores.argmax(axis=1)
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (data.labels, called), 1)
    names = network.classes or tuple(str(k) for k in range(classes))
    accuracy = float((called == data.labels).mean())
    return Evaluation(float(loss), accuracy, confusion, names, seconds)
