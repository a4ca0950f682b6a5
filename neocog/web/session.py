"""One explorer, shared by all open pages."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from neocog.data import Data
from neocog.data.picture import read_picture
from neocog.explanation.page.bounds import MOST_PHOTOGRAPH_SIDE
from neocog.explanation.photograph import Photograph, read_photograph
from neocog.network import Network
from neocog.web.events import Events
from neocog.web.explorer import Explorer
from neocog.web.worker_thread import WorkerThread

__all__ = ["Session"]

T = TypeVar("T")


class Session:
    """An `Explorer` that many threads can use, one after another.

    Args:
        network, data, name, clock: for the `Explorer`.
        **settings: its other arguments.
    """

    def __init__(
        self,
        network: Network,
        data: Data | None,
        name: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        **settings: Any,
    ) -> None:
        self.events = Events(clock)
        explorer = Explorer(network, data, name, self.events, clock=clock, **settings)
        #: What does not change, as plain data.
        self.about = explorer.about()
        self._resize = network.preprocessing.resize
        #: Tells it from another explorer that has the same address later.
        self.instance = explorer.instance
        self._explorer = explorer
        self._worker = WorkerThread(explorer.work)
        self._decoder = WorkerThread(lambda: False)

    def ask(self, what: Callable[[Explorer], T]) -> "Future[T]":
        """Run a function of the explorer between two training steps."""
        return self._worker.ask(lambda: what(self._explorer))

    def decode(self, content: bytes) -> "Future[tuple[NDArray[np.uint8], Photograph]]":
        """Decode a picture's file, beside the training, one at a time.

        Returns:
            The network's input, and the photograph itself.
        """
        channels, height, width = self.about["input_shape"]
        shape = channels, height, width

        def decoded() -> tuple[NDArray[np.uint8], Photograph]:
            image = read_picture(content, shape, self._resize)
            return image, read_photograph(content, shape, self._resize, MOST_PHOTOGRAPH_SIDE)

        return self._decoder.ask(decoded)

    def close(self, seconds: float = 3.0) -> bool:
        """End training and all streams of events; whether training ended within `seconds`."""
        self.events.close()
        self._decoder.end(0)
        return self._worker.end(seconds)
