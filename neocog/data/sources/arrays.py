"""Pictures that are pixels in memory already."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from neocog.data.dataset import Dataset
from neocog.data.sources.base import Listing, Pictures, Request, listing

__all__ = ["ArrayStore", "of_datasets"]


class ArrayStore:
    """Images of one array.

    Args:
        pixels: uint8 [n, height, width, channels].
        names: of the images; their numbers without it.
    """

    def __init__(self, pixels: NDArray[np.uint8], names: Sequence[str] | None = None) -> None:
        #: All of them, for whoever needs no other size.
        self.pixels = pixels
        self._names = names

    def name(self, row: int) -> str:
        """Its name, or its number."""
        return str(row) if self._names is None else self._names[row]

    def stamp(self, row: int) -> str:
        """Its name; what is in memory is not kept anywhere."""
        return self.name(row)

    def size(self, row: int) -> int:
        """Bytes of an image."""
        return int(np.prod(self.pixels.shape[1:]))

    def read(self, row: int) -> NDArray[np.uint8]:
        """Its pixels."""
        image: NDArray[np.uint8] = self.pixels[row]
        return image


def of_datasets(
    kind: str,
    name: str,
    parts: Mapping[str, Dataset],
    classes: Sequence[str],
    request: Request,
    notes: Sequence[str] = (),
) -> Listing:
    """The listing of images in memory.

    Args:
        kind: as in `Listing`.
        name: as in `Listing`.
        parts: images and class numbers of each part; all images have one shape.
        classes: the names of all classes, in the order of their numbers.
        request: which classes are wanted.
        notes: as in `Listing`.

    Raises:
        DataError: as `listing` does.
    """
    found: dict[str, Pictures] = {}
    names = np.array(classes, object)
    for part, images in parts.items():
        store = ArrayStore(images.images, images.names)
        one = listing(
            kind,
            name,
            store,
            {"all": (range(len(images)), names[images.labels].tolist())},
            request,
            classes=classes,
        )
        found[part] = one.parts["all"]
        known = one.classes
    return Listing(kind, name, known, found, tuple(notes))
