"""The picture that is explored, and its label."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.answers import class_labels
from neocog.data.images import Dataset
from neocog.explanation.photograph import Photograph
from neocog.http.refusal import RefusedError
from neocog.losses import OUTPUT_OF
from neocog.network import Network
from neocog.validation import shown

__all__ = ["Picture"]


class Picture:
    """A held-out image of the data, or one of the user's own; gray before there is one.

    Args:
        network: whose input it is.
        images: to choose from; None if there are none.
        part: what they are, "test" or "validation" images.

    Attributes:
        image: uint8 [height, width, channels].
        label: the number of its class, or of the label or number to explain; None for the most
            probable one, or the first number.
        targets: what is true of each output, float32 [outputs], where the data say that; else None.
        photograph: that an uploaded image is from; None for others.
        number: grows with each new image or label.
    """

    def __init__(self, network: Network, images: Dataset | None, part: str) -> None:
        self._network = network
        self._images = images if images is not None and len(images) else None
        self._part = part
        self.number = 0
        channels, height, width = network.input_shape
        self._show(np.full((height, width, channels), 128, np.uint8), "none", None, None)
        if self._images is not None:
            self.choose(0)

    def _show(
        self, image: NDArray[np.uint8], source: str, index: int | None, label: int | None
    ) -> None:
        self.image, self._source, self._index, self.label = image, source, index, label
        self.targets: NDArray[np.float32] | None = None
        self.photograph: Photograph | None = None
        self.number += 1

    def state(self) -> dict[str, Any]:
        """Which picture it is, as plain data."""
        return {
            "number": self.number,
            "source": self._source,
            "index": self._index,
            "label": self.label,
        }

    def _needed_images(self) -> Dataset:
        if self._images is None:
            raise RefusedError(
                "There are no images to choose from. Start neocog explore with --data.", 409
            )
        return self._images

    def choose(self, index: int) -> None:
        """Take a held-out image of the data, with its label or targets."""
        data = self._needed_images()
        if not 0 <= index < len(data):
            raise RefusedError(
                f"index (={index}) must be a {self._part} image, from 0 to {len(data) - 1}."
            )
        label = data.labels[index]
        self._show(data.images[index], self._part, index, None if label.ndim else int(label))
        self.targets = label if label.ndim else None

    def move(self, where: str) -> None:
        """Take the ``next``, the ``previous`` or a ``random`` held-out image."""
        count = len(self._needed_images())
        if where == "random":
            index = int(np.random.default_rng().integers(count))
        elif self._index is None:
            index = 0
        else:
            index = (self._index + (1 if where == "next" else -1)) % count
        self.choose(index)

    def upload(self, image: NDArray[np.uint8], photograph: Photograph | None = None) -> None:
        """Take an image of the user's own, without a label.

        Args:
            image: of the network's input shape.
            photograph: that it is from, if there is one.
        """
        self._show(image, "upload", None, None)
        self.photograph = photograph

    def set_label(self, label: object) -> None:
        """Set the label, or the output to explain: its name or number, or None as in `label`."""
        names = class_labels(self._network)
        if isinstance(label, str) and label in names:
            self.label = names.index(label)
        elif label is None:
            self.label = None
        elif isinstance(label, int) and not isinstance(label, bool) and 0 <= label < len(names):
            self.label = label
        else:
            listed = ", ".join(names[:20]) + (" …" if len(names) > 20 else "")
            what = OUTPUT_OF[self._network.loss]
            raise RefusedError(f"There is no {what} {shown(label)}. Known: {listed}.")
        self.number += 1
