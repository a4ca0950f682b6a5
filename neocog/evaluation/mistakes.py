"""Misclassified images, and the network's confidence in the wrong class."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TextIO

__all__ = ["Mistake", "write_mistakes"]


@dataclass(frozen=True)
class Mistake:
    """A misclassified image.

    Attributes:
        index: index of the image in the data.
        name: its file or other name; its index if it has no name.
        label: name of the true class.
        predicted: name of the predicted class.
        probability: probability of the predicted class.
        label_probability: probability of the true class.
    """

    index: int
    name: str
    label: str
    predicted: str
    probability: float
    label_probability: float

    def to_dict(self) -> dict[str, Any]:
        """Plain data: ``file``, ``true``, ``predicted`` and the two probabilities."""
        return {
            "file": self.name,
            "true": self.label,
            "predicted": self.predicted,
            "probability": self.probability,
            "true_probability": self.label_probability,
        }


def write_mistakes(mistakes: Sequence[Mistake], out: TextIO) -> None:
    """Write mistakes as CSV, one per row, after a row with the names of the columns."""
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(["file", "true", "predicted", "probability", "true_probability"])
    for one in mistakes:
        *texts, probability, of_label = one.to_dict().values()
        rows.writerow([*texts, f"{probability:.6g}", f"{of_label:.6g}"])
