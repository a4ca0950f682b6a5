"""Logistic regression with L2, fitted to its optimum: of one class a row, or of several labels.

For rows x with weights v, outputs z = W x + b and a strength C

    minimize  ½ ‖W‖² + C Σ vᵢ ℓ(zᵢ, yᵢ)

with ℓ the cross-entropy of softmax(z) (of two classes that of σ(z), with one output), or the sum of
the binary cross-entropies of each output. The biases b are not in the penalty. These are the minima
of scikit-learn's `LogisticRegression`.

They have no formula. Newton's method finds them: each step solves H s = −g by conjugate
gradients, with the diagonal of H as a preconditioner, as H is only ever multiplied by a vector:

    softmax    H s = Xᵀ V (p ∘ (u − Σₖ pₖ uₖ)) C + s      u = X s
    sigmoid    H s = Xᵀ V (p ∘ (1 − p) ∘ u) C + s

(C. Lin, R. Weng and S. Keerthi, "Trust region Newton method for large-scale logistic regression",
2008, with a line search in the place of the trust region.) Each pass goes through the rows in
blocks, so that nothing but [rows, outputs] is kept beside them.

Rows in float64 are computed with in float64. Of rows in float32, which are those that are many, the
products X s and Xᵀ u are in float32, and only the gradient, which decides where the optimum is, is
in float64.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.transfer.large_arrays import blocks_of
from neocog.transfer.linear_model import LinearModel

__all__ = ["fit_classes", "fit_labels"]

Doubles = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]
# Of some rows: a factor for each output, [rows, outputs], and one for each feature.
_OfBlock = Callable[[slice, Floats], tuple[Doubles, Floats]]

# Of the gradient's norm at the beginning; of steps; of the least decrease that is hoped for.
_TOLERANCE, _MOST_STEPS, _ARMIJO = 1e-9, 200, 1e-4
_MOST_PRODUCTS, _MOST_HALVINGS = 500, 30
# Of rows in float32: what the gradient can reach, and the residual of a step, in its parts.
_NARROW_TOLERANCE, _NARROW_RESIDUAL = 1e-7, 1e-3
# Rows at a time: in float64, and in float32, where a block is also changed to float64.
_BLOCK, _NARROW_BLOCK = 2048, 512


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
        tolerance: how small the gradient must be, in parts of what it is at W = 0, b = 0; at least
            1e-7 for rows in float32.
    """
    columns = np.arange(classes) if classes > 2 else np.array([1])

    def targets(rows: slice) -> Doubles:
        found: Doubles = (labels[rows, None] == columns).astype(np.float64)
        return found

    problem = _Problem(x, targets, len(columns), strength, row_weights, softmax=classes > 2)
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
    outputs = targets.shape[1]
    problem = _Problem(x, targets.__getitem__, outputs, strength, row_weights, softmax=False)
    return problem.solve(start, tolerance)


class _Problem:
    """One minimization; parameters are [outputs, features + 1], the biases last."""

    def __init__(
        self,
        x: Floats,
        targets: Callable[[slice], Doubles],
        outputs: int,
        strength: float,
        row_weights: Doubles | None,
        *,
        softmax: bool,
    ) -> None:
        self._x, self._targets, self._outputs, self._softmax = x, targets, outputs, softmax
        v = np.ones(len(x)) if row_weights is None else row_weights
        self._v = strength * v[:, None]
        self._penalized = np.ones(x.shape[1] + 1)
        self._penalized[-1] = 0.0
        self._narrow = x.dtype != np.float64

    def solve(self, start: LinearModel | None, tolerance: float) -> LinearModel:
        """Newton's steps until the gradient is small, or rounding stops them."""
        least = 0.0
        if self._narrow:
            tolerance, least = max(tolerance, _NARROW_TOLERANCE), _NARROW_RESIDUAL
        at = np.zeros((self._outputs, self._x.shape[1] + 1))
        scores = np.zeros((len(self._x), self._outputs))
        p = np.empty_like(scores)
        gradient = self._gradient(at, scores, p)
        first = float(np.linalg.norm(gradient))
        if start is not None:
            at = np.column_stack([start.weight, start.bias])
            scores = self._scores(at)
            gradient = self._gradient(at, scores, p)
        loss = self._loss(at, scores)
        for _ in range(_MOST_STEPS):
            size = float(np.linalg.norm(gradient))
            if size <= tolerance * first:
                break
            step = self._step(gradient, p, max(least, min(0.1, (size / first) ** 0.5)))
            slope = float((gradient * step).sum())
            moved = self._scores(step)
            length = 1.0
            for _ in range(_MOST_HALVINGS):
                new = self._loss(at + length * step, scores, length, moved)
                if new <= loss + _ARMIJO * length * slope:
                    break
                length /= 2
            else:  # the loss cannot be told apart from its minimum
                break
            at, loss = at + length * step, new
            moved *= length
            scores += moved
            gradient = self._gradient(at, scores, p)
        return LinearModel(at[:, :-1].copy(), at[:, -1].copy())

    def _blocks(self) -> Iterator[tuple[slice, Floats]]:
        return blocks_of(self._x, _NARROW_BLOCK if self._narrow else _BLOCK)

    def _scores(self, at: Doubles) -> Doubles:
        found = np.empty((len(self._x), len(at)))
        weight = at[:, :-1].astype(self._x.dtype, copy=False).T
        for rows, x in self._blocks():
            found[rows] = x @ weight + at[:, -1]
        return found

    def _sum_over_rows(self, of_block: _OfBlock) -> Doubles:
        """Σ over rows of products of two factors, and of the first: [outputs, features + 1]."""
        found = np.zeros((self._outputs, self._x.shape[1] + 1))
        for rows, x in self._blocks():
            of_outputs, of_features = of_block(rows, x)
            found[:, :-1] += of_outputs.astype(of_features.dtype, copy=False).T @ of_features
            found[:, -1] += of_outputs.sum(axis=0)
        return found

    def _loss(
        self, at: Doubles, scores: Doubles, length: float = 0.0, moved: Doubles | None = None
    ) -> float:
        """Of parameters and their scores, which have moved by so many times `moved`."""
        total = 0.0
        for rows, z in blocks_of(scores, _BLOCK):
            if moved is not None:
                z = z + length * moved[rows]
            if self._softmax:
                top = z.max(axis=1, keepdims=True)
                of_rows = np.log(np.exp(z - top).sum(axis=1, keepdims=True)) + top
                of_rows = of_rows - (self._targets(rows) * z).sum(axis=1, keepdims=True)
            else:
                of_rows = np.logaddexp(0, z) - self._targets(rows) * z
            total += float((self._v[rows] * of_rows).sum())
        return total + float(0.5 * (self._penalized * at**2).sum())

    def _probabilities(self, z: Doubles) -> Doubles:
        if self._softmax:
            powers = np.exp(z - z.max(axis=1, keepdims=True))
            found: Doubles = powers / powers.sum(axis=1, keepdims=True)
            return found
        return np.exp(-np.logaddexp(0, -z))

    def _gradient(self, at: Doubles, scores: Doubles, p: Doubles) -> Doubles:
        """The gradient, for which the probabilities p are computed of the scores."""

        def residuals(rows: slice, x: Floats) -> tuple[Doubles, Floats]:
            p[rows] = self._probabilities(scores[rows])
            error = self._v[rows] * (p[rows] - self._targets(rows))
            return error, x.astype(np.float64, copy=False)

        return self._sum_over_rows(residuals) + self._penalized * at

    def _step(self, gradient: Doubles, p: Doubles, part: float) -> Doubles:
        """s of H s = −g, up to a residual that is a part of g."""

        def spread(rows: slice, x: Floats) -> tuple[Doubles, Floats]:
            return self._v[rows] * p[rows] * (1 - p[rows]), x**2

        diagonal = self._penalized + self._sum_over_rows(spread)
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
        """H s."""
        weight = s[:, :-1].astype(self._x.dtype, copy=False).T

        def inner(rows: slice, x: Floats) -> tuple[Doubles, Floats]:
            u, q = x @ weight + s[:, -1], p[rows]
            if self._softmax:
                return self._v[rows] * (q * (u - (q * u).sum(axis=1, keepdims=True))), x
            return self._v[rows] * (q * (1 - q) * u), x

        return self._sum_over_rows(inner) + self._penalized * s
