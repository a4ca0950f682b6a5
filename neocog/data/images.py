"""Images with their class numbers, in memory or mapped from a file."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.arrays import as_images, as_targets
from neocog.errors import DataError

__all__ = ["Dataset", "as_dataset", "mixed"]

# Images that are hashed at a time; they are copied if they are not contiguous.
_CHUNK = 1024


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images uint8 [n, height, width, channels] and their class numbers int64 [n].

    For losses other than cross-entropy labels are targets: float32 [n, outputs], such as 0 or 1 for
    each of several labels.

    Both may be given as lists, tensors or arrays of other numbers, see `neocog.arrays`. Arrays of
    the right type are not copied, so changes to them change the data set. Images may be mapped from
    a file (`numpy.memmap`).

    Attributes:
        images: as above.
        labels: as above.
        names: name of each image for people, such as its file; None if they have no names.
        digest: SHA-256 of the pixels if it is known, as for images mapped from the cache.
    """

    images: NDArray[np.uint8]
    labels: NDArray[Any]
    names: Sequence[str] | None = None
    digest: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "images", as_images(self.images))
        object.__setattr__(self, "labels", as_targets(self.labels))
        if len(self.images) != len(self.labels):
            raise DataError(
                f"labels must be int64 [{len(self.images)}], one for each image, not "
                f"{self.labels.dtype} {list(self.labels.shape)}."
            )
        if self.names is not None and len(self.names) != len(self.images):
            raise DataError(
                f"names must be {len(self.images)} texts, one for each image; there are "
                f"{len(self.names)}."
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
        names = None if self.names is None else self.names[part]
        return Dataset(self.images[part], self.labels[part], names)

    @cached_property
    def pixels_digest(self) -> str:
        """SHA-256 of the images' pixels, 64 hex digits.

        Computed on first use unless it is known, in 0.15 s for CIFAR-10. Later changes of the array
        do not change it.
        """
        if self.digest is not None:
            return self.digest
        digest = hashlib.sha256()
        for first in range(0, len(self), _CHUNK):
            digest.update(np.ascontiguousarray(self.images[first : first + _CHUNK]).data)
        return digest.hexdigest()


def mixed(data: Dataset, count: int) -> Dataset:
    """A representative sample of up to `count` images.

    If the images are sorted by class, as those of folders are, the sample is drawn at random, the
    same each time. Otherwise it is the first images, without a copy.
    """
    if len(data) < 2 or (data.labels.ndim == 1 and (np.diff(data.labels) < 0).any()):
        return data[:count]
    chosen = np.random.default_rng(0).permutation(len(data))[:count]
    names = None if data.names is None else [data.names[n] for n in chosen]
    return Dataset(data.images[chosen], data.labels[chosen], names)


def as_dataset(data: Any, usual: str) -> Dataset:
    """Convert to a `Dataset`, also from a tuple (images, labels) or (images, targets).

    Args:
        data: the object to convert.
        usual: for messages, what to write instead of a whole `Data`: "fit(network, data.train)".

    Raises:
        DataError: `data` is something else.
    """
    if isinstance(data, Dataset):
        return data
    if isinstance(data, tuple) and len(data) == 2:
        return Dataset(*data)
    if hasattr(data, "train") and hasattr(data, "test"):  # a Data
        raise DataError(f"{data.name} has images to train on and to test with: write {usual}.")
    raise DataError(
        "data must be a Dataset, such as load_data(…).train, or a tuple (images, labels), not "
        f"{type(data).__name__}."
    )
