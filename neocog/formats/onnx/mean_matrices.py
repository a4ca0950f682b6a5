"""Means of windows as a product with a matrix, as ONNX has no adaptive pooling."""

import numpy as np
from numpy.typing import NDArray

from neocog.layers.pooling import Spans

__all__ = ["mean_matrix"]


def mean_matrix(spans: Spans, size: int) -> NDArray[np.float32]:
    """The matrix [windows, size] whose product with a side's numbers gives each window's mean."""
    matrix = np.zeros((len(spans), size), np.float32)
    for row, span in zip(matrix, spans, strict=True):
        row[span.start : span.stop] = 1 / len(span)
    return matrix
