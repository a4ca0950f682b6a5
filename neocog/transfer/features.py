"""What the lower part of a network computes of pictures: vectors or maps, the same bits always.

A picture's numbers depend on its pixels and on the network alone: not on the pictures beside it,
and not on the number of threads.
"""

import hashlib
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.engine.map_output import MapOutput
from neocog.engine.predictor import Predictor
from neocog.kernels.compiler.kernel_cache import cache_folder
from neocog.layers import Flatten, Graph, Shape
from neocog.layers.registry import describe_node
from neocog.network import Network
from neocog.transfer.cut import features_place, lower_of, part_of_state

__all__ = ["Features"]

Floats = NDArray[np.floating[Any]]


class Features:
    """The lower part of a network, which gives numbers for pictures.

    Args:
        network: with weights; later changes of it change nothing here.
        place: the layer whose output is wanted; by default what the last linear layer reads.
        threads: as many work at once; the cores there are, if None.

    Raises:
        ArchitectureError: the network has no weights, or cannot be cut there.
    """

    def __init__(
        self, network: Network, place: str | None = None, threads: int | None = None
    ) -> None:
        self.place = features_place(network.graph) if place is None else place
        self._threads = threads
        graph = lower_of(network.graph, self.place)
        self._flattens = _flattens_a_map(graph)
        if self._flattens:  # the engine keeps such a vector in another order than PyTorch
            graph = lower_of(graph, graph.nodes[graph.sources[-1][0]].name)
        state = part_of_state(graph, network.state_dict())
        self._graph, self._preprocessing = graph, network.preprocessing
        self._computes: MapOutput | Predictor
        if len(graph.output_shape) == 3:
            self._computes = MapOutput(graph, state, network.preprocessing, threads)
        else:
            self._computes = Predictor(graph, state, network.preprocessing)
        self._state = state

    @property
    def shape(self) -> Shape:
        """Of a picture's numbers: (features,), or (height, width, channels) of a map."""
        shape = self._graph.output_shape
        if self._flattens:
            return (int(np.prod(shape)),)
        return (*shape[1:], shape[0]) if len(shape) == 3 else shape

    @property
    def dtype(self) -> type[np.floating[Any]]:
        """How the numbers are kept: float32 of vectors, float16 of maps, which are many."""
        return np.float32 if len(self.shape) == 1 else np.float16

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of a picture."""
        return self._graph.input_shape

    def mark(self) -> str:
        """A hash of all that a picture's numbers depend on besides its pixels: 64 hex digits."""
        nodes = [describe_node(node) for node in self._graph.nodes]
        folder = cache_folder()
        how = self._preprocessing
        about = [nodes, self.input_shape, how.mean, how.std, self._flattens]
        kernels = None if folder is None else folder.name  # of their sources and vectors
        digest = hashlib.sha256(json.dumps([*about, kernels]).encode())
        for name, array in self._state.items():
            digest.update(f"\0{name} {array.dtype} {array.shape}\0".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def of(self, images: NDArray[np.uint8]) -> Floats:
        """The numbers of pictures, [n, *shape].

        Args:
            images: uint8 [n, height, width, channels] of the network's input shape.

        Raises:
            DataError: pictures of another shape.
        """
        if isinstance(self._computes, Predictor):
            # One picture alone would be computed in another way, with other last bits.
            given = np.repeat(images, 2, axis=0) if len(images) == 1 else images
            scores: Floats = self._computes.predict(given, self._threads)[0]
            return scores[: len(images)]
        channels, height, width = self._computes.shape
        kind = np.float32 if self._flattens else np.float16
        found = np.empty((len(images), height, width, channels), kind)
        self._computes.of(images, found)
        if self._flattens:
            return np.ascontiguousarray(found.transpose(0, 3, 1, 2)).reshape(len(images), -1)
        return found


def _flattens_a_map(graph: Graph) -> bool:
    """Whether a graph ends in the vector of a map of more than one pixel."""
    end = graph.nodes[-1]
    if not isinstance(end.layer, Flatten):
        return False
    source = graph.sources[-1][0]
    shape = graph.input_shape if source < 0 else graph.shapes[graph.nodes[source].name]
    return len(shape) == 3 and shape[1:] != (1, 1)
