"""The filters of a network's first convolution, which see the pixels directly."""

from typing import Any

from neocog.explanation.page.message import Block
from neocog.layers import Conv2d
from neocog.network import Network

__all__ = ["first_filters"]

_MOST_FILTERS, _MOST_SIDE = 64, 16


def first_filters(network: Network, block: Block) -> dict[str, Any] | None:
    """The weights of the first filters, and the number of all; None without a convolution.

    If filters do not have three inputs, the weights of the first input are shown.
    """
    for name, layer in network.leaves.items():
        if isinstance(layer, Conv2d):
            weight = network.state_dict()[f"{name}.weight"]
            count, inputs, height, width = weight.shape
            if max(height, width) > _MOST_SIDE:
                return None
            shown = weight[:_MOST_FILTERS, : 3 if inputs == 3 else 1]
            return {"layer": name, "count": count, "inputs": inputs, "weight": block.add(shown)}
    return None
