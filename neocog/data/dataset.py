"""`Data`: a source's images in parts."""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from neocog.class_names import class_names
from neocog.data.images import Dataset
from neocog.data.options import VALIDATION, Options, ReadOptions

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Data"]


@dataclass(frozen=True, eq=False)
class Data:
    """What `neocog.load_data` gives: images in parts, the names of the classes, and where from.

    Attributes:
        name: of the data, for people.
        train: images to train on.
        test: images to test with; none where the source has none for it.
        classes: the classes' names, in the order of their numbers.
        source: what `load_data` is called with to get them again: a name, or an absolute path;
            "" if there is no such text.
        validation: images that are held out of training; none, if None is given.
        options: further arguments for `load_data` to get the same images and classes again.
        notes: sentences for the user, as of what was passed over or skipped.
    """

    name: str
    train: Dataset
    test: Dataset
    classes: tuple[str, ...]
    source: str = ""
    validation: Dataset = None  # type: ignore[assignment]
    options: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # As a network has them, with which they are compared.
        object.__setattr__(self, "classes", class_names(self.classes))
        if self.validation is None:
            object.__setattr__(self, "validation", self.train[:0])

    def __repr__(self) -> str:
        parts = ", ".join(
            f"{part}={images!r}" for part, images in self.parts.items() if len(images)
        )
        return f"<Data {self.name!r}: {len(self.classes)} classes, {parts}>"

    @property
    def parts(self) -> dict[str, Dataset]:
        """All parts by name, those without images too."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    @property
    def held_out(self) -> tuple[str, Dataset]:
        """The part that a trained network is judged by, and its name: test, else validation."""
        return ("test", self.test) if len(self.test) else ("validation", self.validation)

    @cached_property
    def fingerprint(self) -> str:
        """What tells these images and labels from any others, wherever they lie: 64 hex digits.

        The SHA-256 of each part's sizes, the digest of its pixels, and its labels.
        """
        digest = hashlib.sha256()
        for name, part in self.parts.items():
            head = f"{name} {list(part.images.shape)} {part.pixels_digest}\n"
            # Labels whatever the machine's order of bytes.
            digest.update(head.encode() + np.ascontiguousarray(part.labels, "<i8").tobytes())
        return digest.hexdigest()

    # What it is made of; each asks, inside the call, the modules that build upon this one.

    @classmethod
    def from_folder(cls, path: str | os.PathLike[str], **options: Unpack[Options]) -> "Data":
        """The pictures of a folder: one with a folder for each class, or of any other known kind.

        Args:
            path: of the folder.
            **options: as of `neocog.load_data`.

        Raises:
            DataError: there is no such folder, or nothing in it that is known.
        """
        from neocog.data.doors import from_folder

        return from_folder(path, **options)

    @classmethod
    def from_table(cls, path: str | os.PathLike[str], **options: Unpack[Options]) -> "Data":
        """The pictures that a table names, or any other file of a known kind.

        Args:
            path: of the table.
            **options: as of `neocog.load_data`; `file_column` and `label_column` name columns.

        Raises:
            DataError: there is no such file, or nothing in it that is known.
        """
        from neocog.data.doors import from_table

        return from_table(path, **options)

    @classmethod
    def from_arrays(
        cls,
        images: Any,
        labels: Any,
        *,
        classes: Sequence[str] | None = None,
        test: Any = None,
        validation: Any = VALIDATION,
        layout: str = "NHWC",
        **options: Unpack[ReadOptions],
    ) -> "Data":
        """Images in memory. Arrays of bytes, channels last, are not copied where all are taken.

        Args:
            images: uint8, or floats from 0 to 1: [n, height, width] or [n, height, width,
                channels]; an array, a tensor, or a list of images, whose sizes may then differ.
            labels: numbers or names of classes, [n] or [n, 1], or a column for each class.
            classes: the names of classes 0, 1, …, where labels are numbers; where they are names,
                those that are wanted, in their order. Without it, the labels that there are, by
                value or by name.
            test: images to test with, as a tuple (images, labels) or a `Dataset`.
            validation: the part of each class to hold out where there is no `test`; or images that
                are held out, as for `test`.
            layout: "NHWC", or "NCHW" for channels before height and width.
            **options: of those of `neocog.load_data`: size, channels, resize, split_seed, on_bad,
                threads, progress. The size stays as it is without one.

        Raises:
            DataError: pixels, shapes or labels that cannot be.
        """
        from neocog.data.doors import from_arrays

        return from_arrays(
            images,
            labels,
            classes=classes,
            test=test,
            validation=validation,
            layout=layout,
            **options,
        )

    @classmethod
    def from_files(
        cls,
        files: Iterable[str | os.PathLike[str]],
        labels: Any,
        *,
        classes: Sequence[str] | None = None,
        validation: float = VALIDATION,
        **options: Unpack[ReadOptions],
    ) -> "Data":
        """Picture files, wherever they lie.

        Args:
            files: their paths.
            labels: as of `from_arrays`, one for each.
            classes: as of `from_arrays`.
            validation: the part of each class to hold out.
            **options: as of `from_arrays`; the size is chosen by the pictures' without one.

        Raises:
            DataError: files that cannot be read, or labels that cannot be.
        """
        from neocog.data.doors import from_files

        return from_files(files, labels, classes=classes, validation=validation, **options)

    @classmethod
    def from_iterable(
        cls,
        pairs: Iterable[tuple[Any, Any]],
        *,
        classes: Sequence[str] | None = None,
        validation: float = VALIDATION,
        layout: str = "NHWC",
        **options: Unpack[ReadOptions],
    ) -> "Data":
        """Whatever gives pictures with their labels, one after another; it is gone through once.

        Args:
            pairs: of a picture — a path, the bytes of a file, an image of Pillow's, or an array
                or tensor of one picture — and its label, the number or name of a class.
            classes: as of `from_arrays`.
            validation: the part of each class to hold out.
            layout: of arrays, "NHWC" or "NCHW".
            **options: as of `from_files`.

        Raises:
            DataError: something else than such pairs, or pictures that cannot be read.
        """
        from neocog.data.doors import from_iterable

        return from_iterable(
            pairs, classes=classes, validation=validation, layout=layout, **options
        )

    def summary(self) -> str:
        """What there is, in lines of text: parts, sizes, and how many images each class has."""
        from neocog.data.describing import summary

        return summary(self)

    def show(
        self,
        part: str = "train",
        per_class: int = 8,
        path: str | os.PathLike[str] | None = None,
    ) -> "Image.Image":
        """A sheet with some images of each class, their classes' names below them.

        Args:
            part: "train", "validation" or "test".
            per_class: how many of each class at most, evenly from among them; up to 30 classes.
            path: a PNG file to write it to, also.

        Returns:
            An image of Pillow's, which a notebook shows.

        Raises:
            DataError: a part without images, another value that cannot be, or a file that cannot be
                written.
        """
        from neocog.data.describing import contact_sheet

        return contact_sheet(self, part, per_class, path)

    def _repr_html_(self) -> str:
        from neocog.data.describing import html

        return html(self)
