"""One explorer for every page that is open."""

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from neocog.data import Data
from neocog.data.picture import read_picture
from neocog.network import Network
from neocog.web.events import Events
from neocog.web.explorer import Explorer
from neocog.web.worker_thread import WorkerThread

__all__ = ["Session"]

T = TypeVar("T")


class Session:
    """An `Explorer` that many threads can ask, one after another; they all hear of its changes.

    Args:
        network, data, name, clock: as `Explorer` takes them.
        **settings: its others.
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
        #: Tells it from every other, as one that has the same address later.
        self.instance = explorer.instance
        self._explorer = explorer
        self._worker = WorkerThread(explorer.work)
        self._decoding = threading.Lock()

    def ask(self, what: Callable[[Explorer], T]) -> T:
        """Have the explorer do something, between two training steps, and give what that gives."""
        return self._worker.ask(lambda: what(self._explorer))

    def decode(self, content: bytes) -> NDArray[np.uint8]:
        """A picture's file as the network's input: one at a time, and nobody else waits for it."""
        channels, height, width = self.about["input_shape"]
        with self._decoding:
            return read_picture(content, (channels, height, width), self._resize)

    def close(self, seconds: float = 3.0) -> bool:
        """End training and every stream of events; whether all ended within so long."""
        self.events.close()
        return self._worker.end(seconds)
