"""What a network costs: parameters and multiply-adds of each layer."""

from dataclasses import dataclass
from math import prod

from neocog.layers import Conv2d, Graph, HasGraph, Layer, Linear, Shape, graph_of

__all__ = ["Cost", "LayerCost", "cost"]


@dataclass(frozen=True)
class LayerCost:
    """One layer: its full name, type and output shape, and what it costs.

    `multiply_adds` are those of one image on its way forward. Convolutions and linear layers have
    some, a multiplication and an addition counting once and biases not at all; for all others,
    whose work is small beside theirs, it is 0.
    """

    name: str
    type: str
    output_shape: Shape
    parameters: int
    multiply_adds: int


@dataclass(frozen=True)
class Cost:
    """All layers that are not made of layers, in order, and their sums."""

    layers: tuple[LayerCost, ...]

    @property
    def parameters(self) -> int:
        """How many numbers the network learns."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def multiply_adds(self) -> int:
        """Of one image on its way forward. A step of training takes about three times as many."""
        return sum(layer.multiply_adds for layer in self.layers)

    def __repr__(self) -> str:
        return (
            f"<Cost of {len(self.layers)} layers: {self.parameters} parameters, "
            f"{self.multiply_adds} multiply-adds>"
        )


def cost(network: Graph | HasGraph) -> Cost:
    """What each layer of the network, or of its graph, costs; nothing is run."""
    graph = graph_of(network)
    return Cost(
        tuple(
            LayerCost(
                name,
                type(layer).__name__,
                graph.shapes[name],
                sum(prod(shape) for shape in layer.parameter_shapes().values()),
                _multiply_adds(layer, graph.shapes[name]),
            )
            for name, layer in graph.leaves.items()
        )
    )


def _multiply_adds(layer: Layer, output_shape: Shape) -> int:
    """Every output of a convolution sums in_channels / groups · kh · kw products."""
    match layer:
        case Conv2d():
            return prod(output_shape) * prod(layer.parameter_shapes()["weight"][1:])
        case Linear():
            return layer.in_features * layer.out_features
        case _:
            return 0
