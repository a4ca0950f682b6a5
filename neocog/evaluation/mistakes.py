"""The images that a network takes for something else, and how sure it is of it."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TextIO

__all__ = ["Mistake", "write_mistakes"]


@dataclass(frozen=True)
class Mistake:
    """An image whose most probable class is wrong.

    Attributes:
        index: of the image in the data that were evaluated.
        name: its file, or what else people know it by; its index where it has no name.
        label: the name of its class.
        predicted: the name of the class that it was taken for.
        probability: of the predicted class.
        label_probability: of its own class.
    """

    index: int
    name: str
    label: str
    predicted: str
    probability: float
    label_probability: float

    def to_dict(self) -> dict[str, Any]:
        """As plain data: ``file``, ``true``, ``predicted`` and the two probabilities."""
        return {
            "file": self.name,
            "true": self.label,
            "predicted": self.predicted,
            "probability": self.probability,
            "true_probability": self.label_probability,
        }


def write_mistakes(mistakes: Sequence[Mistake], out: TextIO) -> None:
    """Write them as CSV, a row each, with the names of the columns first."""
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(["file", "true", "predicted", "probability", "true_probability"])
    for one in mistakes:
        *texts, probability, of_label = one.to_dict().values()
        rows.writerow([*texts, f"{probability:.6g}", f"{of_label:.6g}"])
