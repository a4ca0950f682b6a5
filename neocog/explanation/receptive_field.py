"""Which pixels of the image one number of a map depends on: its receptive field.

A convolution's number at row i reads the rows s·i + d·m − p of its input, m = 0 … kernel − 1, with
stride s, dilation d and padding p; so does a pool's, with d = 1. Layer by layer this leads back to
the image. Columns are the same.
"""

from collections.abc import Iterable

from neocog.explanation.topology import branches, way_to
from neocog.layers import (
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    Conv2d,
    Layer,
    MaxPool2d,
    Shape,
)
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
    return ReceptiveFields(way_to(network, layer).values(), network.input_shape)(row, column)


class ReceptiveFields:
    """The receptive fields of the numbers that a chain of layers gives.

    Args:
        layers: of the chain.
        shape: of its input.
    """

    def __init__(self, layers: Iterable[Layer], shape: Shape) -> None:
        self._layers, self._shape = list(layers), shape
        self._boxes: dict[tuple[int, int], Box] = {}

    def __call__(self, row: int, column: int) -> Box:
        """The box of the number at this row and column, as `receptive_field` gives it."""
        if (row, column) not in self._boxes:
            outputs = frozenset([row]), frozenset([column])
            rows, columns = _through_chain(self._layers, self._shape, outputs)
            box = (0, 0, 0, 0)
            if rows and columns:
                box = (min(rows), min(columns), max(rows) + 1, max(columns) + 1)
            self._boxes[row, column] = box
        return self._boxes[row, column]


def _through_chain(layers: Iterable[Layer], shape: Shape, outputs: _Places) -> _Places:
    """The places of a chain's input, of this shape, that some of its outputs depend on."""
    inputs = []
    for layer in layers:
        inputs.append((layer, shape))
        shape = layer.output_shape(shape)
    places = outputs
    for layer, shape in reversed(inputs):
        places = _through_layer(layer, shape, places)
    return places


def _through_layer(layer: Layer, shape: Shape, outputs: _Places) -> _Places:
    chains = branches(layer)
    if chains:
        ways = [_through_chain(chain.values(), shape, outputs) for chain in chains]
        # A branch that reads no row reads nothing, whatever its columns.
        ways = [way for way in ways if all(way)]
        rows, columns = (frozenset().union(*(way[side] for way in ways)) for side in (0, 1))
        return rows, columns
    match layer:
        case AdaptiveAvgPool2d() | AdaptiveMaxPool2d():
            return frozenset(range(shape[1])), frozenset(range(shape[2]))
        case Conv2d() | MaxPool2d() | AvgPool2d():
            rows, columns = (
                _through_window(layer, side, shape[1 + side], outputs[side]) for side in (0, 1)
            )
            return rows, columns
    return outputs


def _through_window(
    layer: Conv2d | MaxPool2d | AvgPool2d, side: int, length: int, outputs: frozenset[int]
) -> frozenset[int]:
    """The rows (side 0) or columns (side 1) of an input that some of the output's depend on."""
    dilation = layer.spread[side] if isinstance(layer, Conv2d) else 1
    kernel, stride, padding = layer.kernel[side], layer.steps[side], layer.before[side]
    return frozenset(
        tap for at in outputs for tap in _taps(length, kernel, stride, padding, dilation, at)
    )


def _taps(length: int, kernel: int, stride: int, padding: int, dilation: int, at: int) -> range:
    """The rows or columns of an input that its output's row or column `at` reads."""
    first = at * stride - padding
    in_padding = -(-max(0, -first) // dilation)
    end = min(length, first + dilation * (kernel - 1) + 1)
    return range(first + in_padding * dilation, end, dilation)
