"""Grad-CAM of misclassified images, without running the network backwards.

    L = ReLU(Σ_k α_k A_k),   α_k = mean over places of ∂z/∂A_k

where A are the last maps of at least 4 × 4 that the scores z depend on alone. Up to there the
engine predicts; behind it there is little, mostly a mean and a linear layer, whose gradient NumPy
computes. So nothing is compiled for it but a prediction, and it costs one for each image.

R. R. Selvaraju et al., "Grad-CAM" (2017).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from neocog.engine.map_output import MapOutput
from neocog.layers import Graph
from neocog.network import Network
from neocog.reference import backward_from
from neocog.settings.training import check_threads
from neocog.summary import cost
from neocog.transfer.cut import lower_of, part_of_state, upper_of

__all__ = ["grad_cams", "last_maps"]

# Rows and columns of a map that shows where something is; fewer if there is no such map.
_SIDE, _LEAST = 4, 2
# Multiply-adds behind the maps for which NumPy takes too long.
_MOST_BEHIND = 500_000_000

Floats = NDArray[np.float32]
Images = NDArray[np.uint8]


def last_maps(graph: Graph) -> str | None:
    """The last layer whose maps are at least 4 × 4, or 2 × 2, and lie on every path to the scores.

    None if there is none, or if too much lies behind it.
    """
    work = {layer.name: layer.multiply_adds for layer in cost(graph).layers}
    behind, farthest, fallback = 0, len(graph.nodes), None
    for at in range(len(graph.nodes) - 1, -1, -1):
        name = graph.nodes[at].name
        shape = graph.shapes[name]
        if farthest == at and behind <= _MOST_BEHIND and len(shape) == 3:
            if min(shape[1:]) >= _SIDE:
                return name
            if min(shape[1:]) >= _LEAST:
                fallback = fallback or name
        farthest = min(farthest, *graph.sources[at])
        behind += work.get(name, 0)
    return fallback


def grad_cams(
    network: Network,
    images: Images,
    labels: Sequence[tuple[int, ...]],
    threads: int | None = None,
) -> list[Floats] | None:
    """Grad-CAM of each image for some of its classes.

    Args:
        network: with weights.
        images: uint8 [n, height, width, channels].
        labels: for each image the numbers of the classes.
        threads: number of workers; None uses all available cores.

    Returns:
        For each image float32 [labels, rows, columns] in the size of the network's last maps; None
        for a network without such maps.
    """
    threads = check_threads(threads)
    place = last_maps(network.graph)
    if place is None:
        return None
    lower, upper = lower_of(network.graph, place), upper_of(network.graph, place)
    state = network.state_dict()
    engine = MapOutput(lower, part_of_state(lower, state), network.preprocessing, threads)
    of_upper, found = part_of_state(upper, state), []
    maps = np.empty((1, *engine.shape[1:], engine.shape[0]), np.float32)
    for image, classes in zip(images, labels, strict=True):
        engine.of(image[None], maps)
        features = maps[0].transpose(2, 0, 1)
        repeated = np.repeat(features[None], len(classes), axis=0)
        dz = np.zeros((len(classes), network.output_shape[0]), np.float32)
        dz[np.arange(len(classes)), list(classes)] = 1
        gradients = backward_from(upper, of_upper, repeated, dz, training=False)[1]["input"]
        weights = gradients.mean(axis=(2, 3))
        found.append(np.maximum(np.einsum("nk,khw->nhw", weights, features), 0).astype(np.float32))
    return found
