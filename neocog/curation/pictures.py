"""All pictures of a source, with the labels that are known.

In a folder, a picture has the label that `neocog.load_data` would give it: the name of its class's
folder. Pictures that lie beside the folders of classes, or in a folder called ``unlabeled``, have
no label. Parts such as train and test are taken together.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neocog.data import Data
from neocog.data.check.table import Everything
from neocog.data.images import Dataset
from neocog.data.loading import list_pictures
from neocog.data.picture import fit_picture
from neocog.data.resampling import prepare_if_worth
from neocog.data.sources import ALL, SOURCES, Pictures, Request, class_folders
from neocog.data.sources.arrays import ArrayStore
from neocog.data.sources.base import in_order
from neocog.data.sources.files import folder_tree
from neocog.errors import DataError, printable
from neocog.files import user_path
from neocog.preprocessing import Resize
from neocog.validation import file_path, shown

__all__ = ["UNKNOWN", "PictureList", "Source", "pictures_of"]

#: What functions take as pictures: the path of a folder or file, or images in memory.
Source = str | os.PathLike[str] | Data | Dataset

#: The label of a picture that has none.
UNKNOWN = -1


@dataclass(frozen=True, eq=False)
class PictureList:
    """Pictures, none of which is decoded yet.

    Attributes:
        name: of the source, for people.
        pictures: of all parts, one after another; their `labels` are `UNKNOWN` where unknown.
        classes: names, in the order of their numbers.
        folder: that the pictures' names are paths in; None for other sources.
        notes: sentences for the user, such as about ignored files.
    """

    name: str
    pictures: Everything
    classes: tuple[str, ...]
    folder: Path | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class numbers, int64 [n]; `UNKNOWN` where there is none."""
        return self.pictures.labels

    def picture_name(self, index: int) -> str:
        """The name of a picture; those that have only a number are called as in ``train:3``."""
        name = self.pictures.name(index)
        if len(self.pictures.parts) > 1 and name.isdecimal():
            return f"{self.pictures.parts[int(self.pictures.part[index])]}:{name}"
        return name

    def decoded(self, index: int, shape: tuple[int, int, int], resize: Resize) -> NDArray[np.uint8]:
        """A picture's pixels, as `fit_picture` makes them.

        Raises:
            DataError: it cannot be read; the message continues the picture's name.
        """
        prepare_if_worth()
        try:
            return fit_picture(self.pictures.read(index), shape, resize)
        except OSError as error:
            raise DataError(f"cannot be read: {error.strerror or error}.") from error


def pictures_of(source: Source) -> PictureList:
    """The pictures of a source.

    Raises:
        DataError: there is no such source, or it has no pictures.
    """
    if isinstance(source, Dataset):
        return _in_memory("images", {ALL: source}, None)
    if isinstance(source, Data):
        return _in_memory(source.name, source.parts, source.classes)
    wanted = "pictures: the path of a folder or file, a Data or a Dataset"
    if not isinstance(source, str | os.PathLike):
        raise DataError(f"pictures (={shown(source)}) must be {wanted.removeprefix('pictures: ')}.")
    path = user_path(file_path("pictures", source, error=DataError))
    kind = next((one for one in SOURCES if one.recognizes(path)), None)
    if path.is_dir() and kind is class_folders.SOURCE:
        return _of_folder(path)
    found = list_pictures(source, Request())
    parts = {part: pictures for part, pictures in found.parts.items() if len(pictures)}
    return PictureList(found.name, Everything(parts), found.classes, None, found.notes)


def _of_folder(path: Path) -> PictureList:
    tree = folder_tree(path)
    if not tree.names:
        raise DataError(" ".join([f"{tree.place} has no pictures.", *tree.notes]))
    found = class_folders.part_and_class(tree)
    classes = tuple(in_order({one[1] for one in found if one is not None}))
    numbers = {one: number for number, one in enumerate(classes)}
    labels = np.array([UNKNOWN if one is None else numbers[one[1]] for one in found], np.int64)
    pictures = Pictures(tree.store, np.arange(len(labels)), labels)
    return PictureList(tree.name, Everything({ALL: pictures}), classes, path, tuple(tree.notes))


def _in_memory(
    name: str, parts: Mapping[str, Dataset], classes: tuple[str, ...] | None
) -> PictureList:
    """Images whose classes have these names, or their numbers as names."""
    there = {part: data for part, data in parts.items() if len(data)}
    if not there:
        raise DataError(f"{printable(name)} has no pictures.")
    labels = {part: _labels_of(data) for part, data in there.items()}
    numbers = np.unique(np.concatenate(list(labels.values())))
    numbers = numbers[numbers != UNKNOWN]
    if classes is None:
        classes = tuple(map(str, numbers.tolist()))
        for of_part in labels.values():
            known = of_part != UNKNOWN
            of_part[known] = np.searchsorted(numbers, of_part[known])
    elif len(numbers) and numbers[-1] >= len(classes):
        raise DataError(
            f"{printable(name)} has the label {numbers[-1]}, and the names of {len(classes)} "
            f"classes, 0 to {len(classes) - 1}."
        )
    found = {
        part: Pictures(ArrayStore(data.images, data.names), np.arange(len(data)), labels[part])
        for part, data in there.items()
    }
    return PictureList(name, Everything(found), classes)


def _labels_of(data: Dataset) -> NDArray[np.int64]:
    """A copy of the labels; targets, of several labels or of numbers, are not one class."""
    if data.labels.ndim != 1:
        return np.full(len(data), UNKNOWN)
    return np.where(data.labels < 0, UNKNOWN, data.labels)
