"""A traced module on its way to a graph: what each of its values is, and the layers so far."""

import operator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx
from torch.fx.passes.shape_prop import ShapeProp

from neocog.errors import ArchitectureError
from neocog.layers import Flatten, Layer, Node
from neocog.layers.graph import IMAGE

__all__ = ["Tracing"]


class Tracing:
    """The layers of a module that is being converted.

    Attributes:
        module: the traced module.
        input_shape: of an image.
        values: what each node of the trace is: the name of a layer's output, or any other value.
        state: arrays that the module does not have under the names of the layers.
    """

    def __init__(self, module: fx.GraphModule, input_shape: tuple[int, int, int]) -> None:
        self.module = module
        self.input_shape = input_shape
        self.values: dict[fx.Node, Any] = {}
        self.state: dict[str, NDArray[np.generic]] = {}
        self._nodes: dict[str, Node] = {}
        try:
            ShapeProp(module).propagate(torch.zeros(1, *input_shape))
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[0]
            raise ArchitectureError(
                f"The module does not take images of the shape {input_shape}: {reason}"
            ) from error

    @staticmethod
    def shape(node: fx.Node) -> tuple[int, ...]:
        """The shape of a node's tensor, with the batch."""
        return tuple(node.meta["tensor_meta"].shape)

    def add(self, name: str, layer: Layer, *inputs: str) -> str:
        """Add a layer; returns its name, which has a number if it was taken."""
        unique, n = name, 1
        while unique in self._nodes or unique == IMAGE:
            n += 1
            unique = f"{name}_{n}"
        if n > 1 and layer.parameter_shapes():
            raise ArchitectureError(f"{name} is called twice; layers cannot share parameters.")
        self._nodes[unique] = Node(unique, layer, inputs)
        return unique

    def name(self, value: Any) -> str:
        """The layer whose output an argument is."""
        found = self.values.get(value, value) if isinstance(value, fx.Node) else value
        if not isinstance(found, str):
            raise ArchitectureError(f"{value} is no output of a layer.")
        return found

    def argument(self, node: fx.Node, position: int, keyword: str, default: Any = None) -> Any:
        """An argument of a call, with traced numbers as their values."""
        given = node.kwargs.get(keyword, default)
        if len(node.args) > position:
            given = node.args[position]
        return self.values.get(given, given) if isinstance(given, fx.Node) else given

    def attribute(self, node: fx.Node) -> Any:
        """The tensor that a trace reads from the module."""
        return operator.attrgetter(str(node.target))(self.module)

    def flat(self, node: fx.Node, source: str) -> str:
        """The output of a layer as one vector per image."""
        name = str(node.target) if node.op == "call_module" else node.name
        return self.add(name, Flatten(), source)

    def nodes_for(self, result: str) -> list[Node]:
        """The layers that the result depends on, in order."""
        needed, waiting = set(), [result]
        while waiting:
            name = waiting.pop()
            if name not in needed and name != IMAGE:
                needed.add(name)
                waiting += self._nodes[name].inputs
        ordered = [node for name, node in self._nodes.items() if name in needed]
        if ordered and ordered[-1].name != result:
            raise ArchitectureError(f"{result}: the last layer must give the result.")
        return ordered
