"""Images with their classes, in memory."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from neocog.errors import DataError
from neocog.validation import instance

__all__ = ["Data", "Dataset", "check_dataset"]

# Images hashed at a time; such a part is copied if it does not lie in a row.
_CHUNK = 1024


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images uint8 [n, height, width, channels] and their class numbers int64 [n]."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.dtype != np.uint8:
            raise DataError(
                "images must be uint8 [n, height, width, channels], not "
                f"{self.images.dtype} {list(self.images.shape)}."
            )
        if self.labels.shape != self.images.shape[:1] or self.labels.dtype != np.int64:
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
                digest.update(np.ascontiguousarray(part.images[first : first + _CHUNK]))
            digest.update(np.ascontiguousarray(part.labels, "<i8"))  # whatever the machine's order
        return digest.hexdigest()


def check_dataset(value: object) -> Dataset:
    """The data set; raises `DataError` for anything else."""
    wanted = "a Dataset, such as load_data(…).train or Dataset(images, labels)"
    return instance("data", value, Dataset, wanted, error=DataError)
