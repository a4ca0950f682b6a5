"""The images of a source, loaded and split into parts."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from neocog.class_names import class_names
from neocog.data.images import Dataset

__all__ = ["LoadedData"]


@dataclass(frozen=True, eq=False)
class LoadedData:
    """Images in parts, the names of the classes, and the source.

    Attributes:
        name: name of the data, for people.
        train: images to train on.
        test: images to test with; empty if the source has none.
        classes: names of the classes, in the order of their numbers; of targets those of labels, or
            of the number.
        source: argument of `load_data` that loads the same images: a name or an absolute path; ""
            if there is none.
        validation: images that are held out of training; empty if None is given.
        options: further arguments of `load_data` for the same images and classes.
        notes: sentences for the user, about ignored or skipped files.
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
        # The same type as a network's class names, with which they are compared.
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
        """All parts by name, including empty ones."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    @property
    def held_out(self) -> tuple[str, Dataset]:
        """The part that a trained network is evaluated on, with its name: test, else validation."""
        return ("test", self.test) if len(self.test) else ("validation", self.validation)

    @cached_property
    def fingerprint(self) -> str:
        """A fingerprint of the images and labels, wherever they are stored: 64 hex digits.

        It is the SHA-256 of each part's sizes, the digest of its pixels, and its labels.
        """
        digest = hashlib.sha256()
        for name, part in self.parts.items():
            head = f"{name} {list(part.images.shape)} {part.pixels_digest}\n"
            # Labels and targets in little-endian order on every machine.
            kind = "<i8" if part.labels.ndim == 1 else "<f4"
            digest.update(head.encode() + np.ascontiguousarray(part.labels, kind).tobytes())
        return digest.hexdigest()
