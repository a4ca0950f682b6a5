"""Images with their classes, in memory."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neocog.errors import DataError
from neocog.validation import instance

__all__ = ["Data", "Dataset", "check_dataset"]


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
    """What `neocog.load_data` gives: two `Dataset`, the names of the classes, and its own name."""

    name: str
    train: Dataset
    test: Dataset
    classes: tuple[str, ...]

    def __repr__(self) -> str:
        return (
            f"<Data {self.name!r}: {len(self.classes)} classes, train={self.train!r}, "
            f"test={self.test!r}>"
        )


def check_dataset(value: object) -> Dataset:
    """The data set; raises `DataError` for anything else."""
    wanted = "a Dataset, such as load_data(…).train or Dataset(images, labels)"
    return instance("data", value, Dataset, wanted, error=DataError)
