"""Cuts a network into a lower part, which stays as it is, and an upper part, which learns.

A *place* is a layer through which every path of the network goes, so that the upper part depends on
the image by that layer's output alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.errors import ArchitectureError, did_you_mean
from neocog.layers import (
    Add,
    Conv2d,
    Dropout,
    Flatten,
    Graph,
    Layer,
    Linear,
    Node,
    Sequential,
    Shape,
)
from neocog.layers.graph import IMAGE
from neocog.models.enlarging import enlarging_layers
from neocog.network import Network
from neocog.summary import cost
from neocog.validation import shown

__all__ = [
    "Place",
    "features_place",
    "lower_of",
    "part_of_state",
    "places",
    "upper_of",
    "with_outputs",
]

# A place's map has at most so many times the numbers of the smallest one before it: within blocks
# that widen, maps are several times as large as between them.
_LARGER = 1.5
# What may read a place: what follows it within one block, such as batch normalization, belongs to
# the layer before it.
_BEGIN_A_BLOCK = (Conv2d, Add, Linear, Flatten)


@dataclass(frozen=True)
class Place:
    """Where a network can be cut.

    Attributes:
        name: the layer whose output is handed on.
        shape: of that output: (channels, height, width), or (features,).
        below: multiply-adds of an image up to there.
        behind: multiply-adds of an image from there on.
    """

    name: str
    shape: Shape
    below: int
    behind: int


def places(graph: Graph) -> list[Place]:
    """The places at which a graph can be cut, first to last; below each is some layer that learns.

    A place gives a feature map, not a much larger one than a place before it, and is the end of
    what belongs together: no normalization and no activation follows.
    """
    work = {layer.name: layer.multiply_adds for layer in cost(graph).layers}
    total, below, fixed, found = sum(work.values()), 0, 0, []
    enlarging = enlarging_layers(graph)  # its output is what the network was made for
    begin = graph.outputs[enlarging[-1]] if enlarging else -1
    image = graph.shapes[enlarging[-1]] if enlarging else graph.input_shape
    smallest = float(prod(image))
    farthest = _farthest_sources(graph)
    for i, node in enumerate(graph.nodes[:-1]):
        below += work.get(node.name, 0)
        if i <= begin:
            fixed = below
            continue
        shape = graph.shapes[node.name]
        readers = [graph.nodes[j].layer for j, s in enumerate(graph.sources) if i in s]
        whole = len(shape) == 3 and all(map(_begins_a_block, readers))
        size = prod(shape)
        if below > fixed and whole and farthest[i + 1] >= i and size < _LARGER * smallest:
            smallest = min(smallest, size)
            found.append(Place(node.name, shape, below, total - below))
    return found


def _begins_a_block(layer: Layer) -> bool:
    return isinstance(layer, _BEGIN_A_BLOCK) or type(layer).__name__.endswith("Pad2d")


def _farthest_sources(graph: Graph) -> list[int]:
    """For each node the earliest one that it, or a node behind it, reads."""
    farthest = [min(sources) for sources in graph.sources]
    for i in range(len(farthest) - 2, -1, -1):
        farthest[i] = min(farthest[i], farthest[i + 1])
    return farthest


def features_place(graph: Graph) -> str:
    """The layer whose output the last linear layer reads, without a dropout between them.

    Raises:
        ArchitectureError: the network does not end in a linear layer.
    """
    last = len(graph.nodes) - 1
    _check_linear_end(graph.nodes[last].layer)
    (source,) = graph.sources[last]
    while source >= 0 and isinstance(graph.nodes[source].layer, Dropout):
        (source,) = graph.sources[source]
    learned = source
    while learned >= 0 and isinstance(graph.nodes[learned].layer, Flatten | Dropout):
        (learned,) = graph.sources[learned]
    if learned < 0:
        raise ArchitectureError("The network is a linear layer alone, which has no features.")
    return graph.nodes[source].name


def _check_linear_end(layer: Layer) -> None:
    if not isinstance(layer, Linear):
        raise ArchitectureError(
            f"The network ends in {type(layer).__name__}, and features are what a last layer that "
            "is Linear reads."
        )


def lower_of(graph: Graph, place: str) -> Graph:
    """The layers up to a place, as a graph whose layers have the names that they had."""
    end = _index(graph, place)
    needed, waiting = set(), [end]
    while waiting:
        i = waiting.pop()
        if i >= 0 and i not in needed:
            needed.add(i)
            waiting += graph.sources[i]
    return Graph([graph.nodes[i] for i in sorted(needed)], graph.input_shape)


def upper_of(graph: Graph, place: str) -> Graph:
    """The layers behind a place, as a graph whose image is the place's map."""
    at = _index(graph, place)
    nodes = []
    for node, sources in zip(graph.nodes[at + 1 :], graph.sources[at + 1 :], strict=True):
        if min(sources) < at:
            raise ArchitectureError(f"The network cannot be cut at {place}: a path goes around it.")
        inputs = tuple(IMAGE if i == at else graph.nodes[i].name for i in sources)
        nodes.append(Node(node.name, node.layer, inputs))
    return Graph(nodes, graph.shapes[place])


def _index(graph: Graph, place: str) -> int:
    index = graph.outputs.get(place)
    if index is None or index == len(graph.nodes) - 1:
        known = [one.name for one in places(graph)]
        raise ArchitectureError(
            f"The network cannot be cut at {shown(place)}.{did_you_mean(place, known)} Places are: "
            f"{', '.join(known)}."
        )
    return index


def part_of_state(graph: Graph, state: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The arrays of a state dict that belong to the layers of a part."""
    return {name: state[name] for name in graph.state_shapes}


def with_outputs(network: Network, outputs: int) -> Network:
    """A copy of a network with another last linear layer, whose weights are zero.

    Classes, calibration and what it knows of its training are not taken over.

    Args:
        network: with weights.
        outputs: of the last layer, such as a number of classes.

    Raises:
        ArchitectureError: it does not end in a linear layer, or has no weights.
    """
    graph = network.graph
    _check_linear_end(graph.nodes[-1].layer)
    *before, end = graph.given
    nodes = [*before, replace(end, layer=_with_last(end.name, end.layer, outputs))]
    found = Network.from_graph(Graph(nodes, graph.input_shape), preprocessing=network.preprocessing)
    last = graph.nodes[-1].name
    state = network.state_dict()
    for name, shape in found.state_shapes.items():
        if name.startswith(f"{last}."):
            state[name] = np.zeros(shape, np.float32)
    found.load_state_dict(state)
    return found


def _with_last(name: str, layer: Layer, outputs: int) -> Layer:
    if isinstance(layer, Linear):
        return replace(layer, out_features=outputs, bias=True)
    if isinstance(layer, Sequential):
        *before, (key, child) = layer.layers
        return Sequential(**dict(before), **{key: _with_last(f"{name}.{key}", child, outputs)})
    raise ArchitectureError(f"{name}: the last layer lies within {type(layer).__name__}.")
