"""What `neocog.similar` and `neocog.suggest` find: values, without their pages."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.answers import Best, best_of, top_fields
from neocog.curation.embedding import Embedding

__all__ = ["Findings", "Match", "ToLabel", "WrongLabel"]

_TOP = 3


@dataclass(frozen=True)
class Match:
    """A picture that is similar to another one.

    Attributes:
        name: of the picture, as in `Embedding.names`.
        similarity: the cosine of their features, −1 to 1; of equal pictures it is 1.
        label: its class; None if it has none.
        index: its number among the pictures that were compared.
    """

    name: str
    similarity: float
    label: str | None
    index: int


@dataclass(frozen=True)
class ToLabel:
    """A picture without a label that is worth one.

    Attributes:
        name: of the picture, as in `Embedding.names`.
        index: its number in the embedding.
        best: its three most probable classes, best first, with their probabilities.
        entropy: of all its probabilities, in nats.
    """

    name: str
    index: int
    best: Best
    entropy: float

    @classmethod
    def of(
        cls,
        name: str,
        index: int,
        row: NDArray[np.floating],
        classes: tuple[str, ...],
        entropy: float,
    ) -> "ToLabel":
        """Of a row of probabilities."""
        return cls(name, index, best_of(row, classes, _TOP), entropy)


@dataclass(frozen=True)
class WrongLabel:
    """A picture whose label looks wrong.

    Attributes:
        name: of the picture, as in `Embedding.names`.
        index: its number in the embedding.
        label: the class that it has.
        suggested: the class that it looks like.
        probability: of the suggested class, by a last layer that has not seen this picture.
        label_probability: of the class that it has, by the same.
    """

    name: str
    index: int
    label: str
    suggested: str
    probability: float
    label_probability: float


@dataclass(frozen=True, eq=False, repr=False)
class Findings:
    """What was found in pictures.

    Attributes:
        embedding: the pictures with their features, and those that could not be read.
        to_label: pictures to label next, the most useful first.
        wrong_labels: pictures whose labels look wrong; those first for which the probability of the
            suggested class exceeds that of the label by most.
        labeled: how many pictures have a label.
        unlabeled: how many have none.
        checked: how many labels were checked.
        accuracy: of the last layers in cross-validation on the checked pictures, 0 to 1; None if no
            labels were checked.
        by: whose probabilities pictures without a label have: "network", or "last layer", which was
            fitted on the labeled pictures.
        notes: sentences for people, about ignored files and labels that were not checked.
    """

    embedding: Embedding
    to_label: tuple[ToLabel, ...]
    wrong_labels: tuple[WrongLabel, ...]
    labeled: int
    unlabeled: int
    checked: int
    accuracy: float | None
    by: str
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """All of it, except for the features, as plain data for JSON."""
        return {
            "name": self.embedding.source.name,
            "classes": list(self.embedding.classes),
            "labeled": self.labeled,
            "unlabeled": self.unlabeled,
            "checked": self.checked,
            "accuracy": self.accuracy,
            "by": self.by,
            "to_label": [
                {"file": one.name, "entropy": one.entropy, "top": top_fields(one.best)}
                for one in self.to_label
            ],
            "wrong_labels": [
                {
                    "file": one.name,
                    "label": one.label,
                    "suggested": one.suggested,
                    "probability": one.probability,
                    "label_probability": one.label_probability,
                }
                for one in self.wrong_labels
            ],
            "notes": list(self.notes),
            "errors": self.embedding.errors(),
        }
