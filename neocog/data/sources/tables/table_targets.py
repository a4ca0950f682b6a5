"""Reads what a table says of a picture where that is not one class: several labels, or a number."""

from collections.abc import Collection, Sequence
from math import isfinite
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from neocog.class_names import class_names
from neocog.data.sources.base import ONE, SEVERAL, Request, in_order, wanted_classes
from neocog.data.sources.tables.rows import Table
from neocog.data.sources.tables.table_labels import LabelReader
from neocog.errors import ArchitectureError, DataError, printable
from neocog.limits import require_memory

__all__ = ["Value", "ValueReader", "columns_of", "reader_of", "targets_of"]

#: What a row says: a class, the labels that a picture has, or a number.
Value = str | frozenset[str] | float

_PARTING = ";|,"
_IS = {"1": True, "0": False, "1.0": True, "0.0": False, "true": True, "false": False}
# With more labels than that, and nearly one a row, they are none.
_MOST_LABELS = 100
_LARGEST = float(np.finfo(np.float32).max)


class ValueReader(Protocol):
    """Reads the cells of a row.

    Attributes:
        names: of the labels, or of the number, as far as they are known before rows are read.
        adds: whether further rows of a file add to the first one.
    """

    names: tuple[str, ...]
    adds: bool

    def value(self, cells: Sequence[str]) -> Value | None:
        """What the cells say; None if there is no label.

        Raises:
            DataError: it cannot be read; the message continues "the label".
        """


class _Class:
    """One class, as `LabelReader` reads it."""

    names: tuple[str, ...] = ()
    adds = False

    def __init__(self, classes: tuple[str, ...] | None) -> None:
        self._reader = LabelReader(classes)

    def value(self, cells: Sequence[str]) -> Value | None:
        return self._reader.name(cells[0])


class _Number:
    adds = False

    def __init__(self, column: str) -> None:
        self.names: tuple[str, ...] = (column,)

    def value(self, cells: Sequence[str]) -> Value | None:
        text = cells[0]
        if not text:
            return None
        try:
            number = float(text)
        except ValueError:
            raise DataError(
                f"'{printable(text, 40)}' in the column '{printable(self.names[0])}' is no number"
            ) from None
        if not isfinite(number) or abs(number) > _LARGEST:
            raise DataError(
                f"'{printable(text, 40)}' in the column '{printable(self.names[0])}' is not finite"
            )
        return number


class _Parted:
    """Labels of one cell, parted by semicolons, bars or commas; an empty cell has none."""

    names: tuple[str, ...] = ()
    adds = True

    def __init__(self) -> None:
        self._known: dict[str, frozenset[str]] = {}

    def value(self, cells: Sequence[str]) -> Value | None:
        text = cells[0]
        if text not in self._known:
            for character in _PARTING[1:]:
                text = text.replace(character, _PARTING[0])
            found = (one.strip() for one in text.split(_PARTING[0]))
            self._known[cells[0]] = frozenset(_name(one) for one in found if one)
        return self._known[cells[0]]


class _ZeroOrOne:
    """A column for each label, with 1 for the pictures that have it."""

    adds = False

    def __init__(self, columns: Sequence[str]) -> None:
        self.names = tuple(columns)

    def value(self, cells: Sequence[str]) -> Value | None:
        if not any(cells):
            return None
        return frozenset(
            name for name, cell in zip(self.names, cells, strict=True) if self._has(name, cell)
        )

    def _has(self, name: str, cell: str) -> bool:
        has = _IS.get(cell.lower())
        if has is None:
            said = f"'{printable(cell, 40)}'" if cell else "empty"
            raise DataError(
                f"is {said} in the column '{printable(name)}', where it must be 0 or 1. Name the "
                'columns of labels: --label-column A,B,… (label_column="A,B,…")'
            )
        return has


def reader_of(table: Table, places: Sequence[int], request: Request) -> ValueReader:
    """What reads the columns of labels.

    Raises:
        DataError: the table cannot be read.
    """
    columns = [table.columns[place] for place in places]
    if request.labels == ONE:
        return _Class(table.classes(places[0]))
    if request.labels != SEVERAL:
        return _Number(columns[0] if table.named else "number")
    if len(places) > 1 or _is_zero_or_one(table, places[0]):
        return _ZeroOrOne(columns)
    return _Parted()


def _is_zero_or_one(table: Table, place: int) -> bool:
    """Whether a column has nothing but 0 and 1, and is not of labels of these names."""
    seen = False
    for _line, (cell,) in table.rows([place]):
        if cell and cell.lower() not in _IS:
            return False
        seen = seen or bool(cell)
    return seen


def columns_of(
    name: str, known: Sequence[str], values: Collection[Value], request: Request
) -> list[str]:
    """The names of the outputs: of the labels in their order, or of the number.

    Args:
        name: of the data, for messages.
        known: the names that the readers know.
        values: of all rows.
        request: has the labels that are wanted.

    Raises:
        DataError: there are no labels, or a wanted one does not exist.
    """
    if request.labels != SEVERAL:
        if request.classes is not None:
            raise DataError("classes choose labels, and a number has none: leave them out.")
        return list(known[:1])
    there = {one for value in values if isinstance(value, frozenset) for one in value}
    names = [*dict.fromkeys(known), *in_order(there - set(known))]
    if not names:
        raise DataError(f"{name} has no labels: all of its cells are empty.")
    if len(names) > max(_MOST_LABELS, len(values) // 2):
        raise DataError(
            f"{name} has for {len(values):,} rows {len(names):,} different labels, the first of "
            f"which is '{printable(names[0], 40)}'. Name columns of labels: --label-column A,B,… "
            '(label_column="A,B,…")'
        )
    return names if request.classes is None else wanted_classes(name, names, request.classes)


def targets_of(values: Sequence[Value], columns: Sequence[str]) -> NDArray[np.float32]:
    """Targets of rows, float32 [n, columns].

    Raises:
        NeocogError: there is not enough memory.
    """
    size = 4 * len(values) * len(columns)
    require_memory(size, f"{len(columns):,} labels of {len(values):,} rows", "Take fewer labels.")
    found = np.zeros((len(values), len(columns)), np.float32)
    places = {name: place for place, name in enumerate(columns)}
    for row, value in enumerate(values):
        if isinstance(value, frozenset):
            found[row, [places[one] for one in value if one in places]] = 1
        else:
            found[row] = float(value)
    return found


def _name(text: Any) -> str:
    try:
        text.encode()
        return class_names([text])[0]
    except (ArchitectureError, UnicodeEncodeError):
        raise DataError(f"'{printable(text, 40)}' cannot be the name of a label") from None
