"""In which order each epoch of a training shows the images."""

import numpy as np
from numpy.typing import NDArray

from neocog.random.torch_stream import TorchStream
from neocog.training.balance import balanced_order

__all__ = ["Orders"]


class Orders:
    """The order of this epoch's images, and the next one's, drawn while this one runs.

    Args:
        stream: from which they are drawn.
        labels: int64 [n], of the images.
        epochs: how many orders are wanted.
        balanced: whether each class is shown equally often; else each image is shown once.
    """

    def __init__(
        self, stream: TorchStream, labels: NDArray[np.int64], epochs: int, *, balanced: bool = False
    ) -> None:
        self._stream = stream
        self._labels = labels
        self._balanced = balanced
        self._left = epochs - 1
        self.current = self._draw()
        #: The stream as it was behind this epoch's order.
        self.state = stream.get_state()
        self._next = self.current, self.state

    def _draw(self) -> NDArray[np.int64]:
        if self._balanced:
            return balanced_order(self._stream, self._labels)
        return self._stream.epoch_order(len(self._labels))

    def draw(self) -> None:
        """Draw the next epoch's, if there is one."""
        if self._left > 0:
            self._left -= 1
            order = self._draw()
            self._next = order, self._stream.get_state()

    def advance(self) -> None:
        """Go on to the next epoch's."""
        self.current, self.state = self._next
