"""Adaptive pooling whose windows differ in size, which ONNX has no operator for.

The mean is a product with a matrix on each side of a map; the maximum is taken of rows that are
gathered, window by window, and then of columns.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.formats.onnx.reading.call import Call, Results
from neocog.formats.onnx.reading.signals import PLAIN, Pending, Signal
from neocog.layers import AdaptiveAvgPool2d, AdaptiveMaxPool2d

__all__ = ["gathered", "maxima", "means"]

_WHY = "a part of an adaptive pooling is read with the rest of it only"


def means(call: Call) -> Results:
    """MatMul of a map and a matrix: first of the columns, then of the rows."""
    if call.is_constant(1):
        return Pending("means", call.map(), matrix=call.weights(1), why=_WHY)
    pending = call.value(1)
    if not call.is_constant(0) or not isinstance(pending, Pending) or pending.kind != "means":
        raise call.refused("a product of two outputs of layers is no layer")
    left, right, x = call.weights(0), pending.matrix, pending.source
    if right is not None and left.ndim == right.ndim == 2 and left.size and right.size:
        layer = call.made(AdaptiveAvgPool2d, (left.shape[0], right.shape[1]))
        wanted = [_matrix(windows, size) for windows, size in _windows(layer, x)]
        found = [left, right.T]
        if all(
            one.shape == matrix.shape and np.allclose(one, matrix, rtol=1e-5, atol=0)
            for one, matrix in zip(found, wanted, strict=True)
        ):
            return call.add(layer, x)
    raise call.refused("a product with matrices that are not those of a pooling is no layer")


def gathered(call: Call, value: Any, axis: int, places: NDArray[Any]) -> Pending:
    """Gather of a map's rows for each window, or of the columns of what that gave."""
    first = isinstance(value, Signal) and axis == 2
    second = isinstance(value, Pending) and value.kind == "maxima of rows" and axis == 3
    if places.ndim != 2 or not (first or second):
        raise call.refused("single rows or columns are read only as padding, or to be pooled")
    if first:
        return Pending("rows", value, matrix=places, why=_WHY)
    return Pending("columns", value.source, matrix=places, start=value.start, why=_WHY)


def maxima(call: Call) -> Results:
    """ReduceMax of what `gathered` gave."""
    pending = call.value()
    call.require("keepdims", 0)
    axes = call.integers("axes") if not call.given(1) else call.row(1)
    if isinstance(pending, Pending) and pending.matrix is not None:
        x, places = pending.source, pending.matrix
        if pending.kind == "rows" and axes == (3,):
            windows = _sets(places)
            layer = call.made(AdaptiveMaxPool2d, (len(windows), 1))
            if windows == [set(one) for one in layer.spans(*x.shape[1:])[0]]:
                return Pending("maxima of rows", x, start=len(windows), why=_WHY)
        if pending.kind == "columns" and axes == (4,):
            windows = _sets(places)
            layer = call.made(AdaptiveMaxPool2d, (pending.start, len(windows)))
            if windows == [set(one) for one in layer.spans(*x.shape[1:])[1]]:
                return call.add(layer, x)
    raise call.refused("these maxima are those of no pooling")


def _sets(places: NDArray[Any]) -> list[set[int]]:
    return [set(row) for row in places.tolist()]


def _windows(layer: AdaptiveAvgPool2d, x: Signal) -> list[tuple[tuple[range, ...], int]]:
    """The windows along each side of a map, and its size; none if they would be too many."""
    height, width = x.shape[1:]
    if x.order != PLAIN or layer.output[0] > height or layer.output[1] > width:
        return [((), height), ((), width)]
    return list(zip(layer.spans(height, width), (height, width), strict=True))


def _matrix(windows: tuple[range, ...], size: int) -> NDArray[np.float32]:
    """The matrix whose product with a side's numbers gives the mean of each window."""
    matrix = np.zeros((len(windows), size), np.float32)
    for row, window in zip(matrix, windows, strict=True):
        row[window.start : window.stop] = 1 / len(window)
    return matrix
