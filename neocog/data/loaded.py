"""A source's images in parts, as they were loaded."""

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
    """Images in parts, the names of the classes, and where from.

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
