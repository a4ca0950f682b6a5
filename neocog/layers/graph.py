"""A network's description: layers as nodes, each with the nodes that it reads.

    Graph(
        [
            Node("conv", Conv2d(3, 8, 3, padding=1)),
            Node("left", Conv2d(8, 8, 1)),
            Node("right", MaxPool2d(3, 1, 1), "conv"),
            Node("sum", Add(), ("left", "right")),
        ],
        input_shape=(3, 32, 32),
    )

It holds no numbers. Layers made of layers (`Container`) are expanded: of what is given, `nodes`
has the layers that compute something, in an order in which each comes behind those that it reads.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from neocog.errors import ArchitectureError, did_you_mean
from neocog.layers.base import Layer, Shape, image_shape
from neocog.validation import refuse, shown

__all__ = [
    "IMAGE",
    "Container",
    "Expansion",
    "Graph",
    "HasGraph",
    "Node",
    "chain",
    "graph_of",
    "output_shape_of",
    "state_dtype",
]

#: What a node reads that reads the image.
IMAGE = "input"


@dataclass(frozen=True)
class Node:
    """A layer in a network, under its full name.

    Args:
        name: the layer's; its parameters are called after it.
        layer: what is computed.
        inputs: the names of the layers whose outputs it reads, or one name; ``"input"`` is the
            image. Without it, the layer described before this one.
    """

    name: str
    layer: Layer
    inputs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise refuse("A node's name", self.name, "a text", ArchitectureError)
        if not isinstance(self.layer, Layer):
            raise ArchitectureError(f"{self.name}: {shown(self.layer)} is not a layer.")
        given: Any = self.inputs
        inputs = (given,) if isinstance(given, str) else given
        if not isinstance(inputs, tuple | list) or not all(isinstance(one, str) for one in inputs):
            raise refuse(f"{self.name}: inputs", given, "names of layers", ArchitectureError)
        object.__setattr__(self, "inputs", tuple(inputs))


def chain(layers: Mapping[str, Layer]) -> list[Node]:
    """Nodes for layers that feed each other in the order they are named."""
    return [Node(name, layer) for name, layer in layers.items()]


class Container(Layer, ABC):
    """A layer made of layers."""

    @abstractmethod
    def expand(self, into: "Expansion", prefix: str, source: int) -> int:
        """Put in its layers as nodes.

        Args:
            into: where they are put.
            prefix: what their names begin with: the container's own name and a dot.
            source: the index of the node that it reads.

        Returns:
            The index of the node with its output.
        """


class Expansion:
    """Nodes that are put in one by one; indices count them, and −1 is the image.

    Attributes:
        nodes: those there are.
        sources: of each node the indices of what it reads.
        shapes: of each node's output.
        outputs: by the full name of a layer, also of one made of layers, the index of the node
            with its output; of layers made of layers behind these.
        containers: the names of layers made of layers.
    """

    def __init__(self, shape: Shape) -> None:
        self._input_shape = shape
        self.nodes: list[Node] = []
        self.sources: list[tuple[int, ...]] = []
        self.shapes: list[Shape] = []
        self.outputs: dict[str, int] = {}
        self.containers: set[str] = set()

    def shape(self, index: int) -> Shape:
        """What a node gives."""
        return self.shapes[index] if index >= 0 else self._input_shape

    def add(self, name: str, layer: Layer, sources: tuple[int, ...]) -> int:
        """Put in a layer, expanded; gives the index of the node with its output.

        Raises:
            ArchitectureError: beginning with the full name of the layer whose inputs do not fit.
        """
        if name in self.outputs:
            raise ArchitectureError(f"Two layers are called {name!r}.")
        if len(sources) != 1 and not layer.takes_several:
            kind = type(layer).__name__
            raise ArchitectureError(f"{name}: {kind} takes one input, not {len(sources)}.")
        if isinstance(layer, Container):
            self.containers.add(name)
            index = layer.expand(self, f"{name}.", sources[0])
        else:
            index = self.compute(name, layer, sources)
        self.outputs.setdefault(name, index)
        return index

    def compute(self, name: str, layer: Layer, sources: tuple[int, ...]) -> int:
        """Put in a node for what a layer, or a container at its end, computes; gives its index."""
        try:
            shape = layer.output_shape(*map(self.shape, sources))
        except ArchitectureError as error:
            raise ArchitectureError(f"{name}: {error}") from None
        inputs = tuple(self.nodes[i].name if i >= 0 else IMAGE for i in sources)
        self.nodes.append(Node(name, layer, inputs))
        self.sources.append(sources)
        self.shapes.append(shape)
        self.outputs[name] = len(self.nodes) - 1
        return self.outputs[name]


def output_shape_of(container: Container, shape: Shape) -> Shape:
    """What a layer made of layers gives for an input of `shape`."""
    into = Expansion(shape)
    return into.shape(container.expand(into, "", -1))


class Graph:
    """What a network is made of, and every shape in it; it stays as it is.

    Args:
        nodes: layers, each behind those that it reads; the last gives the network's output.
        input_shape: (channels, height, width) of an image.

    Raises:
        ArchitectureError: naming the layer whose inputs are not there or do not fit.
    """

    def __init__(self, nodes: Iterable[Node], input_shape: Shape) -> None:
        self._input_shape = image_shape(input_shape)
        into = Expansion(self._input_shape)
        given: list[Node] = []
        try:
            described = list(nodes)
        except TypeError:  # as of an array without axes, which has an __iter__ too
            raise refuse("nodes", nodes, "a list of neocog.Node", ArchitectureError) from None
        for node in described:
            if not isinstance(node, Node):
                wanted = "a Node, such as Node('relu', ReLU())"
                raise refuse("An entry of nodes", node, wanted, ArchitectureError)
            before = (given[-1].name if given else IMAGE,)
            node = replace(node, inputs=node.inputs or before)
            given.append(node)
            try:
                into.add(node.name, node.layer, _sources(node, into.outputs))
            except RecursionError:
                raise ArchitectureError("Layers lie too deep within each other.") from None
        if not given:
            raise ArchitectureError("A network needs at least one layer.")
        self._given = tuple(given)
        self._layers = {node.name: node.layer for node in given}
        self._nodes, self._sources = tuple(into.nodes), tuple(into.sources)
        self._outputs = into.outputs
        self._node_shapes = tuple(into.shapes)
        self._shapes = {name: into.shapes[i] for name, i in into.outputs.items()}
        self._leaves = {n.name: n.layer for n in into.nodes if n.name not in into.containers}
        self._check_read()
        self._parameter_shapes: dict[str, Shape] = {}
        self._buffer_shapes: dict[str, Shape] = {}
        self._state_shapes: dict[str, Shape] = {}
        for name, layer in self._leaves.items():
            for found, shapes in (
                (self._parameter_shapes, layer.parameter_shapes()),
                (self._buffer_shapes, layer.buffer_shapes()),
            ):
                for part, shape in shapes.items():
                    found[f"{name}.{part}"] = self._state_shapes[f"{name}.{part}"] = shape

    def _check_read(self) -> None:
        """Raise unless each node but the last is read by another."""
        read = {i for sources in self._sources for i in sources}
        for i, node in enumerate(self._nodes[:-1]):
            if i not in read:
                raise ArchitectureError(
                    f"{node.name}: no layer reads what it gives. Name it among the inputs of one "
                    "behind it, or leave it out."
                )

    # What is given

    @property
    def given(self) -> tuple[Node, ...]:
        """The nodes as they were described, layers made of layers among them."""
        return self._given

    @property
    def layers(self) -> Mapping[str, Layer]:
        """The layers of `given` by name."""
        return MappingProxyType(self._layers)

    @property
    def is_chain(self) -> bool:
        """Whether each layer of `given` reads the one before it, and nothing else."""
        before = [IMAGE, *(node.name for node in self._given)]
        return all(n.inputs == (name,) for n, name in zip(self._given, before, strict=False))

    # What is computed

    @property
    def nodes(self) -> tuple[Node, ...]:
        """What is computed, in an order in which each node comes behind those that it reads."""
        return self._nodes

    @property
    def sources(self) -> tuple[tuple[int, ...], ...]:
        """Of each of `nodes` the indices of those that it reads; −1 is the image."""
        return self._sources

    @property
    def outputs(self) -> Mapping[str, int]:
        """By each layer's full name the index of the node with its output; containers' too."""
        return MappingProxyType(self._outputs)

    @property
    def leaves(self) -> Mapping[str, Layer]:
        """The layers that are not made of layers, in order, by full name."""
        return MappingProxyType(self._leaves)

    # Shapes

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of an image."""
        return self._input_shape

    @property
    def output_shape(self) -> Shape:
        """What the last layer gives."""
        return self._node_shapes[-1]

    @property
    def shapes(self) -> Mapping[str, Shape]:
        """The output shape of each layer, and of each layer within it, by its full name."""
        return MappingProxyType(self._shapes)

    @property
    def parameter_shapes(self) -> Mapping[str, Shape]:
        """The shape of each parameter by its name, in PyTorch's order."""
        return MappingProxyType(self._parameter_shapes)

    @property
    def buffer_shapes(self) -> Mapping[str, Shape]:
        """The shape of each array that is kept but not learned, such as running statistics."""
        return MappingProxyType(self._buffer_shapes)

    @property
    def state_shapes(self) -> Mapping[str, Shape]:
        """Parameters and buffers together, in the order of PyTorch's state dict."""
        return MappingProxyType(self._state_shapes)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Graph):
            return NotImplemented
        return (self._given, self._input_shape) == (other._given, other._input_shape)

    def __hash__(self) -> int:
        return hash((self._given, self._input_shape))

    def __repr__(self) -> str:
        return f"<Graph of {len(self._nodes)} nodes: {self._input_shape} → {self.output_shape}>"


def _sources(node: Node, outputs: Mapping[str, int]) -> tuple[int, ...]:
    """The indices of what a node reads."""
    found = []
    for name in node.inputs:
        index = outputs.get(name, -1 if name == IMAGE else None)
        if index is None:
            hint = did_you_mean(name, [IMAGE, *outputs])
            raise ArchitectureError(f"{node.name}: no layer before it is called {name!r}.{hint}")
        found.append(index)
    return tuple(found)


class HasGraph(Protocol):
    """Whatever a graph describes, such as a `neocog.Network`."""

    @property
    def graph(self) -> Graph:
        """What it is made of."""


def graph_of(network: Graph | HasGraph) -> Graph:
    """The graph, or the one of a network; raises `ArchitectureError` for anything else."""
    graph = network if isinstance(network, Graph) else getattr(network, "graph", None)
    if not isinstance(graph, Graph):
        wanted = "a neocog.Network, such as neocog.models.simple_cnn()"
        raise refuse("network", network, wanted, ArchitectureError)
    return graph


def state_dtype(name: str) -> type[np.generic]:
    """The kind of number in an array of a state dict."""
    return np.int64 if name.endswith(".num_batches_tracked") else np.float32
