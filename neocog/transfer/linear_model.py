"""A linear model, as a fit gives it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LinearModel"]

Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LinearModel:
    """z = W x + b.

    Attributes:
        weight: W, float64 [outputs, features]; one output for two classes.
        bias: b, float64 [outputs].
    """

    weight: Doubles
    bias: Doubles

    def scores(self, x: NDArray[Any]) -> Doubles:
        """z of rows, float64 [n, outputs]."""
        found: Doubles = x @ self.weight.T + self.bias
        return found

    def of_classes(self) -> "LinearModel":
        """The same probabilities by a softmax over two classes, from one output of a sigmoid."""
        if len(self.weight) > 1:
            return self
        return LinearModel(
            np.concatenate([-self.weight, self.weight]) / 2,
            np.concatenate([-self.bias, self.bias]) / 2,
        )

    @classmethod
    def mean(cls, models: Sequence["LinearModel"]) -> "LinearModel":
        """The mean of models of the same shape."""
        weight: Doubles = np.mean([model.weight for model in models], axis=0)
        return cls(weight, np.mean([model.bias for model in models], axis=0))
