"""`Data`: images in parts, loaded from a source or made from objects, with ways to show them."""

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
    """The result of `neocog.load_data`: images in parts, names of the classes, and the source.

    `LoadedData` has its attributes.
    """

    @classmethod
    def of(cls, loaded: LoadedData) -> "Data":
        """Convert loaded data to `Data`; the images are not copied."""
        if isinstance(loaded, cls):
            return loaded
        return cls(**{field.name: getattr(loaded, field.name) for field in fields(LoadedData)})

    @classmethod
    def from_folder(cls, path: str | os.PathLike[str], **options: Unpack[Options]) -> "Data":
        """Load the pictures of a folder: one with a folder for each class, or another known kind.

        Args:
            path: of the folder.
            **options: as in `neocog.load_data`.

        Raises:
            DataError: there is no such folder, or it has nothing of a known kind.
        """
        return cls.of(doors.from_folder(path, **options))

    @classmethod
    def from_table(cls, path: str | os.PathLike[str], **options: Unpack[Options]) -> "Data":
        """Load the pictures that a table names, or another file of a known kind.

        Args:
            path: of the table.
            **options: as in `neocog.load_data`; `file_column` and `label_column` name columns.

        Raises:
            DataError: there is no such file, or it has nothing of a known kind.
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
        """Use images in memory. Arrays of bytes, channels last, are not copied if all are used.

        Args:
            images: uint8, or floats from 0 to 1: [n, height, width] or [n, height, width,
                channels]; an array, a tensor, or a list of images, which may have different sizes.
            labels: numbers or names of classes, [n] or [n, 1], or one-hot with a column per class.
            classes: the names of classes 0, 1, … if labels are numbers; if they are names, the
                classes to use, in order. By default the classes are those that occur, sorted by
                value or name.
            test: test images, as a tuple (images, labels) or a `Dataset`.
            validation: fraction of each class to hold out if there is no `test`; or the images to
                hold out, in the form of `test`.
            layout: "NHWC", or "NCHW" for channels before height and width.
            **options: size, channels, resize, split_seed, on_bad, threads and progress of
                `neocog.load_data`. By default the size is left unchanged.

        Raises:
            DataError: bad pixels, shapes or labels.
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
        """Load picture files from any places.

        Args:
            files: their paths.
            labels: one per file, as in `from_arrays`.
            classes: as in `from_arrays`.
            validation: fraction of each class to hold out.
            **options: as in `from_arrays`; by default the size is chosen by the pictures.

        Raises:
            DataError: files that cannot be read, or bad labels.
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
        """Load pairs of a picture and its label from an iterable, which is iterated over once.

        Args:
            pairs: pairs of a picture — a path, the bytes of a file, a Pillow image, or an array or
                tensor of one picture — and its label, the number or name of a class.
            classes: as in `from_arrays`.
            validation: fraction of each class to hold out.
            layout: layout of arrays, "NHWC" or "NCHW".
            **options: as in `from_files`.

        Raises:
            DataError: something that is not such a pair, or pictures that cannot be read.
        """
        return cls.of(
            doors.from_iterable(
                pairs, classes=classes, validation=validation, layout=layout, **options
            )
        )

    def summary(self) -> str:
        """A summary in lines of text: parts, sizes, and the number of images per class."""
        return describing.summary(self)

    def show(
        self,
        part: str = "train",
        per_class: int = 8,
        path: str | os.PathLike[str] | None = None,
    ) -> Image.Image:
        """A contact sheet: some images of each class, with the names of the classes below them.

        Args:
            part: "train", "validation" or "test".
            per_class: at most this many images per class, evenly spaced; up to 30 classes.
            path: also write the sheet to this PNG file.

        Returns:
            A Pillow image, which a notebook displays.

        Raises:
            DataError: the part has no images, a bad argument, or a file that cannot be written.
        """
        return describing.contact_sheet(self, part, per_class, path)

    def _repr_html_(self) -> str:
        return describing.html(self)
