"""Scores and probabilities of images by PyTorch, as `neocog.engines.Predicts` asks for them.

They are computed in float32 with a network's weights as they are, which stay on the device. Images
are sent to it in batches. A GPU is waited for only once it has the next batch to compute.
"""

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from neocog.engine.cores import useful_threads
from neocog.engine.trainer import check_images
from neocog.layers import Graph
from neocog.limits import MOST_THREADS
from neocog.preprocessing import Preprocessing
from neocog.torch_engine.batches import Normalize, sent
from neocog.torch_engine.devices import computing, explained
from neocog.torch_engine.module import new_module
from neocog.validation import whole

__all__ = ["TorchPredictor"]

Floats = NDArray[np.float32]

# Bytes that the maps of a batch may take on a GPU and on the CPU, and the most images of a batch.
_ON_GPU, _ON_CPU, _MOST = 1 << 30, 1 << 26, 4096
# Of a layer that has more than any other: its input, its output, and what is in between.
_MAPS = 4
_ADVICE = "Take device='cpu', or engine='neocog'."


class TorchPredictor:
    """Scores and probabilities of images on a device; threads that ask at once take turns.

    Args:
        graph: the network.
        state: its parameters and buffers by name.
        preprocessing: how pixels become its inputs.
        device: as `torch.device` takes it.

    Raises:
        NeocogError: PyTorch cannot compute the network there.
    """

    def __init__(
        self,
        graph: Graph,
        state: Mapping[str, NDArray[Any]],
        preprocessing: Preprocessing,
        *,
        device: str = "cpu",
    ) -> None:
        self._graph = graph
        self._device = torch.device(device)
        with explained(_ADVICE):
            module = new_module(graph)
            module.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in state.items()})
            self._module = module.to(device=self._device, memory_format=torch.channels_last).eval()
            self._normalize = Normalize(preprocessing, self._device)
        largest = max(int(np.prod(shape)) for shape in (graph.input_shape, *graph.shapes.values()))
        room = _ON_CPU if self._device.type == "cpu" else _ON_GPU
        self._batch = max(1, min(_MOST, room // (4 * _MAPS * largest)))
        self._lock = threading.Lock()

    def predict(self, images: NDArray[np.uint8], threads: int | None = None) -> Floats:
        """Scores, and softmax of them, float32 [2, n, outputs].

        Args:
            images: uint8 [n, height, width, channels], or what `as_images` makes such an array of.
            threads: of the CPU; the cores there are, if None.

        Raises:
            DataError: for images that the network does not take.
            NeocogError: the device has too little memory.
        """
        images = check_images(self._graph.input_shape, images)
        if threads is not None:
            threads = whole("threads", threads, 1, MOST_THREADS)
        found = torch.empty((2, len(images), self._graph.output_shape[0]))
        waiting: tuple[slice, torch.Tensor] | None = None
        with (
            self._lock,
            explained(_ADVICE),
            computing(self._device, useful_threads(threads)),
            torch.inference_mode(),
        ):
            for first in range(0, len(images), self._batch):
                some = slice(first, first + self._batch)
                # A copy, as PyTorch warns of arrays that cannot be written to.
                x = sent(torch.from_numpy(np.array(images[some], order="C")), self._device)
                scores = self._module(self._normalize(x))
                if waiting is not None:
                    _fetch(found, *waiting)
                waiting = some, scores
            if waiting is not None:
                _fetch(found, *waiting)
        return found.numpy()  # type: ignore[no-any-return]


def _fetch(found: torch.Tensor, some: slice, scores: torch.Tensor) -> None:
    """Wait for the scores of some images, and write them and their softmax to their places."""
    found[0, some] = scores.cpu()
    found[1, some] = torch.softmax(found[0, some], 1)
