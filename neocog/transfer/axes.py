"""Features along their principal axes, in which a last layer is fitted.

They are standardized: less their mean, over their deviation. Then they are turned to their
principal axes, in which the loss is nearly as curved along one axis as its diagonal says, so that
conjugate gradients need few products; neither changes what the penalty allows.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.transfer.large_arrays import blocks_of, forget_pages, large_array
from neocog.transfer.linear_model import LinearModel

__all__ = ["Axes"]

Doubles = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]

# Bytes of rows up to which they are kept in float64.
_WIDE = 2**28
# Features that hardly vary are not enlarged: the least deviation, in parts of the mean one.
_LEAST_DEVIATION = 1e-3
# Axes with less than this part of the largest one's variance are rounding.
_LEAST_VARIANCE = 1e-10
_ROWS = 2048


@dataclass(frozen=True, eq=False)
class Axes:
    """Standardized features along their principal axes.

    Attributes:
        rows: of all pictures in the first view, then in the next: [rows, axes]; float64, or float32
            where they are many.
        turn: the axes, float64 [features, axes].
        mean: of each feature, float64 [features].
        deviation: that each feature is divided by, float64 [features].
    """

    rows: Floats
    turn: Doubles
    mean: Doubles
    deviation: Doubles

    @classmethod
    def of(cls, views: Sequence[Floats]) -> "Axes":
        """Turn the features of pictures, [pictures, features] of each view."""
        n = sum(map(len, views))
        zero = np.zeros(views[0].shape[1])
        mean = sum((b.sum(axis=0) for b in _blocks(views)), zero) / n
        variance = sum((np.square(b - mean).sum(axis=0) for b in _blocks(views)), zero) / n
        deviation = np.sqrt(variance)
        least = _LEAST_DEVIATION * deviation.mean()
        deviation = np.maximum(deviation, least if least > 0 else 1.0)

        def standard() -> Iterator[Doubles]:
            for block in _blocks(views):
                yield (block - mean) / deviation

        turn = _principal_axes(standard, n, len(mean))
        kind = np.float64 if 8 * n * turn.shape[1] <= _WIDE else np.float32
        rows = large_array((n, turn.shape[1]), kind, "The features")
        at = 0
        for block in standard():
            rows[at : at + len(block)] = block @ turn
            at += len(block)
            forget_pages(rows)
        return cls(rows, turn, mean, deviation)

    def back(self, model: LinearModel) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Weight and bias for features as they are."""
        weight = (model.weight @ self.turn.T) / self.deviation
        bias = model.bias - weight @ self.mean
        return weight.astype(np.float32), bias.astype(np.float32)


def _blocks(views: Sequence[Floats]) -> Iterator[Doubles]:
    for view in views:
        for _, block in blocks_of(view, _ROWS):
            yield block.astype(np.float64)


def _principal_axes(blocks: Callable[[], Iterator[Doubles]], n: int, features: int) -> Doubles:
    """Orthonormal axes, float64 [features, axes], by the smaller of the two products of rows."""
    if n < features:
        wide = np.concatenate(list(blocks()))
        values, vectors = np.linalg.eigh(wide @ wide.T)
        kept = values > _LEAST_VARIANCE * max(values[-1], np.finfo(np.float64).tiny)
        turn: Doubles = wide.T @ (vectors[:, kept] / np.sqrt(values[kept]))
        return turn if kept.any() else np.eye(features)[:, :1]
    total = np.zeros((features, features))
    for block in blocks():
        total += block.T @ block
    axes: Doubles = np.linalg.eigh(total)[1]
    return axes
