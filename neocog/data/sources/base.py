"""The interface of all sources of pictures: which pictures, in which part, of which class.

Nothing is decoded here. A source implements a `Store`, which reads one picture by its number, and
gives each its part and class with `listing`; everything else is the same for all sources.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from neocog.class_names import class_names
from neocog.errors import ArchitectureError, DataError, did_you_mean, printable

__all__ = [
    "ALL",
    "LABELS",
    "NUMBER",
    "ONE",
    "PARTS",
    "SEVERAL",
    "Listing",
    "Pictures",
    "Request",
    "Source",
    "Store",
    "check_one_class",
    "checked",
    "in_order",
    "listing",
    "target_listing",
    "wanted_classes",
]

#: The parts that a source may have; without parts, all of its pictures are in `ALL`.
PARTS = ("train", "validation", "test")
ALL = "all"

#: What a picture's label is: one class, several labels or none, or a number.
LABELS = ONE, SEVERAL, NUMBER = ("one", "several", "number")

# Classes and items that a message lists.
_MOST_NAMED = 8
# A number with more digits is treated as text.
_LONGEST_NUMBER = 40


class Store(Protocol):
    """Pictures by number, from 0; several threads may call its methods at once."""

    def name(self, row: int) -> str:
        """The name of a picture for people, such as its path within the source."""

    def stamp(self, row: int) -> str:
        """A text that changes when the picture does: its name, length and time, if known.

        It is found without reading the picture and is part of the key of cached pixels, so for a
        picture in an archive it includes the archive's length and time. It is empty if changes
        cannot be detected, and then nothing is cached.
        """

    def size(self, row: int) -> int:
        """Bytes of what `read` returns; pictures of different lengths are never the same."""

    def read(self, row: int) -> bytes | NDArray[np.uint8]:
        """The content of a picture's file, or its pixels [height, width, channels].

        Raises:
            OSError: it cannot be read.
            DataError: it cannot be read; the message continues the picture's name.
        """


@dataclass(frozen=True, eq=False)
class Pictures:
    """A selection of a store's pictures, in an order, with their class numbers.

    Attributes:
        store: the store.
        rows: int64 [n], their numbers in the store.
        labels: class numbers, int64 [n]; of several labels or a number targets, float32
            [n, outputs].
    """

    store: Store
    rows: NDArray[np.int64]
    labels: NDArray[Any]

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, indices: NDArray[np.int64]) -> "Pictures":
        """Some of them, by index."""
        return Pictures(self.store, self.rows[indices], self.labels[indices])

    def without(self, indices: Sequence[int]) -> "Pictures":
        """All but some of them, by index."""
        if not indices:
            return self
        return self.take(np.delete(np.arange(len(self)), indices))

    def names(self) -> list[str]:
        """The names of all of them for people."""
        return [self.store.name(row) for row in self.rows.tolist()]

    def name(self, index: int) -> str:
        """The name of a picture for people."""
        return self.store.name(int(self.rows[index]))

    def stamp(self, index: int) -> str:
        """The stamp of a picture; see `Store`."""
        return self.store.stamp(int(self.rows[index]))

    def read(self, index: int) -> bytes | NDArray[np.uint8]:
        """As `Store.read`."""
        return self.store.read(int(self.rows[index]))


@dataclass(frozen=True, eq=False)
class Listing:
    """The pictures of a source.

    Attributes:
        kind: kind of the source, in the plural, for people: "class folders".
        name: name of the data, for people and for names of folders.
        classes: names in the order of their numbers; of targets the names of their columns.
        parts: the pictures of "train", "validation" and "test", or of "all" if the source has no
            split.
        notes: sentences for the user, such as about ignored files.
        names_all: whether no picture has another label than those in `classes`. It is unknown of
            columns of labels, where another one may be missing.
    """

    kind: str
    name: str
    classes: tuple[str, ...]
    parts: Mapping[str, Pictures]
    notes: tuple[str, ...] = ()
    names_all: bool = False


@dataclass(frozen=True)
class Request:
    """Options of reading a source besides its path.

    Attributes:
        classes: classes to use, in order; None uses all, sorted by name.
        file_column: column of a table that has the file names; None finds it.
        label_column: column of a table that has the classes; None finds it. For several labels a
            picture it may name several columns, parted by commas.
        labels: one of `LABELS`.
        progress: called with bytes done and bytes in all during a download.
    """

    classes: tuple[str, ...] | None = None
    file_column: str | None = None
    label_column: str | None = None
    labels: str = ONE
    progress: Callable[[int, int], None] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Source:
    """A kind of source.

    Attributes:
        kind: as in `Listing`.
        recognizes: whether an existing file or folder is of this kind, by names and first bytes;
            raises nothing.
        read: reads the listing. Raises `DataError` if it is damaged or has no pictures.
        has_tables: whether a picture may have several labels, or a number, in a table.
    """

    kind: str
    recognizes: Callable[[Path], bool]
    read: Callable[[Path, Request], Listing]
    has_tables: bool = False


def listing(
    kind: str,
    name: str,
    store: Store,
    parts: Mapping[str, tuple[Iterable[int], Sequence[str]]],
    request: Request,
    *,
    classes: Sequence[str] | None = None,
    notes: Iterable[str] = (),
) -> Listing:
    """A `Listing` of pictures whose classes are known by name.

    Args:
        kind: as in `Listing`.
        name: as in `Listing`.
        store: the pictures.
        parts: for each part the pictures' numbers in the store, and the names of their classes.
        request: the classes that are wanted.
        classes: all classes, if the source itself orders them; by default they are sorted by name,
            or by value if all are integers.
        notes: as in `Listing`.

    Raises:
        DataError: there are no pictures, a part has classes that "train" does not have, a wanted
            class does not exist, or a name is not allowed.
    """
    there = {one for _rows, names in parts.values() for one in names}
    known = list(classes) if classes is not None else in_order(there)
    if request.classes is not None:
        known = wanted_classes(name, known, request.classes)
    numbers = {one: number for number, one in enumerate(known)}
    found: dict[str, Pictures] = {}
    for part, (rows, of_rows) in parts.items():
        labels = np.array([numbers.get(one, -1) for one in of_rows], np.int64)
        wanted = labels >= 0
        all_rows = np.fromiter(rows, np.int64, len(labels))
        found[part] = Pictures(store, all_rows[wanted], labels[wanted])
    return checked(kind, name, known, found, notes)


def wanted_classes(name: str, known: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """The classes that are wanted; raises `DataError` if one of them does not exist."""
    for one in wanted:
        if one not in known:
            raise DataError(
                f"{name} has no class {printable(one, 100)!r}.{did_you_mean(one, known)} "
                f"There are: {_some(known)}."
            )
    return list(wanted)


def target_listing(
    kind: str,
    name: str,
    parts: Mapping[str, Pictures],
    columns: Sequence[str],
    notes: Iterable[str] = (),
    *,
    names_all: bool,
) -> Listing:
    """A `Listing` of pictures with targets.

    Args:
        kind: as in `Listing`.
        name: as in `Listing`.
        parts: the pictures, whose labels are float32 [n, columns].
        columns: names of the labels, or of the number.
        notes: as in `Listing`.
        names_all: as in `Listing`.

    Raises:
        DataError: there are no pictures, or a name is not allowed.
    """
    if not any(map(len, parts.values())):
        raise DataError(f"{name} has no pictures.")
    return Listing(kind, name, _names(name, columns), parts, tuple(notes), names_all)


def check_one_class(request: Request, what: str) -> None:
    """Raise `DataError` where several labels a picture, or a number, are asked of other sources.

    Args:
        request: the request.
        what: what the source is, for the message, as in "photos has class folders".
    """
    if request.labels != ONE:
        raise DataError(
            f"--labels {request.labels} (labels={request.labels!r}) is for a table of files and "
            f"labels, such as a CSV file; {what}, with one class a picture."
        )


def checked(
    kind: str,
    name: str,
    classes: Sequence[str],
    parts: Mapping[str, Pictures],
    notes: Iterable[str] = (),
) -> Listing:
    """A `Listing`, after checking that it has pictures, and that all its classes are trained on.

    Raises:
        DataError: as in `listing`.
    """
    if not any(map(len, parts.values())):
        raise DataError(f"{name} has no pictures.")
    _check_classes(name, list(classes), parts)
    return Listing(kind, name, _names(name, classes), parts, tuple(notes))


def _names(name: str, classes: Sequence[str]) -> tuple[str, ...]:
    try:
        return class_names(classes)
    except ArchitectureError as error:
        raise DataError(f"{name}: {error}") from None


def in_order(names: Iterable[str]) -> list[str]:
    """Sort names of classes: by value if all are integers, otherwise by name."""
    names = list(names)
    if all(len(one) < _LONGEST_NUMBER and one.removeprefix("-").isdecimal() for one in names):
        return sorted(names, key=lambda one: (int(one), one))  # "1" and "01" are distinct
    return sorted(names)


def _check_classes(name: str, classes: list[str], parts: Mapping[str, Pictures]) -> None:
    """Raise `DataError` if a part has pictures of classes without training pictures."""
    if len(set(classes)) < len(classes):
        twice = next(one for one in classes if classes.count(one) > 1)
        raise DataError(f"{name}: the class {printable(twice, 100)!r} is there twice.")
    if "train" not in parts:
        return
    trained = set(parts["train"].labels.tolist())
    for part, pictures in parts.items():
        odd = sorted(set(pictures.labels.tolist()) - trained)
        if odd:
            raise DataError(
                f"{name}: the part {part} has pictures of classes that the part train has none "
                f"of: {_some([classes[k] for k in odd])}. Give both the same classes, or say which "
                "are wanted."
            )


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(printable(one, 60) for one in names[:_MOST_NAMED])
    return shown + (f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else "")
