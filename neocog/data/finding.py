"""Pictures that were found and looked at, and what is known of them before they are decoded."""

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
from neocog.data.sources import ALL, Listing, cifar10, is_there
from neocog.data.survey import Survey, survey
from neocog.errors import DataError
from neocog.files import user_path
from neocog.preprocessing import Resize

__all__ = ["Found", "find", "holds_pictures", "look", "read_options"]


@dataclass(frozen=True, eq=False)
class Found:
    """Pictures of a place, and how they are to be loaded.

    Attributes:
        listing: what the source has.
        survey: what some of them are like.
        shape: (channels, height, width) that they are made to fit.
        resize: how.
        options: what was asked for.
        source: the place, as an absolute path.
    """

    listing: Listing
    survey: Survey
    shape: tuple[int, int, int]
    resize: Resize
    options: LoadOptions
    source: str

    @property
    def is_split(self) -> bool:
        """Whether the source itself says which pictures are for what."""
        return ALL not in self.listing.parts

    @property
    def class_counts(self) -> tuple[int, ...]:
        """Pictures of each class to train on, those included that are still to be held out."""
        pictures = self.listing.parts.get("train" if self.is_split else ALL)
        labels = np.empty(0, np.int64) if pictures is None else pictures.labels
        return tuple(np.bincount(labels, minlength=len(self.listing.classes)).tolist())

    @property
    def train_count(self) -> int:
        """About how many there are to train on."""
        part = 1.0 if self.is_split else 1 - self.options.validation
        return max(1, round(part * sum(self.class_counts)))

    def made(self, shape: tuple[int, int, int], resize: Resize | None = None) -> "Found":
        """The same, to be made to fit another shape."""
        return replace(self, shape=shape, resize=resize or self.resize)

    def load(self) -> LoadedData:
        """Decode them; errors as of `neocog.load_data`."""
        return prepare(self.listing, self.shape, self.resize, self.options, self.source)


def holds_pictures(name_or_path: str | os.PathLike[str]) -> bool:
    """Whether `find` is for it: a file or folder that is there, and is not CIFAR-10's own."""
    name = os.fspath(name_or_path)
    return bool(name) and is_there(name) and not cifar10.SOURCE.recognizes(user_path(name))


def find(path: str | os.PathLike[str], options: LoadOptions) -> Found:
    """Find the pictures of a file or folder, and look at some; decode none.

    Raises:
        DataError: there are none, or none that was looked at can be read.
    """
    found = list_pictures(path, options.request())
    return look(found, options, str(Path(user_path(path)).absolute()))


def look(found: Listing, options: LoadOptions, source: str = "") -> Found:
    """Look at some of the pictures that a source has, and choose what nobody has said.

    Args:
        found: what the source has.
        options: what is wanted of it.
        source: as of `Data`.

    Raises:
        DataError: none that was looked at can be read.
    """
    sample = survey(next(pictures for pictures in found.parts.values() if len(pictures)))
    shape = choose_shape(sample, options.size, options.channels)
    resize = options.resize or choose_resize(sample, shape)
    return Found(found, sample, shape, resize, options, source)


def read_options(kept: object) -> dict[str, Any] | None:
    """The options that a file kept of `Data.options`, for `LoadOptions`; None for anything else."""
    if not isinstance(kept, Mapping) or not all(isinstance(name, str) for name in kept):
        return None
    try:
        if LoadOptions.of(**kept).chosen.keys() != kept.keys():
            return None  # something that chooses no pictures, such as how many threads decode
    except (DataError, TypeError):
        return None
    return dict(kept)
