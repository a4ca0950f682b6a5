"""In which order each epoch of a training shows the images."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.random.torch_stream import TorchStream
from neocog.training.balance import balanced_order

__all__ = ["Orders"]

StreamState = Mapping[str, NDArray[Any]]


class Orders:
    """The order of this epoch's images, and the next one's, drawn while this one runs.

    Args:
        stream: from which they are drawn.
        labels: int64 [n], of the images.
        epochs: how many orders are wanted.
        balanced: whether each class is shown equally often; else each image is shown once.

    Attributes:
        current: this epoch's, int64 [n].
        state_before: of the stream, before this epoch's order was drawn; a checkpoint keeps it.
        state: of the stream behind this epoch's order.
    """

    def __init__(
        self, stream: TorchStream, labels: NDArray[np.int64], epochs: int, *, balanced: bool = False
    ) -> None:
        self._stream = stream
        self._labels = labels
        self._balanced = balanced
        self._left = epochs - 1
        self.state_before: StreamState = stream.get_state()
        self.current = self._draw()
        self.state: StreamState = stream.get_state()
        self._next: tuple[NDArray[np.int64], StreamState] | None = None

    def _draw(self) -> NDArray[np.int64]:
        if self._balanced:
            return balanced_order(self._stream, self._labels)
        return self._stream.epoch_order(len(self._labels))

    def draw(self) -> None:
        """Draw the next epoch's, if there is one and it is not there yet."""
        if self._left > 0 and self._next is None:
            self._left -= 1
            order = self._draw()
            self._next = order, self._stream.get_state()

    def advance(self) -> None:
        """Go on to the next epoch's."""
        self.draw()
        if self._next is None:
            raise ValueError("There are no more epochs.")
        self.state_before = self.state
        self.current, self.state = self._next
        self._next = None
