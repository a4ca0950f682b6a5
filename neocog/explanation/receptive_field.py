"""Which pixels of the image one number of a map depends on: its receptive field.

A convolution's number at row i reads the rows s·i + d·m − p of its input, m = 0 … kernel − 1, with
stride s, dilation d and padding p, which may be copies of other rows; a pool's reads the rows of
its window. Layer by layer this leads back to the image. Columns are the same.
"""

from collections.abc import Sequence

from neocog.explanation.layer_names import unknown_layer
from neocog.layers import (
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    CircularPad2d,
    Conv2d,
    GroupNorm,
    Layer,
    MaxPool2d,
    Multiply,
    ReflectionPad2d,
    ReplicationPad2d,
    Shape,
    Upsample,
    ZeroPad2d,
)
from neocog.layers.graph import Graph
from neocog.network import Network

__all__ = ["ReceptiveFields", "receptive_field"]

#: (top, left, bottom, right) of pixels; bottom and right are the first row and column outside.
Box = tuple[int, int, int, int]

#: Rows and columns of a map.
_Places = tuple[frozenset[int], frozenset[int]]


def receptive_field(network: Network, layer: str, row: int, column: int) -> Box:
    """The pixels that a number of a layer's map depends on, as far as they lie in the image.

    Returns:
        (top, left, bottom, right), where bottom and right are the first row and column outside;
        all 0 for a number that depends on padding alone.

    Raises:
        DataError: for a layer that there is not.
    """
    return ReceptiveFields(network.graph, layer)(row, column)


class ReceptiveFields:
    """The receptive fields of the numbers in a layer's map.

    Args:
        graph: of the network.
        layer: its full name.

    Raises:
        DataError: for a layer that there is not.
    """

    def __init__(self, graph: Graph, layer: str) -> None:
        if layer not in graph.outputs:
            raise unknown_layer(layer, graph.outputs)
        self._graph, self._end = graph, graph.outputs[layer]
        self._boxes: dict[tuple[int, int], Box] = {}

    def __call__(self, row: int, column: int) -> Box:
        """The box of the number at this row and column, as `receptive_field` gives it."""
        if (row, column) not in self._boxes:
            rows, columns = self._pixels(row, column)
            box = (0, 0, 0, 0)
            if rows and columns:
                box = (min(rows), min(columns), max(rows) + 1, max(columns) + 1)
            self._boxes[row, column] = box
        return self._boxes[row, column]

    def _pixels(self, row: int, column: int) -> _Places:
        graph, none = self._graph, frozenset[int]()
        # By node, the places of its output that the number depends on; −1 is the image.
        read: dict[int, _Places] = {self._end: (frozenset([row]), frozenset([column]))}
        for index in range(self._end, -1, -1):
            if index not in read:
                continue
            for source in graph.sources[index]:
                shape = graph.input_shape if source < 0 else graph.shapes[graph.nodes[source].name]
                rows, columns = _through(graph.nodes[index].layer, shape, read[index])
                if rows and columns:  # a layer that reads no row reads nothing
                    others = read.get(source, (none, none))
                    read[source] = rows | others[0], columns | others[1]
        return read.get(-1, (none, none))


def _through(layer: Layer, shape: Shape, outputs: _Places) -> _Places:
    """The places of an input, of this shape, that some of the layer's outputs depend on."""
    match layer:
        case GroupNorm():  # every number of a group has a part in its mean
            return frozenset(range(shape[1])), frozenset(range(shape[2]))
        case MaxPool2d() | AvgPool2d() | AdaptiveAvgPool2d() | AdaptiveMaxPool2d():
            rows, columns = (
                frozenset(at for n in places for at in spans[n] if 0 <= at < length)
                for spans, length, places in zip(
                    layer.spans(*shape[1:]), shape[1:], outputs, strict=True
                )
            )
            return rows, columns
        case Conv2d():
            rows, columns = (
                _copied(sources, _taps(layer, side, outputs[side]))
                for side, sources in enumerate(layer.sources(*shape[1:]))
            )
            return rows, columns
        case ZeroPad2d() | ReflectionPad2d() | ReplicationPad2d() | CircularPad2d() | Upsample():
            rows, columns = map(_copied, layer.sources(*shape[1:]), outputs)
            return rows, columns
        case Multiply() if shape[1:] == (1, 1):  # a factor of a whole channel
            return frozenset([0]), frozenset([0])
    return outputs


def _taps(layer: Conv2d, side: int, outputs: frozenset[int]) -> frozenset[int]:
    """The rows (side 0) or columns (side 1) of a padded map that some of the output's read."""
    kernel, stride, dilation = layer.kernel[side], layer.steps[side], layer.spread[side]
    return frozenset(at * stride + dilation * tap for at in outputs for tap in range(kernel))


def _copied(sources: Sequence[int], places: frozenset[int]) -> frozenset[int]:
    """Where these places come from; zeros come from nowhere."""
    return frozenset(sources[place] for place in places if sources[place] >= 0)
