"""What is wrong of several labels an image, and how far off numbers are, image by image."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TextIO

__all__ = ["LabelMistake", "NumberMistake", "write_target_mistakes"]

# Numbers are never without mistakes.
_OF_LABELS = ("file", "label", "true", "probability")


@dataclass(frozen=True)
class LabelMistake:
    """A label that an image has and was not found, or that it has not.

    Attributes:
        index: index of the image in the data.
        name: its file or other name; its index if it has no name.
        label: name of the label.
        there: whether the image has it.
        probability: that the network gave it.
    """

    index: int
    name: str
    label: str
    there: bool
    probability: float

    def to_dict(self) -> dict[str, Any]:
        """Plain data: ``file``, ``label``, ``true`` and ``probability``."""
        return {
            "file": self.name,
            "label": self.label,
            "true": self.there,
            "probability": self.probability,
        }


@dataclass(frozen=True)
class NumberMistake:
    """A number that was predicted, and the true one.

    Attributes:
        index: index of the image in the data.
        name: its file or other name; its index if it has no name.
        output: name of the number.
        target: the true number.
        predicted: the one that the network gave.
    """

    index: int
    name: str
    output: str
    target: float
    predicted: float

    @property
    def error(self) -> float:
        """How far the predicted number is above the true one."""
        return self.predicted - self.target

    def to_dict(self) -> dict[str, Any]:
        """Plain data: ``file``, ``output``, ``true``, ``predicted`` and ``error``."""
        return {
            "file": self.name,
            "output": self.output,
            "true": self.target,
            "predicted": self.predicted,
            "error": self.error,
        }


def write_target_mistakes(mistakes: Sequence[LabelMistake | NumberMistake], out: TextIO) -> None:
    """Write mistakes as CSV, one per row, after a row with the names of the columns."""
    rows = csv.writer(out, lineterminator="\n")
    found = [one.to_dict() for one in mistakes]
    rows.writerow(found[0] if found else _OF_LABELS)
    for one in found:
        rows.writerow(map(_cell, one.values()))


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    return f"{value:.6g}" if isinstance(value, float) else value
