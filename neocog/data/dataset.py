"""`Data`: a source's images in parts, made of whatever a program has, and shown to people."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Unpack

from PIL import Image

from neocog.data import describing, doors
from neocog.data.loaded import LoadedData
from neocog.data.options import VALIDATION, Options, ReadOptions

__all__ = ["Data"]


@dataclass(frozen=True, eq=False, repr=False)
class Data(LoadedData):
    """What `neocog.load_data` gives: images in parts, the names of the classes, and where from.

    `LoadedData` has its attributes.
    """

    @classmethod
    def of(cls, loaded: LoadedData) -> "Data":
        """The same images as `Data`."""
        if isinstance(loaded, cls):
            return loaded
        return cls(**{field.name: getattr(loaded, field.name) for field in fields(LoadedData)})

    @classmethod
    def from_folder(cls, path: str | os.PathLike[str], **options: Unpack[Options]) -> "Data":
        """The pictures of a folder: one with a folder for each class, or of any other known kind.

        Args:
            path: of the folder.
            **options: as of `neocog.load_data`.

        Raises:
            DataError: there is no such folder, or nothing in it that is known.
        """
        return cls.of(doors.from_folder(path, **options))

    @classmethod
    def from_table(cls, path: str | os.PathLike[str], **options: Unpack[Options]) -> "Data":
        """The pictures that a table names, or any other file of a known kind.

        Args:
            path: of the table.
            **options: as of `neocog.load_data`; `file_column` and `label_column` name columns.

        Raises:
            DataError: there is no such file, or nothing in it that is known.
        """
        return cls.of(doors.from_table(path, **options))

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
        return cls.of(
            doors.from_arrays(
                images,
                labels,
                classes=classes,
                test=test,
                validation=validation,
                layout=layout,
                **options,
            )
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
        return cls.of(
            doors.from_files(files, labels, classes=classes, validation=validation, **options)
        )

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
        return cls.of(
            doors.from_iterable(
                pairs, classes=classes, validation=validation, layout=layout, **options
            )
        )

    def summary(self) -> str:
        """What there is, in lines of text: parts, sizes, and how many images each class has."""
        return describing.summary(self)

    def show(
        self,
        part: str = "train",
        per_class: int = 8,
        path: str | os.PathLike[str] | None = None,
    ) -> Image.Image:
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
        return describing.contact_sheet(self, part, per_class, path)

    def _repr_html_(self) -> str:
        return describing.html(self)
