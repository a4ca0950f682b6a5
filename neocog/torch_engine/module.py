"""Converts a network to a PyTorch module with the same layers, names, shapes and weights."""

from typing import Any, Protocol

import torch
from numpy.typing import NDArray
from torch import fx, nn

from neocog.errors import ArchitectureError
from neocog.layers import Graph
from neocog.layers.graph import IMAGE
from neocog.torch_engine.fx_modules import fx_module
from neocog.torch_engine.layer_rules import in_a_row, module_of

__all__ = ["HasState", "new_module", "to_torch"]


class HasState(Protocol):
    """A network with or without values, such as a `neocog.Network`."""

    @property
    def graph(self) -> Graph:
        """The graph of layers."""

    @property
    def initialized(self) -> bool:
        """Whether it has weights."""

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """The weights by name."""


def to_torch(network: Graph | HasState) -> nn.Module:
    """Convert to ``torch.nn`` modules, in training mode as any new module.

    Its ``state_dict`` has the names, shapes and order of ``network.state_dict()``, and copies of
    its values if the network has any; otherwise PyTorch's own initial values, drawn in the order of
    the layers: after ``torch.manual_seed(seed)`` they are those of ``network.initialize(seed)``.
    It takes preprocessed images, float32 [N, C, H, W], and gives scores; those of a calibrated
    network must be divided by ``network.temperature`` before the softmax.

    A chain of layers becomes an ``nn.Sequential``, and everything that PyTorch has no module for a
    ``torch.fx.GraphModule``. Nothing in it is of neocog's, so that it can be saved whole, and
    loaded without neocog.

    Raises:
        ArchitectureError: a layer has a name that PyTorch reserves, such as ``forward``.
    """
    graph = network if isinstance(network, Graph) else network.graph
    module = _module_of(graph)
    if not isinstance(network, Graph) and network.initialized:
        state = network.state_dict()
        module.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
    return module


def new_module(graph: Graph) -> nn.Module:
    """`to_torch` for weights that are yet to come: no random number of PyTorch's is drawn."""
    with torch.random.fork_rng(devices=[]):
        return to_torch(graph)


def _module_of(graph: Graph) -> nn.Module:
    if graph.is_chain and not any("." in name for name in graph.layers):
        return in_a_row(graph.layers)
    modules = {node.name: module_of(node.layer, len(node.inputs)) for node in graph.given}
    inner = {name: module for name, module in modules.items() if _holds_others(module, name, graph)}
    # What holds other modules cannot be a graph itself; the name is that of an Identity then.
    members = modules | {name: nn.Identity() for name in inner}

    def forward(made: fx.Graph, image: fx.Node) -> fx.Node:
        outputs = {IMAGE: image}
        for node in graph.given:
            given = tuple(outputs[name] for name in node.inputs)
            if node.name in inner:
                copied = inner[node.name].graph
                given = (made.graph_copy(copied, dict(zip(copied.nodes, given, strict=False))),)
            x = outputs[node.name] = made.call_module(node.name, given)
        return x

    try:
        return fx_module("Network", forward, members=members)
    except KeyError as error:
        raise ArchitectureError(
            f"PyTorch has no module for these names: {error.args[0]}."
        ) from None


def _holds_others(module: nn.Module, name: str, graph: Graph) -> bool:
    """Whether a module that is a graph must have other layers' modules within it."""
    held = any(other.startswith(f"{name}.") for other in graph.layers)
    if held and isinstance(module, fx.GraphModule) and module.state_dict():
        raise ArchitectureError(
            f"PyTorch has no module for these names: {name} has parameters, and other layers are "
            f"called {name}.…"
        )
    return held and isinstance(module, fx.GraphModule)
