"""What a model file holds, before and after it is a file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from neocog.layers import Graph
from neocog.preprocessing import Preprocessing

__all__ = ["ModelParts"]


@dataclass(frozen=True, eq=False)
class ModelParts:
    """A network in its parts; whether they fit each other is for `neocog.Network` to check.

    Attributes:
        graph: its description.
        state: its parameters and buffers by name, in PyTorch's shapes.
        preprocessing: how pixels become its inputs.
        classes: what its outputs stand for; None if nobody has said so.
        temperature: of its probabilities.
        threshold: the probability that an answer needs; None if all images are answered.
        notes: how it came about, for people to read: plain JSON values.
    """

    graph: Graph
    state: Mapping[str, NDArray[Any]]
    preprocessing: Preprocessing
    classes: tuple[str, ...] | None = None
    temperature: float = 1.0
    threshold: float | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)
