"""The content of a model file, independent of its format."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from neocog.layers import Graph
from neocog.preprocessing import Preprocessing

__all__ = ["ModelParts"]


@dataclass(frozen=True, eq=False)
class ModelParts:
    """The parts of a network; `neocog.Network` checks that they fit each other.

    Attributes:
        graph: the graph of layers.
        state: parameters and buffers by name, in PyTorch's shapes.
        preprocessing: how pixels become inputs.
        classes: names of the classes; None if they are unknown.
        temperature: temperature of its probabilities.
        threshold: probability that an answer needs; None if all images get an answer.
        notes: notes on training, for people: plain JSON values.
        loss: that it was trained by.
    """

    graph: Graph
    state: Mapping[str, NDArray[Any]]
    preprocessing: Preprocessing
    classes: tuple[str, ...] | None = None
    temperature: float = 1.0
    threshold: float | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)
    loss: str = "cross-entropy"
