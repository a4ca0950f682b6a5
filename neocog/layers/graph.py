"""The graph of a network: layers as nodes, each with the nodes that it reads.

    Graph(
        [
            Node("conv", Conv2d(3, 8, 3, padding=1)),
            Node("left", Conv2d(8, 8, 1)),
            Node("right", MaxPool2d(3, 1, 1), "conv"),
            Node("sum", Add(), ("left", "right")),
        ],
        input_shape=(3, 32, 32),
    )

It has no numbers. Containers (`Container`) are expanded: `nodes` has only layers that compute
something, in topological order.
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

#: The name of the image among the inputs of a node.
IMAGE = "input"


@dataclass(frozen=True)
class Node:
    """A layer in a network, with its full name.

    Args:
        name: name of the layer, with which the names of its parameters begin.
        layer: the layer.
        inputs: names of the layers that it reads, or one name; ``"input"`` is the image. By default
            the layer described before it.
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
    """Nodes of layers in a chain, in the order in which they are named."""
    return [Node(name, layer) for name, layer in layers.items()]


class Container(Layer, ABC):
    """A layer that contains layers."""

    @abstractmethod
    def expand(self, into: "Expansion", prefix: str, source: int) -> int:
        """Add its layers as nodes.

        Args:
            into: the expansion to add them to.
            prefix: prefix of their names: the container's own name and a dot.
            source: index of the node that it reads.

        Returns:
            The index of the node that has its output.
        """


class Expansion:
    """A graph under construction, to which nodes are added; −1 is the index of the image.

    Attributes:
        nodes: the nodes so far.
        sources: for each node the indices of the nodes that it reads.
        shapes: output shape of each node.
        outputs: by the full name of a layer or container, the index of the node that has its
            output; a container follows its layers.
        containers: names of the containers.
    """

    def __init__(self, shape: Shape) -> None:
        self._input_shape = shape
        self.nodes: list[Node] = []
        self.sources: list[tuple[int, ...]] = []
        self.shapes: list[Shape] = []
        self.outputs: dict[str, int] = {}
        self.containers: set[str] = set()

    def shape(self, index: int) -> Shape:
        """The output shape of a node."""
        return self.shapes[index] if index >= 0 else self._input_shape

    def add(self, name: str, layer: Layer, sources: tuple[int, ...]) -> int:
        """Add a layer, expanded; returns the index of the node that has its output.

        Raises:
            ArchitectureError: the message begins with the layer whose inputs do not fit.
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
        """Add a node for what a layer, or the end of a container, computes; returns its index."""
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
    """The output shape of a container for an input of `shape`."""
    into = Expansion(shape)
    return into.shape(container.expand(into, "", -1))


class Graph:
    """An immutable graph of layers, with all shapes.

    Args:
        nodes: layers in topological order; the last one gives the network's output.
        input_shape: (channels, height, width) of an image.

    Raises:
        ArchitectureError: the message has the layer whose inputs are missing or do not fit.
    """

    def __init__(self, nodes: Iterable[Node], input_shape: Shape) -> None:
        self._input_shape = image_shape(input_shape)
        into = Expansion(self._input_shape)
        given: list[Node] = []
        try:
            described = list(nodes)
        except TypeError:  # such as for an array without axes, which has an __iter__, too
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
        """Raise unless every node but the last is read by another one."""
        read = {i for sources in self._sources for i in sources}
        for i, node in enumerate(self._nodes[:-1]):
            if i not in read:
                raise ArchitectureError(
                    f"{node.name}: no layer reads what it gives. Name it among the inputs of one "
                    "behind it, or leave it out."
                )

    # As described

    @property
    def given(self) -> tuple[Node, ...]:
        """The nodes as they were described, containers included."""
        return self._given

    @property
    def layers(self) -> Mapping[str, Layer]:
        """The layers of `given` by name."""
        return MappingProxyType(self._layers)

    @property
    def is_chain(self) -> bool:
        """Whether each layer of `given` reads only the one before it."""
        before = [IMAGE, *(node.name for node in self._given)]
        return all(n.inputs == (name,) for n, name in zip(self._given, before, strict=False))

    # Expanded

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes that compute something, in topological order."""
        return self._nodes

    @property
    def sources(self) -> tuple[tuple[int, ...], ...]:
        """For each of `nodes` the indices of the nodes that it reads; −1 is the image."""
        return self._sources

    @property
    def outputs(self) -> Mapping[str, int]:
        """By the full name of a layer or container, the index of the node that has its output."""
        return MappingProxyType(self._outputs)

    @property
    def leaves(self) -> Mapping[str, Layer]:
        """The layers that are not containers, in order, by full name."""
        return MappingProxyType(self._leaves)

    # Shapes

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of an image."""
        return self._input_shape

    @property
    def output_shape(self) -> Shape:
        """The output shape of the last layer."""
        return self._node_shapes[-1]

    @property
    def shapes(self) -> Mapping[str, Shape]:
        """The output shape of each layer, also within containers, by full name."""
        return MappingProxyType(self._shapes)

    @property
    def parameter_shapes(self) -> Mapping[str, Shape]:
        """The shape of each parameter by name, in PyTorch's order."""
        return MappingProxyType(self._parameter_shapes)

    @property
    def buffer_shapes(self) -> Mapping[str, Shape]:
        """The shape of each buffer, an array that is not learned, such as running statistics."""
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
    """The indices of the nodes that a node reads."""
    found = []
    for name in node.inputs:
        index = outputs.get(name, -1 if name == IMAGE else None)
        if index is None:
            hint = did_you_mean(name, [IMAGE, *outputs])
            raise ArchitectureError(f"{node.name}: no layer before it is called {name!r}.{hint}")
        found.append(index)
    return tuple(found)


class HasGraph(Protocol):
    """Anything that has a graph, such as a `neocog.Network`."""

    @property
    def graph(self) -> Graph:
        """The graph."""


def graph_of(network: Graph | HasGraph) -> Graph:
    """The graph itself, or a network's; raises `ArchitectureError` for anything else."""
    graph = network if isinstance(network, Graph) else getattr(network, "graph", None)
    if not isinstance(graph, Graph):
        wanted = "a neocog.Network, such as neocog.models.simple_cnn()"
        raise refuse("network", network, wanted, ArchitectureError)
    return graph


def state_dtype(name: str) -> type[np.generic]:
    """The dtype of an array in a state dict."""
    return np.int64 if name.endswith(".num_batches_tracked") else np.float32
