"""Pictures of a source, surveyed but not decoded yet."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from neocog.data.choices import choose_resize, choose_shape
from neocog.data.loaded import LoadedData
from neocog.data.loading import list_pictures, prepare
from neocog.data.options import LoadOptions
from neocog.data.sources import ALL, Listing, Pictures, cifar10, is_there
from neocog.data.sources.base import ONE
from neocog.data.survey import Survey, survey
from neocog.errors import DataError
from neocog.files import user_path
from neocog.preprocessing import Resize

__all__ = ["Found", "find", "holds_pictures", "look", "read_options"]


@dataclass(frozen=True, eq=False)
class Found:
    """The pictures of a source, and how they are to be loaded.

    Attributes:
        listing: the pictures of the source.
        survey: sizes and colors of some of them.
        shape: (channels, height, width) of the images to make.
        resize: how pictures of other sizes are fitted.
        options: the options that were given.
        source: absolute path of the source.
    """

    listing: Listing
    survey: Survey
    shape: tuple[int, int, int]
    resize: Resize
    options: LoadOptions
    source: str

    @property
    def is_split(self) -> bool:
        """Whether the source itself has a split."""
        return ALL not in self.listing.parts

    @property
    def class_counts(self) -> tuple[int, ...]:
        """Training pictures per class, including those that are still to be held out.

        There are none of targets.
        """
        pictures = self._to_train
        if self.has_targets:
            return ()
        labels = np.empty(0, np.int64) if pictures is None else pictures.labels
        return tuple(np.bincount(labels, minlength=len(self.listing.classes)).tolist())

    @property
    def has_targets(self) -> bool:
        """Whether pictures have several labels, or a number, in the place of a class."""
        return self.options.labels != ONE

    @property
    def _to_train(self) -> Pictures | None:
        return self.listing.parts.get("train" if self.is_split else ALL)

    @property
    def train_count(self) -> int:
        """Approximate number of training pictures."""
        part = 1.0 if self.is_split else 1 - self.options.validation
        return max(1, round(part * len(self._to_train or ())))

    def made(self, shape: tuple[int, int, int], resize: Resize | None = None) -> "Found":
        """The same pictures, to be made into images of another shape."""
        return replace(self, shape=shape, resize=resize or self.resize)

    def load(self) -> LoadedData:
        """Decode the pictures; raises as `neocog.load_data`."""
        return prepare(self.listing, self.shape, self.resize, self.options, self.source)


def holds_pictures(name_or_path: str | os.PathLike[str]) -> bool:
    """Whether `find` can load this: an existing file or folder that is not CIFAR-10's own."""
    name = os.fspath(name_or_path)
    return bool(name) and is_there(name) and not cifar10.SOURCE.recognizes(user_path(name))


def find(path: str | os.PathLike[str], options: LoadOptions) -> Found:
    """Find the pictures of a file or folder and survey some; decodes none.

    Raises:
        DataError: there are no pictures, or none of those surveyed can be read.
    """
    found = list_pictures(path, options.request())
    return look(found, options, str(Path(user_path(path)).absolute()))


def look(found: Listing, options: LoadOptions, source: str = "") -> Found:
    """Survey some pictures of a source, and choose the options that were not given.

    Args:
        found: the pictures of the source.
        options: the options that were given.
        source: as in `Data`.

    Raises:
        DataError: none of the pictures surveyed can be read.
    """
    sample = survey(next(pictures for pictures in found.parts.values() if len(pictures)))
    shape = choose_shape(sample, options.size, options.channels)
    resize = options.resize or choose_resize(sample, shape)
    return Found(found, sample, shape, resize, options, source)


def read_options(kept: object) -> dict[str, Any] | None:
    """The options stored in a file, for `LoadOptions`; None if they are not those of `Data`."""
    if not isinstance(kept, Mapping) or not all(isinstance(name, str) for name in kept):
        return None
    try:
        if LoadOptions.of(**kept).chosen.keys() != kept.keys():
            return None  # an option that does not select pictures, such as the number of threads
    except (DataError, TypeError):
        return None
    return dict(kept)
