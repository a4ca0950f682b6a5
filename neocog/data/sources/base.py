"""What every source of pictures gives: which there are, in which part, and of which class.

Nothing is decoded here. A source writes a `Store`, which reads one picture by its number, and says
with `listing` which belong where; what is done with them is the same for all sources.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from neocog.class_names import class_names
from neocog.errors import ArchitectureError, DataError, did_you_mean, printable

__all__ = [
    "ALL",
    "PARTS",
    "Listing",
    "Pictures",
    "Request",
    "Source",
    "Store",
    "checked",
    "in_order",
    "listing",
    "wanted_classes",
]

#: The parts that a source may have; where it has none, all of its pictures are in `ALL`.
PARTS = ("train", "validation", "test")
ALL = "all"

# Classes and items that a message names.
_MOST_NAMED = 8
# What has more digits is a text.
_LONGEST_NUMBER = 40


class Store(Protocol):
    """Where pictures lie, by number from 0; several threads may call its methods at once."""

    def name(self, row: int) -> str:
        """What people know the picture by, such as its path within the source."""

    def stamp(self, row: int) -> str:
        """What changes when the picture does: its name, length and time, as far as there are any.

        Found out without reading the picture. Decoded pixels are kept by it, so that of what lies
        in an archive it has the archive's length and time too. Empty where nothing tells, and then
        nothing is kept.
        """

    def size(self, row: int) -> int:
        """Bytes of what `read` gives; pictures of different lengths are never the same."""

    def read(self, row: int) -> bytes | NDArray[np.uint8]:
        """The content of a picture's file, or its pixels [height, width, channels].

        Raises:
            OSError: it cannot be read.
            DataError: it cannot be read, in words that follow its name.
        """


@dataclass(frozen=True, eq=False)
class Pictures:
    """Some pictures of a store, in an order, with their class numbers.

    Attributes:
        store: where they lie.
        rows: int64 [n], their numbers there.
        labels: int64 [n].
    """

    store: Store
    rows: NDArray[np.int64]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, indices: NDArray[np.int64]) -> "Pictures":
        """Some of them, by their places among these."""
        return Pictures(self.store, self.rows[indices], self.labels[indices])

    def without(self, indices: Sequence[int]) -> "Pictures":
        """All but some of them, by their places among these."""
        if not indices:
            return self
        return self.take(np.delete(np.arange(len(self)), indices))

    def names(self) -> list[str]:
        """What people know all of them by."""
        return [self.store.name(row) for row in self.rows.tolist()]

    def name(self, index: int) -> str:
        """What people know a picture by."""
        return self.store.name(int(self.rows[index]))

    def stamp(self, index: int) -> str:
        """What changes when a picture does."""
        return self.store.stamp(int(self.rows[index]))

    def read(self, index: int) -> bytes | NDArray[np.uint8]:
        """As `Store.read`."""
        return self.store.read(int(self.rows[index]))


@dataclass(frozen=True, eq=False)
class Listing:
    """What a source has.

    Attributes:
        kind: of source, in the plural, for people: "class folders".
        name: of the data, for people and for names of folders.
        classes: in the order of their numbers.
        parts: the pictures of "train", "validation" and "test", or of "all" where somebody else is
            to say which are which.
        notes: sentences for the user, as of what was passed over.
    """

    kind: str
    name: str
    classes: tuple[str, ...]
    parts: Mapping[str, Pictures]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Request:
    """What is asked of a source beside its place.

    Attributes:
        classes: those that are wanted, in their order; all of them, by name, if None.
        file_column: of a table, where the name of a picture's file stands; found out if None.
        label_column: of a table, where its class stands; found out if None.
        progress: called with bytes done and bytes in all while something is fetched.
    """

    classes: tuple[str, ...] | None = None
    file_column: str | None = None
    label_column: str | None = None
    progress: Callable[[int, int], None] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Source:
    """A kind of source.

    Attributes:
        kind: as in `Listing`.
        recognizes: whether a file or folder that is there is of this kind, by names and first
            bytes; it raises nothing.
        read: what is there. Raises `DataError` for what is damaged, or has no pictures.
    """

    kind: str
    recognizes: Callable[[Path], bool]
    read: Callable[[Path, Request], Listing]


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
        store: where the pictures lie.
        parts: for each part the pictures' numbers in the store, and the names of their classes.
        request: which classes are wanted.
        classes: all of them, in the order that the source itself gives them; by name without it,
            and by value where all of them are whole numbers.
        notes: as in `Listing`.

    Raises:
        DataError: there are no pictures, a part has classes that "train" has not, a wanted class is
            not there, or a name that no class can have.
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
    """The classes that are wanted; raises `DataError` where one of them is not known."""
    for one in wanted:
        if one not in known:
            raise DataError(
                f"{name} has no class {printable(one, 100)!r}.{did_you_mean(one, known)} "
                f"There are: {_some(known)}."
            )
    return list(wanted)


def checked(
    kind: str,
    name: str,
    classes: Sequence[str],
    parts: Mapping[str, Pictures],
    notes: Iterable[str] = (),
) -> Listing:
    """A `Listing`, unless it has no pictures, or classes that nobody can be trained on.

    Raises:
        DataError: as `listing` does.
    """
    if not any(map(len, parts.values())):
        raise DataError(f"{name} has no pictures.")
    _check_classes(name, list(classes), parts)
    try:
        names = class_names(classes)
    except ArchitectureError as error:
        raise DataError(f"{name}: {error}") from None
    return Listing(kind, name, names, parts, tuple(notes))


def in_order(names: Iterable[str]) -> list[str]:
    """Names of classes, by name; by value where all of them are whole numbers."""
    names = list(names)
    if all(len(one) < _LONGEST_NUMBER and one.removeprefix("-").isdecimal() for one in names):
        return sorted(names, key=lambda one: (int(one), one))  # "1" and "01" are two
    return sorted(names)


def _check_classes(name: str, classes: list[str], parts: Mapping[str, Pictures]) -> None:
    """Raise `DataError` where a part has pictures of classes that nobody is trained on."""
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
