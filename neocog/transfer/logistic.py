"""Linear models with L2, fitted to their optimum: of classes, of labels and of numbers.

For rows x with weights v, outputs z = W x + b and a strength C

    minimize  ½ ‖W‖² + C Σ vᵢ ℓ(zᵢ, yᵢ)

with ℓ the cross-entropy of softmax(z) (of two classes that of σ(z), with one output), the sum of
the binary cross-entropies of each output, or half the squared error. The biases b are not in the
penalty. These are the minima of scikit-learn's `LogisticRegression`, and of its `Ridge` for
α = 1 / C.

The first two have no formula. Newton's method finds them: each step solves H s = −g by conjugate
gradients, with the diagonal of H as a preconditioner, as H is only ever multiplied by a vector:

    softmax    H s = Xᵀ V (p ∘ (u − Σₖ pₖ uₖ)) C + s      u = X s
    sigmoid    H s = Xᵀ V (p ∘ (1 − p) ∘ u) C + s

(C. Lin, R. Weng and S. Keerthi, "Trust region Newton method for large-scale logistic regression",
2008, with a line search in the place of the trust region.)
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LinearModel", "fit_classes", "fit_labels", "fit_numbers"]

Doubles = NDArray[np.float64]
#: Rows, float32 or float64; all is computed in float64.
Floats = NDArray[np.floating[Any]]

# Of the gradient's norm at the beginning; of steps; of the least decrease that is hoped for.
_TOLERANCE, _MOST_STEPS, _ARMIJO = 1e-9, 200, 1e-4
_MOST_PRODUCTS, _MOST_HALVINGS = 500, 30
# Rows that are multiplied at a time.
_BLOCK = 2048


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


def fit_classes(
    x: Floats,
    labels: NDArray[np.int64],
    classes: int,
    strength: float = 1.0,
    *,
    row_weights: Doubles | None = None,
    start: LinearModel | None = None,
    tolerance: float = _TOLERANCE,
) -> LinearModel:
    """Logistic regression of one class a row.

    Args:
        x: float32 or float64 [n, features].
        labels: classes, int64 [n].
        classes: how many there are.
        strength: C.
        row_weights: v, float64 [n]; ones, if None.
        start: where to begin, such as the optimum for another strength.
        tolerance: how small the gradient must be, in parts of what it is at W = 0, b = 0.
    """
    targets = (labels[:, None] == np.arange(classes)).astype(np.float64)
    problem = _Problem(x, targets, strength, row_weights, softmax=True)
    if classes == 2:
        problem = _Problem(x, targets[:, 1:], strength, row_weights, softmax=False)
    found = problem.solve(start, tolerance)
    # A constant added to all biases changes no probability.
    return LinearModel(found.weight, found.bias - found.bias.mean()) if classes > 2 else found


def fit_labels(
    x: Floats,
    targets: Doubles,
    strength: float = 1.0,
    *,
    row_weights: Doubles | None = None,
    start: LinearModel | None = None,
    tolerance: float = _TOLERANCE,
) -> LinearModel:
    """A logistic regression of each of several labels, float64 [n, labels] from 0 to 1."""
    return _Problem(x, targets, strength, row_weights, softmax=False).solve(start, tolerance)


def fit_numbers(
    x: Floats, targets: Doubles, strength: float = 1.0, *, row_weights: Doubles | None = None
) -> LinearModel:
    """Ridge regression of numbers, float64 [n, numbers], with α = 1/C."""
    v = np.ones(len(x)) if row_weights is None else row_weights
    mean_x, mean_y = v @ x / v.sum(), v @ targets / v.sum()
    root = np.sqrt(v)[:, None]
    a, y = root * (x - mean_x), root * (targets - mean_y)
    alpha = 1 / strength
    if len(a) < a.shape[1]:
        weight = np.linalg.solve(a @ a.T + alpha * np.eye(len(a)), y).T @ a
    else:
        weight = np.linalg.solve(a.T @ a + alpha * np.eye(a.shape[1]), a.T @ y).T
    return LinearModel(weight, mean_y - weight @ mean_x)


class _Problem:
    """One minimization; parameters are [outputs, features + 1], the biases last."""

    def __init__(
        self,
        x: Floats,
        targets: Doubles,
        strength: float,
        row_weights: Doubles | None,
        *,
        softmax: bool,
    ) -> None:
        self._x, self._targets, self._softmax = x, targets, softmax
        v = np.ones(len(x)) if row_weights is None else row_weights
        self._v = strength * v[:, None]
        self._penalized = np.ones(x.shape[1] + 1)
        self._penalized[-1] = 0.0

    def solve(self, start: LinearModel | None, tolerance: float) -> LinearModel:
        """Newton's steps until the gradient is small, or rounding stops them."""
        at = np.zeros((self._targets.shape[1], self._x.shape[1] + 1))
        first = float(np.linalg.norm(self._gradient(at, self._probabilities(self._scores(at)))))
        if start is not None:
            at = np.column_stack([start.weight, start.bias])
        scores = self._scores(at)
        loss = self._loss(at, scores)
        for _ in range(_MOST_STEPS):
            p = self._probabilities(scores)
            gradient = self._gradient(at, p)
            size = float(np.linalg.norm(gradient))
            if size <= tolerance * first:
                break
            step = self._step(gradient, p, min(0.1, (size / first) ** 0.5))
            slope = float((gradient * step).sum())
            moved = self._scores(step)
            length = 1.0
            for _ in range(_MOST_HALVINGS):
                new = self._loss(at + length * step, scores + length * moved)
                if new <= loss + _ARMIJO * length * slope:
                    break
                length /= 2
            else:  # the loss cannot be told apart from its minimum
                break
            at, scores, loss = at + length * step, scores + length * moved, new
        return LinearModel(at[:, :-1].copy(), at[:, -1].copy())

    def _blocks(self) -> Iterator[tuple[slice, Doubles]]:
        """Some rows at a time, as float32 would otherwise be there twice."""
        for first in range(0, len(self._x), _BLOCK):
            rows = slice(first, first + _BLOCK)
            yield rows, self._x[rows].astype(np.float64, copy=False)

    def _scores(self, at: Doubles) -> Doubles:
        found = np.empty((len(self._x), len(at)))
        for rows, x in self._blocks():
            found[rows] = x @ at[:, :-1].T + at[:, -1]
        return found

    def _back(self, of_rows: Doubles, power: int = 1) -> Doubles:
        """Σ over rows of what each gives for each output, times x: [outputs, features + 1]."""
        found = np.zeros((of_rows.shape[1], self._x.shape[1] + 1))
        for rows, x in self._blocks():
            found[:, :-1] += of_rows[rows].T @ (x if power == 1 else x**power)
        found[:, -1] = of_rows.sum(axis=0)
        return found

    def _loss(self, at: Doubles, z: Doubles) -> float:
        if self._softmax:
            top = z.max(axis=1, keepdims=True)
            of_rows = np.log(np.exp(z - top).sum(axis=1, keepdims=True)) + top
            of_rows = of_rows - (self._targets * z).sum(axis=1, keepdims=True)
        else:
            of_rows = np.logaddexp(0, z) - self._targets * z
        return float((self._v * of_rows).sum() + 0.5 * (self._penalized * at**2).sum())

    def _probabilities(self, z: Doubles) -> Doubles:
        if self._softmax:
            powers = np.exp(z - z.max(axis=1, keepdims=True))
            found: Doubles = powers / powers.sum(axis=1, keepdims=True)
            return found
        return np.exp(-np.logaddexp(0, -z))

    def _gradient(self, at: Doubles, p: Doubles) -> Doubles:
        return self._back(self._v * (p - self._targets)) + self._penalized * at

    def _step(self, gradient: Doubles, p: Doubles, part: float) -> Doubles:
        """s of H s = −g, up to a residual that is a part of g."""
        spread = self._v * p * (1 - p)
        diagonal = self._penalized + self._back(spread, 2)
        inverse = 1 / np.maximum(diagonal, np.finfo(np.float64).tiny)
        step = np.zeros_like(gradient)
        residual = -gradient
        direction = inverse * residual
        product = (residual * direction).sum()
        enough = part * np.linalg.norm(gradient)
        for _ in range(_MOST_PRODUCTS):
            curved = self._curved(direction, p)
            curvature = (direction * curved).sum()
            if curvature <= 0:  # by rounding, in a direction that changes no probability
                break
            length = product / curvature
            step += length * direction
            residual -= length * curved
            if np.linalg.norm(residual) <= enough:
                break
            scaled = inverse * residual
            product, before = (residual * scaled).sum(), product
            direction = scaled + product / before * direction
        return step

    def _curved(self, s: Doubles, p: Doubles) -> Doubles:
        u = self._scores(s)
        inner = p * (u - (p * u).sum(axis=1, keepdims=True)) if self._softmax else p * (1 - p) * u
        return self._back(self._v * inner) + self._penalized * s
