"""How a network's layers hang together: the one place that knows which layers hold layers."""

from collections.abc import Iterable, Mapping
from typing import Any

from neocog.explanation.layer_names import unknown_layer
from neocog.layers import Layer, Residual
from neocog.layers.graph import Graph, Node
from neocog.network import Network

__all__ = ["branches", "lanes", "named_layers", "nodes_to"]


def branches(layer: Layer) -> tuple[Mapping[str, Layer], ...]:
    """The chains of layers that a layer consists of; () if it holds none.

    A `Sequential` is one chain. A `Residual` is two, whose outputs are added; the second is empty
    if it adds its input as it is.
    """
    children = layer.children()
    if isinstance(layer, Residual):
        shortcut = {name: child for name, child in children.items() if name != "body"}
        return {"body": children["body"]}, shortcut
    return (children,) if children else ()


def named_layers(network: Network) -> dict[str, Layer]:
    """Every layer by its full name, also those that hold layers."""
    return _named(network.layers, "")


def _named(chain: Mapping[str, Layer], prefix: str) -> dict[str, Layer]:
    layers: dict[str, Layer] = {}
    for name, layer in chain.items():
        layers[f"{prefix}{name}"] = layer
        layers |= _named(layer.children(), f"{prefix}{name}.")
    return layers


def lanes(network: Network, names: Iterable[str]) -> list[Any]:
    """Those of the network's layers that `names` has, in order.

    A sum of two chains is ``{"sum": its name, "lanes": [names of one, names of the other]}``.
    """
    return _lanes(network.layers, "", frozenset(names))


def _lanes(chain: Mapping[str, Layer], prefix: str, names: frozenset[str]) -> list[Any]:
    row: list[Any] = []
    for name, layer in chain.items():
        full = f"{prefix}{name}"
        rows = [_lanes(branch, f"{full}.", names) for branch in branches(layer)]
        if len(rows) > 1:
            row.append({"sum": full, "lanes": rows})
        elif rows:
            row += rows[0]
        elif full in names:  # Dropout, which does nothing in a prediction, is left out
            row.append(full)
    return row


def nodes_to(graph: Graph, name: str) -> tuple[Node, ...]:
    """The nodes that a layer's output depends on, the layer itself last.

    Raises:
        DataError: for a layer that there is not.
    """
    if name not in graph.outputs:
        raise unknown_layer(name, graph.outputs)
    end = graph.outputs[name]
    needed = {end}
    for index in range(end, -1, -1):
        if index in needed:
            needed |= set(graph.sources[index])
    return tuple(node for index, node in enumerate(graph.nodes) if index in needed)
