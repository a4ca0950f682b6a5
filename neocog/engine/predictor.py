"""Scores and probabilities of images, by a program that is kept with the network.

Threads take whole images. A single image of a network with many multiplications is split among
them, layer by layer. Then a layer whose weights come from memory is convolved directly instead of
by Winograd's algorithm, so the scores may differ by rounding from those of the same image in a
batch. The number of threads changes nothing.
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

# Multiplications, about 0.1 ms of work, below which starting a thread does not pay; and the number
# of images, for networks with hardly any multiplications.
_WORK_A_THREAD = 5_000_000
_IMAGES_A_THREAD = 16
# Multiplications from which on threads split a single image. resnet20, with 40 million, was no
# faster on two cores: at every layer maps move from one core's cache to the other's.
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
        plan = inference_plan(ops, single_image=single_image, workers=workers)
        program = Program(plan, workers, 1)
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
        results = self._empty(len(images))
        workers = threads or available_threads()
        if not single_image:
            workers = max(1, min(workers, len(images) // self._images_a_thread))
        free = self._free.setdefault((workers, single_image), [])
        # A list's pop and append are atomic, so threads need no lock.
        try:
            program = free.pop()
        except IndexError:
            program = self._new(workers, single_image=single_image)
        program.bind({"images": images, "scores": results[0], "probabilities": results[1]})
        program.run_once(len(images))
        program.release()  # so that it does not keep the images alive
        free.append(program)
        return results

    def _run_small(self, images: NDArray[np.uint8]) -> Floats:
        """`run` on one thread, with arrays that stay bound, because binding takes 7 µs."""
        try:
            program, given, results = self._free_small.pop()
        except IndexError:
            program = self._new(1)
            given = np.empty((self._most_small, *images.shape[1:]), np.uint8)
            results = self._empty(self._most_small)
            program.bind({"images": given, "scores": results[0], "probabilities": results[1]})
        n = len(images)
        given[:n] = images
        program.run_once(n)
        result = results[:, :n].copy()
        self._free_small.append((program, given, results))
        return result
