"""How a network's layers hang together: the one place that knows which layers hold layers."""

from collections.abc import Iterable, Mapping
from typing import Any

from neocog.explanation.layer_names import unknown_layer
from neocog.layers import Layer, Residual
from neocog.network import Network

__all__ = ["branches", "lanes", "named_layers", "way_to"]


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


def way_to(network: Network, name: str) -> dict[str, Layer]:
    """The layers that an image passes one after another up to a layer, by full name.

    Raises:
        DataError: for a layer that there is not.
    """
    return _way(network.layers, name, "")


def _way(chain: Mapping[str, Layer], name: str, prefix: str) -> dict[str, Layer]:
    before: dict[str, Layer] = {}
    for key, layer in chain.items():
        full = f"{prefix}{key}"
        if full == name:
            return before | {full: layer}
        if name.startswith(f"{full}."):
            child = name.removeprefix(f"{full}.").partition(".")[0]
            for branch in branches(layer):  # which do not feed each other
                if child in branch:
                    return before | _way(branch, name, f"{full}.")
        before[full] = layer
    raise unknown_layer(name, chain)
