"""The one picture that is looked at, and what it is said to show."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.data.images import Dataset
from neocog.network import Network
from neocog.validation import shown
from neocog.web.refusal import RefusedError

__all__ = ["Picture"]


class Picture:
    """A test image, or one of the user's own; gray where there is none yet.

    Args:
        network: whose input it is.
        test: images to choose from; None if there are none.

    Attributes:
        image: uint8 [height, width, channels].
        label: the class's number; None for the one that the network finds likeliest.
        number: grows with each image or label.
    """

    def __init__(self, network: Network, test: Dataset | None) -> None:
        self._network = network
        self._test = test if test is not None and len(test) else None
        self.number = 0
        channels, height, width = network.input_shape
        self._show(np.full((height, width, channels), 128, np.uint8), "none", None, None)
        if self._test is not None:
            self.choose(0)

    def _show(
        self, image: NDArray[np.uint8], source: str, index: int | None, label: int | None
    ) -> None:
        self.image, self._source, self._index, self.label = image, source, index, label
        self.number += 1

    def state(self) -> dict[str, Any]:
        """Which it is, as plain data."""
        return {
            "number": self.number,
            "source": self._source,
            "index": self._index,
            "label": self.label,
        }

    def _images(self) -> Dataset:
        if self._test is None:
            raise RefusedError("There are no data to choose from: start it with --data.", 409)
        return self._test

    def choose(self, index: int) -> None:
        """Take a test image, and its class as the label."""
        test = self._images()
        if not 0 <= index < len(test):
            raise RefusedError(f"index (={index}) must be a test image, from 0 to {len(test) - 1}.")
        self._show(test.images[index], "test", index, int(test.labels[index]))

    def move(self, where: str) -> None:
        """Take the ``next``, ``previous`` or a ``random`` test image."""
        count = len(self._images())
        if where == "random":
            index = int(np.random.default_rng().integers(count))
        elif self._index is None:
            index = 0
        else:
            index = (self._index + (1 if where == "next" else -1)) % count
        self.choose(index)

    def upload(self, image: NDArray[np.uint8]) -> None:
        """Take one of the user's own, of the network's input's shape; it has no label at first."""
        self._show(image, "upload", None, None)

    def set_label(self, label: object) -> None:
        """Say what it shows: a class's name or number, or None for the likeliest."""
        names = self._network.classes or tuple(map(str, range(self._network.output_shape[0])))
        if isinstance(label, str) and label in names:
            self.label = names.index(label)
        elif label is None:
            self.label = None
        elif isinstance(label, int) and not isinstance(label, bool) and 0 <= label < len(names):
            self.label = label
        else:
            listed = ", ".join(names[:20]) + (" …" if len(names) > 20 else "")
            raise RefusedError(f"There is no class {shown(label)}. Known: {listed}.")
        self.number += 1
