"""Scores and probabilities of images, by a program that is kept with the network.

Threads take images; one image alone of a network that multiplies much is shared by them, layer by
layer. There a layer whose weights come from memory is convolved directly, not by Winograd's
algorithm, so its scores may differ from those in company by rounding. Threads change nothing.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.engine.cores import available_threads, useful_threads
from neocog.engine.lowering import lower
from neocog.engine.program import Program
from neocog.engine.schedule import inference_plan
from neocog.engine.state import fill_preprocessing, write_state
from neocog.engine.trainer import check_images
from neocog.layers import Graph
from neocog.limits import MOST_THREADS
from neocog.preprocessing import Preprocessing
from neocog.summary import cost
from neocog.validation import whole

__all__ = ["Predictor"]

Floats = NDArray[np.float32]

# Less work than this is not worth starting a thread for: about 0.1 ms, in multiplications; or so
# many images, of a network that hardly multiplies.
_WORK_A_THREAD = 5_000_000
_IMAGES_A_THREAD = 16
# One image of a network that multiplies so often is shared by threads. With 40 million, resnet20
# was no faster on two cores: maps pass from one's cache to the other's at every layer.
_SHARED = 60_000_000


class Predictor:
    """Scores and probabilities of images; any number of threads may ask at once.

    It has programs for one state of a network's parameters, and each call takes one that is free.

    Args:
        graph: the network.
        state: its parameters and buffers by name, which nobody changes from now on.
        preprocessing: how pixels become its inputs.
    """

    def __init__(
        self, graph: Graph, state: Mapping[str, NDArray[Any]], preprocessing: Preprocessing
    ) -> None:
        self._graph = graph
        self._state = state
        self._preprocessing = preprocessing
        self._free: dict[tuple[int, bool], list[Program]] = {}
        self._free_small: list[tuple[Program, NDArray[np.uint8], Floats]] = []
        work = cost(graph).multiply_adds
        self._images_a_thread = min(_IMAGES_A_THREAD, -(-_WORK_A_THREAD // max(1, work)))
        self._most_small = 2 * self._images_a_thread - 1
        self._is_shared = work >= _SHARED

    def _new(self, workers: int, *, single_image: bool = False) -> Program:
        ops = lower(self._graph, training=False, single_image=single_image)
        program = Program(inference_plan(ops, single_image=single_image), workers, 1)
        fill_preprocessing(program, self._graph.input_shape, self._preprocessing)
        write_state(program, ops, self._state)
        return program

    def _empty(self, n: int) -> Floats:
        return np.empty((2, n, self._graph.output_shape[0]), np.float32)

    def predict(self, images: NDArray[np.uint8], threads: int | None = None) -> Floats:
        """Scores, and softmax of them, float32 [2, n, classes].

        Args:
            images: uint8 [n, height, width, channels], or what `as_images` makes such an array of.
            threads: workers; the cores there are, if None.

        Raises:
            DataError: for images that the network does not take.
        """
        images = np.ascontiguousarray(check_images(self._graph.input_shape, images))
        if threads is not None:
            threads = useful_threads(whole("threads", threads, 1, MOST_THREADS))
        if len(images) == 0:
            return self._empty(0)
        single_image = len(images) == 1 and self._is_shared
        if len(images) <= self._most_small and not single_image:
            return self._run_small(images)
        found = self._empty(len(images))
        workers = threads or available_threads()
        if not single_image:
            workers = max(1, min(workers, len(images) // self._images_a_thread))
        free = self._free.setdefault((workers, single_image), [])
        # A list's pop and append are atomic, so threads can share it.
        try:
            program = free.pop()
        except IndexError:
            program = self._new(workers, single_image=single_image)
        program.bind({"images": images, "scores": found[0], "probabilities": found[1]})
        program.run_once(len(images))
        program.release()  # or it would keep the images
        free.append(program)
        return found

    def _run_small(self, images: NDArray[np.uint8]) -> Floats:
        """The same on one thread, through arrays that stay bound: binding takes 7 µs."""
        try:
            program, given, found = self._free_small.pop()
        except IndexError:
            program = self._new(1)
            given = np.empty((self._most_small, *images.shape[1:]), np.uint8)
            found = self._empty(self._most_small)
            program.bind({"images": given, "scores": found[0], "probabilities": found[1]})
        n = len(images)
        given[:n] = images
        program.run_once(n)
        result = found[:, :n].copy()
        self._free_small.append((program, given, found))
        return result
