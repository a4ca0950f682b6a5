"""Nodes, constants and values of an ONNX graph under construction, each under a name of its own."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from neocog.layers import Shape

__all__ = ["GraphBuilder", "LayerNodes"]


class GraphBuilder:
    """Collects what an ONNX graph holds, in order.

    Args:
        reserved: names that no value may take that a layer computes: of inputs, outputs, weights.

    Attributes:
        nodes: the operators so far.
        initializers: the arrays so far, weights and constants.
    """

    def __init__(self, reserved: Iterable[str]) -> None:
        self.nodes: list[NodeProto] = []
        self.initializers: list[TensorProto] = []
        self._names = set(reserved)
        self._stored: set[str] = set()

    def store(self, name: str, array: NDArray[Any]) -> str:
        """Store an array under a reserved name, the first time that it is asked for."""
        if name not in self._stored:
            self._stored.add(name)
            little = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
            self.initializers.append(numpy_helper.from_array(little, name))
        return name

    def constant(self, name: str, array: NDArray[Any]) -> str:
        """Store an array under a new name like `name`, which is returned."""
        return self.store(self.free(name), array)

    def add(self, operator: str, name: str, inputs: Iterable[str], **attributes: Any) -> str:
        """Add a node of one output; it and its output have the same new name like `name`."""
        output = self.free(name)
        node = helper.make_node(operator, list(inputs), [output], name=output, **attributes)
        self.nodes.append(node)
        return output

    def free(self, name: str) -> str:
        """A name that nothing has, and that is now taken: `name`, or with a number behind it."""
        found, number = name, 1
        while found in self._names:
            number += 1
            found = f"{name}/{number}"
        self._names.add(found)
        return found

    def rename(self, name: str) -> str:
        """Give the last node, and its output, which no node reads yet, another name."""
        last = self.nodes[-1]
        last.output[0] = last.name = name
        return name


class LayerNodes:
    """What a layer's rule sees, and what it puts its nodes into.

    Args:
        graph: what they are added to.
        name: of the layer.
        inputs: names of the values that it reads.
        shapes: their shapes, without the axis of the images.
        shape: of its output.
        state: parameters and buffers of the network by name.
    """

    def __init__(
        self,
        graph: GraphBuilder,
        name: str,
        inputs: tuple[str, ...],
        shapes: tuple[Shape, ...],
        shape: Shape,
        state: Mapping[str, NDArray[Any]],
    ) -> None:
        self._graph = graph
        self._name = name
        self._state = state
        self.inputs = inputs
        self.shapes = shapes
        self.shape = shape

    @property
    def x(self) -> str:
        """The first input."""
        return self.inputs[0]

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node; returns the name of its output."""
        return self._graph.add(operator, f"{self._name}/{operator}", inputs, **attributes)

    def parameter(self, part: str) -> str:
        """The name of one of the layer's arrays, such as ``weight``, which is PyTorch's."""
        name = f"{self._name}.{part}"
        return self._graph.store(name, self._state[name])

    def floats(self, part: str, values: Any) -> str:
        """Store float32 numbers of any shape; returns their name."""
        return self._graph.constant(f"{self._name}/{part}", np.array(values, np.float32))

    def integers(self, part: str, values: Any) -> str:
        """Store int64 numbers of any shape; returns their name."""
        return self._graph.constant(f"{self._name}/{part}", np.array(values, np.int64))

    def per_channel(self, part: str, shape: Shape) -> str:
        """A parameter with one number a channel, to be combined with values of `shape`."""
        name = self.parameter(part)
        if len(shape) == 1 or self._state[f"{self._name}.{part}"].size == 1:
            return name
        return self.node("Unsqueeze", name, self.integers("axes", [1, 2]))
