"""Converts a PyTorch module to a graph with the same layers, names and weights.

The module is traced by ``torch.fx``, or by ``torch.export`` where what it does depends on shapes.
Every module, function and operator on the way becomes a layer by a rule of `module_rules`,
`function_rules`, `map_rules` or `parameter_rules`; parameters keep their names.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx, nn
from torch.export import ExportedProgram

from neocog.errors import ArchitectureError, printable
from neocog.layers import Graph, Shape
from neocog.layers.base import image_shape
from neocog.layers.graph import IMAGE

# These two register their rules.
from neocog.torch_engine import map_rules as map_rules
from neocog.torch_engine import parameter_rules as parameter_rules
from neocog.torch_engine.function_rules import called, rule_of_call
from neocog.torch_engine.module_rules import rule_of_module
from neocog.torch_engine.operators import operator_graph
from neocog.torch_engine.tracing import Tracing

__all__ = ["graph_from_torch"]

# Images of the example for torch.export, which takes 1 for a fixed number.
_EXAMPLE = 2


class _Tracer(fx.Tracer):  # type: ignore[misc]
    """Stops at the modules for which there is a rule."""

    def is_leaf_module(self, module: nn.Module, module_qualified_name: str) -> bool:
        """Whether a module becomes a layer as it is."""
        known = rule_of_module(module) is not None
        return known or super().is_leaf_module(module, module_qualified_name)


def graph_from_torch(
    module: nn.Module | ExportedProgram, input_shape: Shape | None = None
) -> tuple[Graph, dict[str, NDArray[np.generic]]]:
    """A module's graph, in evaluation mode, and its state by name.

    Args:
        module: a network of layers that neocog has, or a program that `torch.export` made of one;
            nothing in it is changed.
        input_shape: (channels, height, width) of an image; of a program its own if it is None.

    Raises:
        ArchitectureError: the message names what cannot be converted.
    """
    if isinstance(module, ExportedProgram):
        shape = _shape_of(module) if input_shape is None else image_shape(input_shape)
        return _converted(operator_graph(module), shape, module.state_dict)
    if not isinstance(module, nn.Module):
        raise ArchitectureError(
            "module must be a torch.nn.Module or a torch.export.ExportedProgram, not "
            f"{printable(repr(module))}."
        )
    if input_shape is None:
        raise ArchitectureError("A module does not say how large its images are: give input_shape.")
    shape = image_shape(input_shape)
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        return _converted(_traced(module, shape), shape, module.state_dict())
    finally:
        for part, training in modes.items():
            part.training = training


def _traced(module: nn.Module, shape: Shape) -> fx.GraphModule:
    try:
        return fx.GraphModule(module, _Tracer().trace(module))
    except Exception as error:  # what a module's own code raises for what is no tensor
        reason = _first_line(error)
    parameter = next(module.parameters(), torch.zeros(0))
    example = torch.zeros(_EXAMPLE, *shape, dtype=parameter.dtype, device=parameter.device)
    sizes = ({0: torch.export.Dim("batch", min=1)},)
    try:
        with torch.no_grad():
            program = torch.export.export(module, (example,), dynamic_shapes=sizes, strict=False)
    except Exception as error:
        raise ArchitectureError(
            f"{type(module).__name__} cannot be traced, as what it does depends on values: "
            f"torch.fx says: {reason} torch.export says: {_first_line(error)}"
        ) from error
    return operator_graph(program)


def _first_line(error: Exception) -> str:
    return printable((str(error).strip() or type(error).__name__).splitlines()[0], 300)


def _shape_of(program: ExportedProgram) -> tuple[int, int, int]:
    """The shape of the images that a program takes."""
    names = set(program.graph_signature.user_inputs)
    found = [node.meta["val"] for node in program.graph.nodes if node.name in names]
    if len(found) != 1 or getattr(found[0], "ndim", 0) != 4:
        raise ArchitectureError(
            "The program must take one tensor of images [batch, channels, height, width]."
        )
    sizes = found[0].shape[1:]
    if not all(isinstance(size, int) for size in sizes):
        raise ArchitectureError("The program takes images of several sizes: give input_shape.")
    return image_shape(tuple(sizes))


def _converted(
    traced: fx.GraphModule, shape: tuple[int, int, int], tensors: Mapping[str, torch.Tensor]
) -> tuple[Graph, dict[str, NDArray[np.generic]]]:
    tracing = Tracing(traced, shape, tensors)
    for node in traced.graph.nodes:
        if node.op == "output":
            return _finished(tracing, node)
        tracing.values[node] = _value(tracing, node)
    raise ArchitectureError("The module returns nothing.")


def _value(tracing: Tracing, node: fx.Node) -> Any:
    if node.op == "placeholder":
        if IMAGE in tracing.values.values():
            raise ArchitectureError("The module takes several inputs; a network takes images only.")
        return IMAGE
    if node.op == "get_attr":
        return tracing.attribute(node)
    if node.op == "call_module":
        return _layer(tracing, node)
    rule = rule_of_call(node)
    if rule is None:
        raise ArchitectureError(f"{tracing.where(node)}: there is no layer for {called(node)}().")
    try:
        return rule(tracing, node)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ArchitectureError(
            f"{tracing.where(node)}: {called(node)}() is no layer with these arguments: "
            f"{_first_line(error)}."
        ) from error


def _layer(tracing: Tracing, node: fx.Node) -> Any:
    """The output of a module's layer."""
    name = str(node.target)
    module = tracing.module.get_submodule(name)
    kind, rule = type(module).__name__, rule_of_module(module)
    if isinstance(module, nn.LayerNorm):
        affine = module.elementwise_affine
        return tracing.normalized(node, name, module.normalized_shape, module.eps, affine)
    source = tracing.name(node.args[0]) if node.args else ""
    if isinstance(module, nn.Flatten):
        return tracing.flat(node, source)
    if isinstance(module, nn.Identity):
        return tracing.named(node, name)
    if rule is None:
        raise ArchitectureError(f"{name}: there is no layer for {kind}.")
    try:
        layer = rule(module)
    except ArchitectureError as error:
        raise ArchitectureError(f"{name}: {error}") from None
    if layer is None:
        return source
    return tracing.add(name, layer, *(tracing.name(one) for one in node.args))


def _finished(tracing: Tracing, node: fx.Node) -> tuple[Graph, dict[str, NDArray[np.generic]]]:
    (result,) = node.args
    if isinstance(result, tuple | list) and len(result) == 1:
        (result,) = result  # as of programs
    found = tracing.values.get(result) if isinstance(result, fx.Node) else None
    if not isinstance(found, str):
        raise ArchitectureError("The module must return one tensor, the scores.")
    nodes = tracing.nodes_for(found)
    if not nodes:
        raise ArchitectureError("The module has no layers.")
    graph = Graph(nodes, tracing.input_shape)
    state = {name: tensor.detach().cpu().numpy() for name, tensor in tracing.tensors.items()}
    state |= tracing.state
    missing = [name for name in graph.state_shapes if name not in state]
    if missing:
        raise ArchitectureError(f"The module has no tensor {missing[0]}.")
    # Of Linear layers that became convolutions, weights have other shapes.
    return graph, {
        name: np.array(state[name]).reshape(shape) for name, shape in graph.state_shapes.items()
    }
