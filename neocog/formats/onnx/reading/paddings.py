"""Padding that is nodes of its own in ONNX: circular of each side, and a convolution's."""

from neocog.formats.onnx.reading.call import Call
from neocog.formats.onnx.reading.importing import layer_name
from neocog.formats.onnx.reading.signals import Signal
from neocog.layers import CircularPad2d, ReflectionPad2d, ReplicationPad2d

__all__ = ["circular", "own_padding"]


def circular(call: Call, x: Signal, axis: int, before: int, after: int) -> Signal:
    """Rows (axis 2) or columns (axis 3) added from the opposite side.

    Those of the columns come after those of the rows, or before them, and both are one layer.
    """
    if not before and not after:
        return x
    sides = (0, 0, before, after) if axis == 2 else (before, after, 0, 0)
    importing = call.importing
    node = importing.node(x.layer)
    if node is not None and isinstance(node.layer, CircularPad2d) and importing.is_read_once(x):
        rows, columns = node.layer.rows, node.layer.columns
        if (rows if axis == 2 else columns) == (0, 0):
            x = importing.without(x)
            sides = (*columns, before, after) if axis == 2 else (before, after, *rows)
    return call.add(call.made(CircularPad2d, sides), x)


def own_padding(call: Call, x: Signal) -> tuple[Signal, tuple[int, int], str]:
    """What a convolution reads, its padding, and its padding_mode.

    A layer of padding before it that has the convolution's name, as exporters write padding modes,
    is taken into it.
    """
    importing = call.importing
    node = importing.node(x.layer)
    name = f"{layer_name(call.operation, call.operation.inputs[1])}.pad"
    if node is not None and node.name == name and importing.is_read_once(x):
        layer = node.layer
        if isinstance(layer, CircularPad2d | ReflectionPad2d | ReplicationPad2d):
            (top, bottom), (left, right) = layer.rows, layer.columns
            if top == bottom and left == right:
                return importing.without(x), (top, left), layer.mode
    return x, (0, 0), "zeros"
