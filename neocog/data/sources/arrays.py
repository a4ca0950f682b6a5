"""Pictures that are arrays of pixels in memory."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from neocog.data.images import Dataset
from neocog.data.sources.base import (
    Listing,
    Pictures,
    Request,
    Store,
    checked,
    wanted_classes,
)
from neocog.errors import DataError

__all__ = ["ArrayStore", "of_datasets", "of_stores"]


class ArrayStore:
    """Images of one array.

    Args:
        pixels: uint8 [n, height, width, channels].
        names: names of the images; by default their numbers.
    """

    def __init__(self, pixels: NDArray[np.uint8], names: Sequence[str] | None = None) -> None:
        #: The array, for code that needs no other size.
        self.pixels = pixels
        self._names = names

    def name(self, row: int) -> str:
        """Its name, or its number."""
        return str(row) if self._names is None else self._names[row]

    def stamp(self, row: int) -> str:
        """Its name; it is not used, since pictures in memory are not cached."""
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
        classes: names of all classes, in the order of their numbers.
        request: the classes that are wanted.
        notes: as in `Listing`.

    Raises:
        DataError: as in `listing`.
    """
    stores = {
        part: (ArrayStore(images.images, images.names), images.labels)
        for part, images in parts.items()
    }
    return of_stores(kind, name, stores, classes, request, notes)


def of_stores(
    kind: str,
    name: str,
    parts: Mapping[str, tuple[Store, NDArray[np.int64]]],
    classes: Sequence[str],
    request: Request,
    notes: Sequence[str] = (),
) -> Listing:
    """The listing of stores whose pictures all have class numbers; see `of_datasets`."""
    known = classes if request.classes is None else wanted_classes(name, classes, request.classes)
    numbers = {one: number for number, one in enumerate(known)}
    # The new number of each class; −1 if it is not wanted.
    renumbered = np.array([numbers.get(one, -1) for one in classes], np.int64)
    found: dict[str, Pictures] = {}
    for part, (store, labels) in parts.items():
        _check_labels(labels, len(classes), name)
        wanted = renumbered[labels]
        rows = np.flatnonzero(wanted >= 0)
        found[part] = Pictures(store, rows, wanted[rows])
    return checked(kind, name, known, found, notes)


def _check_labels(labels: NDArray[np.int64], classes: int, name: str) -> None:
    """Raise `DataError` for a label that is not the number of a class."""
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        raise DataError(
            f"{name}: image {wrong[0]} (counted from 0) has label {labels[wrong[0]]}, but there "
            f"are {classes} classes, whose numbers are 0 to {classes - 1}."
        )
