"""Scores and probabilities of images, by a program that is kept with the network."""

import numpy as np
from numpy.typing import NDArray

from neocog.engine.cores import available_threads
from neocog.engine.lower import lower
from neocog.engine.program import Program
from neocog.engine.schedule import inference_plan
from neocog.engine.state import fill_preprocessing, write_state
from neocog.engine.trainer import check_images
from neocog.errors import NeocogError
from neocog.network import Network

__all__ = ["predict_probabilities", "predict_scores"]

Floats = NDArray[np.float32]

# Fewer images than this are not worth starting a thread for: about 0.1 ms.
_IMAGES_A_THREAD = 16
_SMALL = 2 * _IMAGES_A_THREAD - 1


class _Predictor:
    """Programs for one state of a network's parameters; each call takes one that is free."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._state = network.state_dict()
        self._free: dict[int, list[Program]] = {}
        self._free_small: list[tuple[Program, NDArray[np.uint8], Floats]] = []

    def _new(self, workers: int) -> Program:
        stages = lower(self._network, training=False)
        program = Program(inference_plan(stages), workers, 1)
        fill_preprocessing(program, self._network)
        write_state(program, stages, self._state)
        return program

    def _empty(self, n: int) -> Floats:
        return np.empty((2, n, self._network.output_shape[0]), np.float32)

    def run(self, images: NDArray[np.uint8], threads: int | None) -> Floats:
        """Scores and probabilities, float32 [2, n, classes]."""
        if len(images) == 0:
            return self._empty(0)
        if len(images) <= _SMALL:
            return self._run_small(images)
        found = self._empty(len(images))
        workers = max(1, min(threads or available_threads(), len(images) // _IMAGES_A_THREAD))
        free = self._free.setdefault(workers, [])
        # A list's pop and append are atomic, so threads can share it.
        try:
            program = free.pop()
        except IndexError:
            program = self._new(workers)
        program.bind({"images": images, "scores": found[0], "probabilities": found[1]})
        program.run_once(len(images))
        free.append(program)
        return found

    def _run_small(self, images: NDArray[np.uint8]) -> Floats:
        """The same on one thread, through arrays that stay bound: binding takes 7 µs."""
        try:
            program, given, found = self._free_small.pop()
        except IndexError:
            program = self._new(1)
            given, found = np.empty((_SMALL, *images.shape[1:]), np.uint8), self._empty(_SMALL)
            program.bind({"images": given, "scores": found[0], "probabilities": found[1]})
        n = len(images)
        given[:n] = images
        program.run_once(n)
        result = found[:, :n].copy()
        self._free_small.append((program, given, found))
        return result


def _predict(network: Network, images: NDArray[np.uint8], threads: int | None) -> Floats:
    check_images(network, images)
    if threads is not None and threads < 1:
        raise NeocogError(f"threads (={threads}) must be at least 1.")
    predictor = network.kept_predictor(_Predictor)
    return predictor.run(np.ascontiguousarray(images), threads)


def predict_scores(
    network: Network, images: NDArray[np.uint8], *, threads: int | None = None
) -> Floats:
    """The network's outputs before softmax, float32 [n, classes]."""
    scores: Floats = _predict(network, images, threads)[0]
    return scores


def predict_probabilities(
    network: Network, images: NDArray[np.uint8], *, threads: int | None = None
) -> Floats:
    """Probabilities of the classes, float32 [n, classes]."""
    probabilities: Floats = _predict(network, images, threads)[1]
    return probabilities
