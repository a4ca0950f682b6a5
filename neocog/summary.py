"""The cost of a network: parameters and multiply-adds of each layer."""

from dataclasses import dataclass
from math import prod

from neocog.layers import Conv2d, Graph, HasGraph, Layer, Linear, Shape, graph_of

__all__ = ["Cost", "LayerCost", "cost"]


@dataclass(frozen=True)
class LayerCost:
    """The cost of one layer, with its full name, type and output shape.

    `multiply_adds` is the number for one image, forward. A multiplication and an addition count as
    one, and biases are not counted. It is 0 for all layers but convolutions and linear layers, next
    to which the work of the others is small.
    """

    name: str
    type: str
    output_shape: Shape
    parameters: int
    multiply_adds: int


@dataclass(frozen=True)
class Cost:
    """The costs of all layers that are not containers, in order, and their sums."""

    layers: tuple[LayerCost, ...]

    @property
    def parameters(self) -> int:
        """The number of learned parameters."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one image, forward. A training step takes about three times as many."""
        return sum(layer.multiply_adds for layer in self.layers)

    def __repr__(self) -> str:
        return (
            f"<Cost of {len(self.layers)} layers: {self.parameters} parameters, "
            f"{self.multiply_adds} multiply-adds>"
        )


def cost(network: Graph | HasGraph) -> Cost:
    """Compute the cost of each layer of a network or graph; nothing is run."""
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
