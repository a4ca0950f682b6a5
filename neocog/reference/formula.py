"""The base class of layers' formulas, and their registry."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.layers.dispatch import Dispatch

__all__ = ["Array", "Arrays", "Call", "Formula", "Mask", "formula"]

Array = NDArray[Any]
Arrays = tuple[Array, ...]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Call:
    """What a formula needs besides the layer's inputs.

    Attributes:
        state: the layer's parameters and buffers by their own names (``weight``, ``running_mean``).
        training: whether a batch normalization uses the statistics of its input.
        kept: the elements that a dropout keeps in training [N, …].
    """

    state: Mapping[str, Array]
    training: bool
    kept: Mask | None


class Formula(ABC):
    """The formula of a kind of layer; ``@formula(ReLU)`` registers it for that layer."""

    @abstractmethod
    def forward(self, layer: Any, call: Call, *inputs: Array) -> Array:
        """The output."""

    @abstractmethod
    def backward(
        self, layer: Any, call: Call, dy: Array, *inputs: Array
    ) -> tuple[Arrays, dict[str, Array]]:
        """The gradient of each input, and of each parameter by its own name."""


formula: Dispatch[type[Formula]] = Dispatch()
