"""Small pictures for a network of larger ones: the network enlarges them itself.

Layers in front of it repeat each pixel s times along rows and columns, and take the mean over s of
them in both directions, which is linear interpolation: a kernel of ones over s, whose ends count
half where s is even, so that it has a middle. Pixels beyond the border are those at the border. So
pictures keep their own size in memory, in files and on the way to the network, and whoever
predicts, evaluates or exports needs nothing else.
"""

from collections.abc import Mapping
from dataclasses import replace
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from neocog.errors import ArchitectureError
from neocog.layers import Conv2d, Graph, Layer, Node, Sequential, Upsample
from neocog.layers.graph import IMAGE
from neocog.network import Network

__all__ = ["enlarging_layers", "for_small", "small_side"]

_NAME = "enlarge"


def for_small(network: Network, height: int, width: int) -> Network:
    """The network for pictures of this size, if they are at most about half as large as its own.

    Otherwise, and where it cannot take another size than its own, it is the network itself. The
    enlarged pictures are as near to its own size as whole factors allow.

    Args:
        network: with weights.
        height: of the pictures.
        width: of the pictures.
    """
    channels, *own = network.input_shape
    if not (height and width):
        return network
    factor = round(sqrt(own[0] * own[1] / (height * width)))
    if factor < 2 or height > own[0] or width > own[1]:
        return network
    name = _NAME
    while name in network.layers:
        name += "_"
    kernel = _kernel(factor)
    around = len(kernel)
    nodes = [
        replace(node, inputs=tuple(name if one == IMAGE else one for one in node.inputs))
        for node in network.graph.given
    ]
    try:
        graph = Graph([Node(name, _enlarging(channels, factor)), *nodes], (channels, height, width))
    except ArchitectureError:  # such as a linear layer that reads a map of one size
        return network
    found = Network.from_graph(graph, preprocessing=network.preprocessing)
    state = network.state_dict()
    for direction, shape in (("rows", (around, 1)), ("columns", (1, around))):
        weight = np.broadcast_to(kernel.reshape(shape), (channels, 1, *shape))
        state[f"{name}.{direction}.weight"] = np.ascontiguousarray(weight)
    found.load_state_dict(state)
    return found


def _enlarging(channels: int, factor: int) -> Sequential:
    around = len(_kernel(factor))
    return Sequential(
        repeat=Upsample(scale_factor=factor),
        rows=_mean_over(channels, (around, 1)),
        columns=_mean_over(channels, (1, around)),
    )


def _mean_over(channels: int, size: tuple[int, int]) -> Conv2d:
    half = size[0] // 2, size[1] // 2
    how = "replicate"
    return Conv2d(
        channels, channels, size, padding=half, groups=channels, bias=False, padding_mode=how
    )


def _kernel(factor: int) -> NDArray[np.float32]:
    kernel = np.ones(factor + 1 - factor % 2, np.float32)
    if factor % 2 == 0:
        kernel[[0, -1]] = 0.5
    return kernel / np.float32(factor)


def enlarging_layers(graph: Graph) -> list[str]:
    """The names of the layers that enlarge pictures, whose weights are no weights to learn.

    They are those of `for_small`: layers that only have such a name are other people's.
    """
    leaves = graph.leaves
    begins = (name.removesuffix(".repeat") for name in leaves if name.endswith(".repeat"))
    return [name for name in begins if name.startswith(_NAME) and _enlarges(name, leaves)]


def _enlarges(name: str, leaves: Mapping[str, Layer]) -> bool:
    repeat, rows = leaves[f"{name}.repeat"], leaves.get(f"{name}.rows")
    if not (isinstance(repeat, Upsample) and isinstance(rows, Conv2d)):
        return False
    made = _enlarging(rows.in_channels, repeat.scale[0])
    return all(leaves.get(f"{name}.{key}") == layer for key, layer in made.layers)


def small_side(shape: tuple[int, int, int], shorter_side: float) -> int | None:
    """The side of square images for pictures that are to be enlarged; None if they are not small.

    Args:
        shape: (channels, height, width) of the network's images.
        shorter_side: of the pictures, in pixels.
    """
    side = min(shape[1:])
    if shape[1] != shape[2] or shorter_side > side / 2:
        return None
    return next(size for size in range(1, side + 1) if side % size == 0 and size >= shorter_side)
