"""Ridge regression: a linear model of numbers with L2, by its formula.

For rows x with weights v, numbers y and a strength C

    minimize  ½ ‖W‖² + C Σ vᵢ ½ ‖W xᵢ + b − yᵢ‖²

The biases b are not in the penalty. This is the minimum of scikit-learn's `Ridge` for α = 1 / C.
With x and y less their weighted means, times √v, it is

    W = yᵀ x (xᵀ x + α I)⁻¹ = yᵀ (x xᵀ + α I)⁻¹ x

of which the smaller product is computed, once for all strengths.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.transfer.large_arrays import blocks_of
from neocog.transfer.linear_model import LinearModel

__all__ = ["Ridge"]

Doubles = NDArray[np.float64]

# Rows that are multiplied at a time.
_BLOCK = 2048


class Ridge:
    """The regression of some rows, for any strength.

    Args:
        x: float32 or float64 [n, features]; all is computed in float64.
        targets: y, float64 [n, numbers].
        row_weights: v, float64 [n]; ones, if None.
    """

    def __init__(
        self,
        x: NDArray[np.floating[Any]],
        targets: Doubles,
        row_weights: Doubles | None = None,
    ) -> None:
        v = np.ones(len(x)) if row_weights is None else row_weights
        sums = [v[rows] @ block for rows, block in blocks_of(x, _BLOCK)]
        self._mean_x = np.sum(sums, axis=0) / v.sum()
        self._mean_y = v @ targets / v.sum()
        features = x.shape[1]
        self._rows: Doubles | None = None
        self._squares = np.zeros((features, features))
        self._products = np.zeros((features, targets.shape[1]))
        for rows, block in blocks_of(x, _BLOCK if len(x) >= features else len(x)):
            root = np.sqrt(v[rows])[:, None]
            of_x, of_y = root * (block - self._mean_x), root * (targets[rows] - self._mean_y)
            if len(x) < features:
                self._rows, self._squares, self._products = of_x, of_x @ of_x.T, of_y
            else:
                self._squares += of_x.T @ of_x
                self._products += of_x.T @ of_y

    def model(self, strength: float) -> LinearModel:
        """The optimum for a strength C."""
        squares = self._squares + np.eye(len(self._squares)) / strength
        solved = np.linalg.solve(squares, self._products).T
        weight: Doubles = np.asarray(solved if self._rows is None else solved @ self._rows)
        return LinearModel(weight, self._mean_y - weight @ self._mean_x)
