"""Converts a PyTorch module to a graph with the same layers, names and weights.

The module is traced by ``torch.fx``. Every module and function on the way becomes a layer by a rule
of `module_rules` or `function_rules`; parameters keep their names.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import fx, nn

from neocog.errors import ArchitectureError
from neocog.layers import Graph, Shape
from neocog.layers.base import image_shape
from neocog.layers.graph import IMAGE
from neocog.torch_engine.function_rules import rule_of_call
from neocog.torch_engine.module_rules import rule_of_module
from neocog.torch_engine.tracing import Tracing

__all__ = ["graph_from_torch"]


class _Tracer(fx.Tracer):  # type: ignore[misc]
    """Stops at the modules for which there is a rule."""

    def is_leaf_module(self, module: nn.Module, module_qualified_name: str) -> bool:
        """Whether a module becomes a layer as it is."""
        known = rule_of_module(module) is not None
        return known or super().is_leaf_module(module, module_qualified_name)


def graph_from_torch(
    module: nn.Module, input_shape: Shape
) -> tuple[Graph, dict[str, NDArray[np.generic]]]:
    """A module's graph, in evaluation mode, and its state by name.

    Args:
        module: a network of layers that neocog has; nothing in it is changed.
        input_shape: (channels, height, width) of an image.

    Raises:
        ArchitectureError: the message names what cannot be converted.
    """
    shape = image_shape(input_shape)
    traced = _traced(module)
    tracing = Tracing(traced, shape)
    for node in traced.graph.nodes:
        if node.op == "output":
            return _finished(tracing, node, module)
        tracing.values[node] = _value(tracing, node)
    raise ArchitectureError("The module returns nothing.")


def _traced(module: nn.Module) -> fx.GraphModule:
    was_training = module.training
    module.eval()
    try:
        return fx.GraphModule(module, _Tracer().trace(module))
    except (fx.proxy.TraceError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ArchitectureError(
            f"{type(module).__name__} cannot be traced, as what it does depends on values: {reason}"
        ) from error
    finally:
        module.train(was_training)


def _value(tracing: Tracing, node: fx.Node) -> Any:
    if node.op == "placeholder":
        if tracing.values:
            raise ArchitectureError("The module takes several inputs; a network takes images only.")
        return IMAGE
    if node.op == "get_attr":
        return tracing.attribute(node)
    if node.op == "call_module":
        return _layer(tracing, node)
    rule = rule_of_call(node)
    if rule is None:
        name = node.target if isinstance(node.target, str) else node.target.__name__
        raise ArchitectureError(f"{node.name}: there is no layer for {name}().")
    return rule(tracing, node)


def _layer(tracing: Tracing, node: fx.Node) -> str:
    """The output of a module's layer."""
    name = str(node.target)
    module = tracing.module.get_submodule(name)
    kind, rule = type(module).__name__, rule_of_module(module)
    source = tracing.name(node.args[0]) if node.args else ""
    if isinstance(module, nn.Flatten):
        return tracing.flat(node, source)
    if rule is None:
        raise ArchitectureError(f"{name}: there is no layer for {kind}.")
    try:
        layer = rule(module)
    except ArchitectureError as error:
        raise ArchitectureError(f"{name}: {error}") from None
    if layer is None:
        return source
    return tracing.add(name, layer, *(tracing.name(one) for one in node.args))


def _finished(
    tracing: Tracing, node: fx.Node, module: nn.Module
) -> tuple[Graph, dict[str, NDArray[np.generic]]]:
    (result,) = node.args
    found = tracing.values.get(result) if isinstance(result, fx.Node) else None
    if not isinstance(found, str):
        raise ArchitectureError("The module must return one tensor, the scores.")
    nodes = tracing.nodes_for(found)
    if not nodes:
        raise ArchitectureError("The module has no layers.")
    graph = Graph(nodes, tracing.input_shape)
    state = {name: tensor.detach().cpu().numpy() for name, tensor in module.state_dict().items()}
    state |= tracing.state
    missing = [name for name in graph.state_shapes if name not in state]
    if missing:
        raise ArchitectureError(f"The module has no tensor {missing[0]}.")
    return graph, {name: np.array(state[name]) for name in graph.state_shapes}
