"""Images with their classes, in memory."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.arrays import as_images, as_labels
from neocog.class_names import class_names
from neocog.errors import DataError

__all__ = ["Data", "Dataset", "as_dataset"]

# Images hashed at a time; such a part is copied if it does not lie in a row.
_CHUNK = 1024


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images uint8 [n, height, width, channels] and their class numbers int64 [n].

    Both may be given as lists, tensors or other whole numbers, as `neocog.arrays` says. Arrays of
    these kinds are kept as they are and not copied: what is changed in them is changed here.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        object.__setattr__(self, "images", as_images(self.images))
        object.__setattr__(self, "labels", as_labels(self.labels))
        if len(self.images) != len(self.labels):
            raise DataError(
                f"labels must be int64 [{len(self.images)}], one for each image, not "
                f"{self.labels.dtype} {list(self.labels.shape)}."
            )

    def __repr__(self) -> str:
        return f"<Dataset of {len(self)} images of {list(self.images.shape[1:])}>"

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, part: slice) -> "Dataset":
        """The images of a slice, without copying them."""
        if isinstance(part, int | np.integer):
            raise DataError(
                f"A Dataset gives parts, not single images: write data[{part}:{part + 1}], or "
                f"data.images[{part}] and data.labels[{part}]."
            )
        return Dataset(self.images[part], self.labels[part])


@dataclass(frozen=True, eq=False)
class Data:
    """What `neocog.load_data` gives: two `Dataset`, the names of the classes, and where from.

    Attributes:
        name: of the data, for people.
        train: images to train on.
        test: images to test with.
        classes: the classes' names, in the order of their numbers.
        source: what `load_data` is called with to get them again: a name, or an absolute path;
            "" if there is no such text.
    """

    name: str
    train: Dataset
    test: Dataset
    classes: tuple[str, ...]
    source: str = ""

    def __post_init__(self) -> None:
        # As a network has them, with which they are compared.
        object.__setattr__(self, "classes", class_names(self.classes))

    def __repr__(self) -> str:
        return (
            f"<Data {self.name!r}: {len(self.classes)} classes, train={self.train!r}, "
            f"test={self.test!r}>"
        )

    @cached_property
    def fingerprint(self) -> str:
        """What tells these images and labels from any others, wherever they lie: 64 hex digits.

        The SHA-256 of the images' sizes, their pixels and their labels. Computed when it is first
        asked for, in 0.15 s for CIFAR-10, and not again if the arrays are changed afterwards.
        """
        digest = hashlib.sha256()
        for part in (self.train, self.test):
            digest.update(f"{list(part.images.shape)}\n".encode())
            for first in range(0, len(part), _CHUNK):
                digest.update(np.ascontiguousarray(part.images[first : first + _CHUNK]).data)
            # Whatever the machine's order of bytes.
            digest.update(np.ascontiguousarray(part.labels, "<i8").data)
        return digest.hexdigest()


def as_dataset(data: Any, usual: str) -> Dataset:
    """A `Dataset`, also from a tuple (images, labels).

    Args:
        data: what is given for one.
        usual: what to write instead of a whole `Data`, such as "fit(network, data.train)".

    Raises:
        DataError: for anything else.
    """
    if isinstance(data, Dataset):
        return data
    if isinstance(data, tuple) and len(data) == 2:
        return Dataset(*data)
    if isinstance(data, Data):
        raise DataError(f"{data.name} has images to train on and to test with: write {usual}.")
    raise DataError(
        "data must be a Dataset, such as load_data(…).train, or a tuple (images, labels), not "
        f"{type(data).__name__}."
    )
