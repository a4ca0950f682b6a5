"""The ONNX operators of pooling layers.

`ceil_mode` becomes padding at the end, as runtimes do not agree about windows that begin or end in
it. What is added there belongs to no window that PyTorch does not have.
"""

from neocog.formats.onnx.mean_matrices import mean_matrix
from neocog.formats.onnx.writing.builder import LayerNodes
from neocog.formats.onnx.writing.layer_rules import onnx_nodes
from neocog.layers import AdaptiveAvgPool2d, AdaptiveMaxPool2d, AvgPool2d, MaxPool2d
from neocog.layers.base import Pair
from neocog.layers.pooling import Spans

__all__: list[str] = []


@onnx_nodes(MaxPool2d)
def _max_pool2d(layer: MaxPool2d, o: LayerNodes) -> str:
    pads = (*layer.before, *_after(layer, o))
    return o.node("MaxPool", o.x, kernel_shape=layer.kernel, strides=layer.steps, pads=pads)


@onnx_nodes(AvgPool2d)
def _avg_pool2d(layer: AvgPool2d, o: LayerNodes) -> str:
    """The mean of a window is over what it covers: of the map, or of the map with its padding."""
    x, before, after = o.x, layer.before, _after(layer, o)
    counts_all = layer.divisor_override is not None
    counts_padding = layer.count_include_pad and not counts_all
    if counts_padding and after != before:
        # Windows reach beyond the padding, and what is there does not count.
        (top, left), beyond = before, tuple(a - b for a, b in zip(after, before, strict=True))
        x = o.node("Pad", x, o.integers("pads", [0, 0, top, left, 0, 0, top, left]))
        before, after, counts_padding = (0, 0), (beyond[0], beyond[1]), False
    y = o.node(
        "AveragePool",
        x,
        kernel_shape=layer.kernel,
        strides=layer.steps,
        pads=(*before, *after),
        count_include_pad=int(counts_all or counts_padding),
    )
    if layer.divisor_override is None:
        return y
    area = layer.kernel[0] * layer.kernel[1]
    return o.node("Mul", y, o.floats("factor", area / layer.divisor_override))


def _after(layer: MaxPool2d | AvgPool2d, o: LayerNodes) -> Pair:
    """Rows below and columns at the right that are added so that the last window is whole."""
    _channels, *sizes = o.shapes[0]
    _channels, *counts = o.shape
    needed = (
        max(before, (count - 1) * stride + kernel - size - before)
        for size, count, kernel, stride, before in zip(
            sizes, counts, layer.kernel, layer.steps, layer.before, strict=True
        )
    )
    rows, columns = needed
    return rows, columns


@onnx_nodes(AdaptiveAvgPool2d)
def _adaptive_avg_pool2d(layer: AdaptiveAvgPool2d, o: LayerNodes) -> str:
    """Windows of several sizes: means over rows and over columns are products with matrices."""
    if layer.output == (1, 1):
        return o.node("GlobalAveragePool", o.x)
    if (kernel := _equal(layer, o)) is not None:
        return o.node("AveragePool", o.x, kernel_shape=kernel, strides=kernel)
    _channels, height, width = o.shapes[0]
    rows, columns = layer.spans(height, width)
    y = o.node("MatMul", o.x, o.floats("columns", mean_matrix(columns, width).T))
    return o.node("MatMul", o.floats("rows", mean_matrix(rows, height)), y)


@onnx_nodes(AdaptiveMaxPool2d)
def _adaptive_max_pool2d(layer: AdaptiveMaxPool2d, o: LayerNodes) -> str:
    """Windows of several sizes: their rows, then their columns, are gathered."""
    if layer.output == (1, 1):
        return o.node("GlobalMaxPool", o.x)
    if (kernel := _equal(layer, o)) is not None:
        return o.node("MaxPool", o.x, kernel_shape=kernel, strides=kernel)
    _channels, height, width = o.shapes[0]
    rows, columns = layer.spans(height, width)
    y = o.node("Gather", o.x, o.integers("rows", _filled(rows)), axis=2)
    y = o.node("ReduceMax", y, axes=[3], keepdims=0)
    y = o.node("Gather", y, o.integers("columns", _filled(columns)), axis=3)
    return o.node("ReduceMax", y, axes=[4], keepdims=0)


def _equal(layer: AdaptiveAvgPool2d | AdaptiveMaxPool2d, o: LayerNodes) -> Pair | None:
    """The size of the windows if all are the same and lie side by side."""
    _channels, height, width = o.shapes[0]
    rows, columns = layer.output
    return None if height % rows or width % columns else (height // rows, width // columns)


def _filled(spans: Spans) -> list[list[int]]:
    """The places of each window, its last one repeated until all have as many."""
    most = max(map(len, spans))
    return [[*span, *[span[-1]] * (most - len(span))] for span in spans]
