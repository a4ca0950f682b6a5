"""Adaptive pooling whose windows differ in size, which ONNX has no operator for.

The mean is a product with a matrix on each side of a map; the maximum is taken of rows that are
gathered, window by window, and then of columns.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.formats.onnx.mean_matrices import mean_matrix
from neocog.formats.onnx.reading.call import Call, Results
from neocog.formats.onnx.reading.signals import Pending, Signal
from neocog.layers import AdaptiveAvgPool2d, AdaptiveMaxPool2d
from neocog.layers.pooling import Spans

__all__ = ["gathered", "maxima", "means"]

# Bytes that are taken while windows are compared: by each, and by each of their numbers.
_OF_WINDOW, _OF_NUMBER = 200, 32
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
        call.importing.check_computed(_OF_WINDOW * sum(layer.output))
        call.importing.check_computed(_OF_NUMBER * (left.size + right.size))
        if (left.shape[1], right.shape[0]) == x.shape[1:] and all(
            np.allclose(given, mean_matrix(spans, size), rtol=1e-5, atol=0)
            for given, spans, size in zip(
                (left, right.T), layer.spans(*x.shape[1:]), x.shape[1:], strict=True
            )
        ):
            return call.add(layer, x)
    raise call.refused("a product with matrices that are not those of a pooling is no layer")


def gathered(call: Call, x: Signal | Pending, axis: int, places: NDArray[Any]) -> Pending:
    """Gather of a map's rows for each window, or of the columns of what that gave."""
    if places.ndim == 2 and places.size:
        if isinstance(x, Signal) and axis == 2:
            return Pending("rows", x, matrix=places, why=_WHY)
        if isinstance(x, Pending) and x.kind == "maxima of rows" and axis == 3:
            return Pending("columns", x.source, matrix=places, start=x.start, why=_WHY)
    raise call.refused("single rows or columns are read only as padding, or to be pooled")


def maxima(call: Call) -> Results:
    """ReduceMax of what `gathered` gave."""
    pending = call.value()
    call.require("keepdims", 0)
    axes = call.integers("axes") if not call.given(1) else call.row(1)
    if isinstance(pending, Pending) and pending.matrix is not None:
        x, places = pending.source, pending.matrix
        call.importing.check_computed(_OF_WINDOW * (len(places) + pending.start))
        call.importing.check_computed(_OF_NUMBER * places.size)
        if pending.kind == "rows" and axes == (3,):
            layer = call.made(AdaptiveMaxPool2d, (len(places), 1))
            if _cover(places, layer.spans(*x.shape[1:])[0]):
                return Pending("maxima of rows", x, start=len(places), why=_WHY)
        if pending.kind == "columns" and axes == (4,):
            layer = call.made(AdaptiveMaxPool2d, (pending.start, len(places)))
            if _cover(places, layer.spans(*x.shape[1:])[1]):
                return call.add(layer, x)
    raise call.refused("these maxima are those of no pooling")


def _cover(places: NDArray[Any], spans: Spans) -> bool:
    """Whether each row of places has those of a window, in any order and as often as it likes."""
    rows = np.sort(places, 1)
    wanted = np.array([(span.start, span.stop - 1) for span in spans])
    distinct = 1 + (np.diff(rows, axis=1) > 0).sum(1)
    lengths = wanted[:, 1] - wanted[:, 0] + 1
    return bool((rows[:, [0, -1]] == wanted).all() and (distinct == lengths).all())
