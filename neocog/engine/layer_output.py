"""The output of one layer when a network predicts."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.engine.lowering import lower
from neocog.engine.program import Program
from neocog.engine.schedule import inference_plan
from neocog.engine.state import fill_preprocessing, write_state
from neocog.engine.trainer import check_images
from neocog.layers import Graph
from neocog.preprocessing import Preprocessing

__all__ = ["LayerOutput"]

Floats = NDArray[np.float32]


class LayerOutput:
    """Computes the output map of a layer that is not fused with another one, on one thread.

    Args:
        graph: the network.
        state: its parameters and buffers by name, which are copied.
        preprocessing: how pixels become its inputs.
        layer: the layer's full name.
    """

    def __init__(
        self,
        graph: Graph,
        state: Mapping[str, NDArray[Any]],
        preprocessing: Preprocessing,
        layer: str,
    ) -> None:
        self._graph = graph
        ops = lower(graph, training=False)
        # The last one: a layer may be several operations.
        self._tensor = next(op.y for op in reversed(ops) if op.name == layer)
        self._program = Program(inference_plan(ops), 1, 1)
        fill_preprocessing(self._program, graph.input_shape, preprocessing)
        write_state(self._program, ops, state)

    def of(self, image: NDArray[np.uint8]) -> Floats:
        """The output, float32 [channels, height, width], for an image uint8 [h, w, channels].

        Raises:
            DataError: if the network does not accept the image.
        """
        check_images(self._graph.input_shape, image[None])
        ends = np.empty((2, self._graph.output_shape[0]), np.float32)
        given = np.ascontiguousarray(image)
        self._program.bind({"images": given, "scores": ends[0], "probabilities": ends[1]})
        self._program.run_once(1)
        return self._program.memory.map(self._tensor.name, self._tensor.map)
