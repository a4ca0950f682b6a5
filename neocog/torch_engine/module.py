"""Converts a network to a PyTorch module with the same layers, names, shapes and weights."""

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from numpy.typing import NDArray
from torch import nn

from neocog.errors import ArchitectureError
from neocog.layers import Graph, Node
from neocog.layers.graph import IMAGE
from neocog.torch_engine.layer_rules import in_a_row, named_modules

__all__ = ["GraphModule", "HasState", "module_of", "to_torch"]


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


class GraphModule(nn.Module):  # type: ignore[misc]
    """A module whose modules each read the outputs of earlier ones."""

    def __init__(self, nodes: tuple[Node, ...]) -> None:
        super().__init__()
        self._reads: Mapping[str, tuple[str, ...]] = {node.name: node.inputs for node in nodes}
        for name, module in named_modules({node.name: node.layer for node in nodes}).items():
            try:
                self.add_module(name, module)
            except KeyError as error:
                raise ArchitectureError(
                    f"PyTorch has no module for these names: {error.args[0]}."
                ) from None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The last module's output, for preprocessed images [N, C, H, W]."""
        outputs = {IMAGE: x}
        for name, inputs in self._reads.items():
            x = self.get_submodule(name)(*(outputs[one] for one in inputs))
            outputs[name] = x
        return x


def to_torch(network: Graph | HasState) -> nn.Module:
    """Convert to ``torch.nn`` modules, in training mode as any new module.

    Its ``state_dict`` has the names, shapes and order of ``network.state_dict()``, and copies of
    its values if the network has any; otherwise PyTorch's own initial values, drawn in the order of
    the layers: after ``torch.manual_seed(seed)`` they are those of ``network.initialize(seed)``.
    It takes preprocessed images, float32 [N, C, H, W], and gives scores; those of a calibrated
    network must be divided by ``network.temperature`` before the softmax. A chain of layers
    becomes an ``nn.Sequential``.

    Raises:
        ArchitectureError: a layer has a name that PyTorch reserves, such as ``forward``.
    """
    graph = network if isinstance(network, Graph) else network.graph
    module = in_a_row(graph.layers) if graph.is_chain else GraphModule(graph.given)
    if not isinstance(network, Graph) and network.initialized:
        state = network.state_dict()
        module.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
    return module


def module_of(graph: Graph) -> nn.Module:
    """`to_torch` for weights that are yet to come: no random number of PyTorch's is drawn."""
    with torch.random.fork_rng(devices=[]):
        return to_torch(graph)
