"""A traced module on its way to a graph: what each of its values is, and the layers so far."""

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx
from torch.fx.passes.shape_prop import ShapeProp

from neocog.errors import ArchitectureError
from neocog.layers import Add, Conv2d, Flatten, Layer, LayerNorm2d, Linear, Multiply, Node, Shape
from neocog.layers.graph import IMAGE

__all__ = ["ChannelsLast", "Tracing"]


@dataclass(frozen=True)
class ChannelsLast:
    """A map as PyTorch has it after ``permute(0, 2, 3, 1)``, by the name of the layer."""

    name: str


class Tracing:
    """The layers of a module that is being converted.

    Attributes:
        module: the traced module.
        input_shape: of an image.
        tensors: the state dict of what was traced.
        values: what each node of the trace is: the name of a layer's output, or any other value.
        state: arrays that the module does not have under the names of the layers, or not in the
            layers' shapes.
    """

    def __init__(
        self,
        module: fx.GraphModule,
        input_shape: tuple[int, int, int],
        tensors: Mapping[str, torch.Tensor],
    ) -> None:
        self.module = module
        self.tensors = tensors
        self.input_shape = input_shape
        self.values: dict[fx.Node, Any] = {}
        self.state: dict[str, NDArray[np.generic]] = {}
        self._nodes: dict[str, Node] = {}
        self._shapes: dict[str, Shape] = {IMAGE: input_shape}
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
        found = node.meta.get("tensor_meta")
        if not hasattr(found, "shape"):
            raise ArchitectureError(f"{node.name} is not one tensor.")
        return tuple(found.shape)

    def shape_of(self, name: str) -> Shape:
        """The output shape of a layer, without the batch."""
        return self._shapes[name]

    @staticmethod
    def module_of(node: fx.Node) -> tuple[str, str]:
        """The innermost module that computes a node, as (path, class); empty texts at the top."""
        stack = node.meta.get("nn_module_stack") or {}
        path, kind = next(reversed(stack.values()), ("", ""))
        return str(path), kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__name__}"

    def label(self, node: fx.Node) -> str:
        """A name for what a node computes: its module's, if that is one of PyTorch's own classes.

        Others may compute more than this, so the node has a name of its own there; and one with a
        weight gives its name to the layer that has the weight.
        """
        path, kind = self.module_of(node)
        is_own = kind.startswith("torch.") and f"{path}.weight" not in self.tensors
        return path if path and is_own else node.name

    def where(self, node: fx.Node) -> str:
        """A node with the module that computes it, for a message."""
        path, kind = self.module_of(node)
        return f"{path} ({kind.rpartition('.')[2]}): {node.name}" if path else node.name

    def apply(self, node: fx.Node, layer: Layer, *inputs: str) -> str:
        """Add the layer that a node computes; returns its name."""
        return self.add(self.label(node), layer, *inputs)

    def add(self, name: str, layer: Layer, *inputs: str) -> str:
        """Add a layer; returns its name, which has a number if it was taken."""
        unique, n = name, 1
        while unique in self._nodes or unique == IMAGE:
            n += 1
            unique = f"{name}_{n}"
        if n > 1 and layer.parameter_shapes():
            raise ArchitectureError(f"{name} is called twice; layers cannot share parameters.")
        try:
            self._shapes[unique] = layer.output_shape(*(self._shapes[one] for one in inputs))
        except ArchitectureError as error:
            raise ArchitectureError(f"{unique}: {error}") from None
        self._nodes[unique] = Node(unique, layer, inputs)
        return unique

    def merge(self, node: fx.Node, layer: Add | Multiply, *inputs: str) -> str:
        """Add a sum or a product; one within one of PyTorch's modules continues the one before."""
        source = node.args[0]
        if isinstance(source, fx.Node) and len(source.users) == 1:
            before = self._nodes.get(inputs[0])
            if before and before.layer == layer and before.name == self.label(node):
                del self._nodes[before.name]
                inputs = (*before.inputs, *inputs[1:])
        return self.apply(node, layer, *inputs)

    def named(self, node: fx.Node, name: str) -> Any:
        """What an Identity gives: what it reads, a layer without a name of its own with this one.

        Sums and products of several inputs, which PyTorch takes two at a time, become one layer.
        """
        source = node.args[0]
        if not self._is_unnamed(source):
            return self.values[source]
        found = self._nodes.pop(source.name)
        inputs, before = found.inputs, source.args[0]
        while isinstance(found.layer, Add | Multiply) and self._is_unnamed(before):
            if self._nodes[before.name].layer != found.layer:
                break
            inputs = (*self._nodes.pop(before.name).inputs, *inputs[1:])
            before = before.args[0]
        return self.add(name, found.layer, *inputs)

    def _is_unnamed(self, node: Any) -> bool:
        """Whether a value is that of a function's layer, and nobody else reads it."""
        if not isinstance(node, fx.Node) or node.op != "call_function" or len(node.users) != 1:
            return False
        return self.values.get(node) == node.name and node.name in self._nodes

    def unflattened(self, name: str) -> str:
        """The map (C, 1, 1) that a vector is, as for squeeze and excitation.

        Linear layers on the way from a map of one pixel become convolutions with that weight.
        """
        way: list[Node] = []
        while not isinstance((node := self._nodes[name]).layer, Flatten):
            if isinstance(node.layer, Linear):
                layer = node.layer
                made: Layer = Conv2d(layer.in_features, layer.out_features, 1, bias=layer.bias)
            elif len(node.inputs) == 1 and not node.layer.parameter_shapes():
                made = node.layer
            else:
                break
            way.append(Node(name, made, node.inputs))
            name = node.inputs[0]
            if name == IMAGE:
                break
        source = node.inputs[0]
        if not isinstance(node.layer, Flatten) or self._shapes[source][1:] != (1, 1):
            raise ArchitectureError(
                f"{name}: a vector becomes a map, and comes from none of 1 × 1."
            )
        for node in reversed(way):
            self._nodes[node.name] = Node(node.name, node.layer, (source,))
            self._shapes[node.name] = node.layer.output_shape(self._shapes[source])
            source = node.name
        return source

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

    def learned(self, node: fx.Node, **arrays: Any) -> str:
        """The name of the layer that has parameters, which a call gets as arguments.

        Args:
            node: the call.
            **arrays: the arguments by the layer's names for them; None if there is no such.

        Raises:
            ArchitectureError: one is no tensor of the module's.
        """
        given = {part: one for part, one in arrays.items() if one is not None}
        for part, one in given.items():
            if not isinstance(one, fx.Node) or one.op != "get_attr":
                raise ArchitectureError(
                    f"{self.where(node)}: its {part} must be a parameter or buffer of the module."
                )
        targets = {part: str(one.target) for part, one in given.items()}
        if not targets:
            return self.label(node)
        owners = {target.rpartition(".")[0] for target in targets.values()}
        kept = all(target.rpartition(".")[2] == part for part, target in targets.items())
        name = owners.pop() if len(owners) == 1 and kept else ""
        name = name or next(iter(targets.values()))
        for part, one in given.items():
            self.state[f"{name}.{part}"] = self.attribute(one).detach().cpu().numpy()
        return name

    def counted(self, name: str) -> None:
        """Take over the count of batches of a batch normalization, 0 if the module has none."""
        key = f"{name}.num_batches_tracked"
        found = self.tensors.get(key)
        self.state[key] = np.zeros((), np.int64) if found is None else found.cpu().numpy()

    def normalized(
        self, node: fx.Node, name: str, shape: tuple[int, ...], eps: float, affine: bool
    ) -> ChannelsLast:
        """Add a layer normalization over the channels of a map."""
        source = self.values.get(node.args[0])
        if not isinstance(source, ChannelsLast) or len(shape) != 1:
            raise ArchitectureError(
                f"{self.where(node)}: layer normalization is a layer over the channels of a map "
                "only, between permute(0, 2, 3, 1) and permute(0, 3, 1, 2)."
            )
        return ChannelsLast(self.add(name, LayerNorm2d(shape[0], eps, affine), source.name))

    def flat(self, node: fx.Node, source: str) -> str:
        """The output of a layer as one vector per image."""
        name = str(node.target) if node.op == "call_module" else self.label(node)
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
