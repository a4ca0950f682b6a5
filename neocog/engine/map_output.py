"""The last feature map of a network that ends in a map, for many images."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.engine.cores import available_threads, useful_threads
from neocog.engine.lowering import lower
from neocog.engine.ops import PoolingOp
from neocog.engine.program import Program
from neocog.engine.schedule import inference_plan
from neocog.engine.state import fill_preprocessing, write_state
from neocog.engine.trainer import check_images
from neocog.layers import AdaptiveAvgPool2d, Flatten, Graph, Node
from neocog.layers.base import feature_map
from neocog.preprocessing import Preprocessing

__all__ = ["MapOutput"]

# Images that a thread takes at a time.
_AT_A_TIME = 8
_POOL, _FLAT = "map output pooled", "map output flattened"


class MapOutput:
    """Computes the map that a graph ends in.

    Every image is computed alone by one thread, so its numbers depend neither on the other images
    nor on how many threads there are.

    Args:
        graph: its last layer gives a map (channels, height, width).
        state: its parameters and buffers by name, which are copied.
        preprocessing: how pixels become its inputs.
        threads: as many work at once; the cores there are, if None.
    """

    def __init__(
        self,
        graph: Graph,
        state: Mapping[str, NDArray[Any]],
        preprocessing: Preprocessing,
        threads: int | None = None,
    ) -> None:
        self._last = graph.nodes[-1].layer
        #: (channels, height, width) of the map.
        self.shape = feature_map(self._last, graph.output_shape)
        # The engine's programs end in a vector. The mean of each channel costs next to nothing.
        ends = [Node(_POOL, AdaptiveAvgPool2d(1)), Node(_FLAT, Flatten())]
        self._graph = Graph([*graph.given, *ends], graph.input_shape)
        self._state, self._preprocessing = state, preprocessing
        self._threads = available_threads() if threads is None else useful_threads(threads)
        self._free: list[_Alone] = []

    def of(self, images: NDArray[np.uint8], into: NDArray[np.floating[Any]]) -> None:
        """Fill `into` with the maps of images.

        Args:
            images: uint8 [n, height, width, channels] of the network's input shape.
            into: float16 or float32 [n, height, width, channels] of the map.

        Raises:
            DataError: images of another shape.
        """
        images = check_images(self._graph.input_shape, images)

        def some(first: int) -> None:
            try:
                one = self._free.pop()
            except IndexError:
                one = _Alone(self._graph, self._state, self._preprocessing)
            for index in range(first, min(first + _AT_A_TIME, len(images))):
                one.compute(images[index], into[index])
            self._free.append(one)

        begins = range(0, len(images), _AT_A_TIME)
        if self._threads == 1 or len(begins) < 2:
            for first in begins:
                some(first)
            return
        some(0)  # by this thread alone, which compiles what has to be
        with ThreadPoolExecutor(self._threads) as pool:
            try:
                for _ in pool.map(some, begins[1:]):
                    pass
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


class _Alone:
    """A program of one thread for one image at a time, with arrays that stay bound."""

    def __init__(
        self, graph: Graph, state: Mapping[str, NDArray[Any]], preprocessing: Preprocessing
    ) -> None:
        ops = lower(graph, training=False)
        pooling = next(op for op in ops if isinstance(op, PoolingOp) and op.name == _POOL)
        self._tensor = pooling.x
        self._program = Program(inference_plan(ops), 1, 1)
        fill_preprocessing(self._program, graph.input_shape, preprocessing)
        write_state(self._program, ops, state)
        channels, height, width = graph.input_shape
        self._image = np.empty((height, width, channels), np.uint8)
        self._ends = np.empty((2, graph.output_shape[0]), np.float32)
        scores, probabilities = self._ends
        outside: dict[str, NDArray[Any]] = {"images": self._image}
        self._program.bind({**outside, "scores": scores, "probabilities": probabilities})

    def compute(self, image: NDArray[np.uint8], into: NDArray[np.floating[Any]]) -> None:
        self._image[:] = image
        self._program.run_once(1)
        size = self._tensor.map
        whole = self._program.memory.array(self._tensor.name, np.float32)[: size.content]
        rows = whole.reshape(-1, size.row // size.pixel, size.pixel)
        inside = rows[size.border_h :, size.border_w :][: size.height, : size.width]
        into[:] = inside[:, :, : size.channels]
