"""What a formula of a layer is, and the register of them."""

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
    """With what a layer computes, beside its inputs.

    Attributes:
        state: its parameters and buffers by their own names (``weight``, ``running_mean``).
        training: whether a batch normalization takes the statistics of its input.
        kept: what a dropout in training keeps [N, …].
    """

    state: Mapping[str, Array]
    training: bool
    kept: Mask | None


class Formula(ABC):
    """What a kind of layer computes; ``@formula(ReLU)`` registers it for that layer."""

    @abstractmethod
    def forward(self, layer: Any, call: Call, *inputs: Array) -> Array:
        """The output."""

    @abstractmethod
    def backward(
        self, layer: Any, call: Call, dy: Array, *inputs: Array
    ) -> tuple[Arrays, dict[str, Array]]:
        """The gradient of each input, and of each parameter by its own name."""


formula: Dispatch[type[Formula]] = Dispatch()
