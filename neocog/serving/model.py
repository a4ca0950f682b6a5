"""The model that is served, and its replacement when its file changes.

A new file is loaded, and tried on images of noise, while the old model goes on answering. What
cannot be loaded, or gives numbers that are not finite, is refused, and the old model stays.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.answers import class_labels
from neocog.errors import NeocogError
from neocog.formats.hub_folder import CONFIG, is_hub_folder
from neocog.loading import open_saved
from neocog.network import Network
from neocog.run_files import model_of_run

__all__ = ["Model", "Served", "open_served"]

# Sizes of the batches that are tried, and seconds of one after which no larger one is.
_TRIED, _LONG = (1, 2, 8, 64), 0.25
# Seconds between two looks at the file. It must look the same twice before it is read, as it may
# just be written.
_LOOK = 0.5


class Served:
    """A network that answers.

    Args:
        network: with parameters.
        threads: workers of a prediction.
        notes: about how its file was read.
    """

    def __init__(self, network: Network, threads: int, notes: tuple[str, ...] = ()) -> None:
        self.network = network
        self.labels = class_labels(network)
        self.notes = notes
        self._threads = threads
        #: Twelve digits that differ for other weights, classes or preprocessing.
        self.version = _version(network)
        #: What a picture of a batch took in `try_out`, without what other processes took.
        self.seconds = 0.0

    def try_out(self) -> None:
        """Predict noise in batches of some sizes; its kernels are compiled then.

        Raises:
            NeocogError: the outputs are not finite.
        """
        channels, height, width = self.network.input_shape
        shape = (_TRIED[-1], height, width, channels)
        noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        for count in _TRIED:
            self.predict(noise[:count])  # kernels are compiled
            began = time.thread_time()
            self.predict(noise[:count])
            took = time.thread_time() - began
            self.seconds = took / count
            if took > _LONG:  # more at once would not be faster
                break

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probabilities, float32 [n, classes], of images uint8 [n, height, width, channels].

        Raises:
            NeocogError: they are not finite.
        """
        given = images
        if len(images) == 1:
            # A single image may be computed by other kernels, whose rounding differs. A result must
            # not depend on whether another picture came at the same time.
            given = np.concatenate([images, images])
        found = self.network.predict_proba(given, threads=self._threads)[: len(images)]
        if not np.isfinite(found).all():
            raise NeocogError("The model gives NaN or infinite outputs.")
        return found


def open_served(model: str, architecture: str | None, threads: int) -> Served:
    """Load a model and try it; its kernels are then compiled.

    Raises:
        NeocogError: it cannot be loaded, takes no pictures, has not one number for each output, or
            gives numbers that are not finite.
    """
    network, notes = open_saved(model, architecture)
    if len(network.output_shape) != 1:
        raise NeocogError(
            f"{model} ends in the shape {network.output_shape}; only a network that ends in one "
            "number for each class, label or value can be served."
        )
    if network.input_shape[0] not in (1, 3):
        raise NeocogError(
            f"{model} takes {network.input_shape[0]} channels, and pictures have 1 or 3, so it "
            "cannot be served: neocog.load(…).predict(images) takes arrays."
        )
    served = Served(network, threads, notes)
    try:
        served.try_out()
    except NeocogError as error:
        raise NeocogError(f"{model}: {error}") from error
    return served


class Model:
    """The model of a worker, which is replaced when its file changes.

    Args:
        model: a run folder or a file.
        architecture: as in `open_saved`.
        threads: workers of a prediction.
        say: called with what happens to the model, and whether it was replaced.
    """

    def __init__(
        self, model: str, architecture: str | None, threads: int, say: Callable[[str, bool], None]
    ) -> None:
        self._open = partial(open_served, model, architecture, threads)
        self._path = Path(model)
        self._say = say
        self._seen = _look(self._path)
        #: What answers now.
        self.current = self._open()

    async def watch(self) -> None:
        """Replace the model whenever its file changes; runs until it is canceled."""
        before = self._seen
        while True:
            await asyncio.sleep(_LOOK)
            now = await asyncio.to_thread(_look, self._path)
            if now is not None and now != self._seen and now == before:
                self._seen = now
                await self._replace()
            before = now

    async def _replace(self) -> None:
        try:
            found = await asyncio.to_thread(self._open)
        except Exception as error:  # whatever it is, the old model goes on
            self._say(f"The changed model is refused, and the old one stays: {error}", False)
            return
        if found.version != self.current.version:
            self.current = found
            self._say(f"The model was replaced: {found.version}.", True)


def _look(path: Path) -> tuple[Any, ...] | None:
    """What changes when a model's file does; None while there is none."""
    try:
        file: Path | None = path
        if path.is_dir():
            file = model_of_run(path) or (path / CONFIG if is_hub_folder(path) else None)
        if file is None:
            return None
        found = file.stat()
    except OSError:
        return None
    return (str(file), found.st_ino, found.st_size, found.st_mtime_ns)


def _version(network: Network) -> str:
    found = hashlib.sha256()
    about = (network.preprocessing, network.classes, network.temperature, network.threshold)
    found.update(repr((network.graph.nodes, network.input_shape, about)).encode())
    for name, array in network.parts().state.items():
        found.update(name.encode() + str(array.shape).encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()[:12]
