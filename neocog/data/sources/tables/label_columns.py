"""Finds the columns of labels in a table, of which several labels a picture may have several."""

import csv

from neocog.data.sources.base import SEVERAL, Request
from neocog.data.sources.tables.columns import (
    Columns,
    asked_column,
    find_columns,
    find_file,
    usual_column,
)
from neocog.data.sources.tables.rows import Table
from neocog.errors import DataError

__all__ = ["find_label_columns", "names_in"]


def names_in(text: str) -> list[str]:
    """The names of columns in a text, as a row of CSV, in which a quoted name may have commas."""
    rows = csv.reader([text], skipinitialspace=True)
    return [name.strip() for row in rows for name in row if name.strip()]


def find_label_columns(table: Table, request: Request) -> tuple[Columns, tuple[int, ...]]:
    """Find the columns of files and parts, and those of labels.

    For several labels a picture these are the columns that are asked for; or else the one with a
    usual name, such as "labels" or "tags"; or else all but those of files and parts.

    Raises:
        DataError: they are missing or ambiguous.
    """
    if request.labels == SEVERAL:
        places = _places(table, request)
        if places:
            file = find_file(table, request, places[0])
            split, _others = usual_column(table.columns, "split") if table.named else (None, [])
            _check_apart(table, file, places)
            return Columns(file, places[0], None if split in places else split, ()), places
    columns = find_columns(table, request)
    return columns, (columns.label,)


def _places(table: Table, request: Request) -> tuple[int, ...]:
    columns = table.columns
    if request.label_column is not None:
        names = names_in(request.label_column)
        if request.label_column in columns or len(names) < 2:
            return ()
        places = tuple(asked_column(columns, name, table.name) for name in names)
        if len(set(places)) < len(places):
            raise DataError(f"{table.name}: a column of labels is named twice.")
        return places
    usual, _others = usual_column(columns, "label") if table.named else (None, [])
    if usual is not None:
        return ()
    split, _others = usual_column(columns, "split") if table.named else (None, [])
    file = find_file(table, request, None)
    return tuple(place for place in range(len(columns)) if place not in (file, split))


def _check_apart(table: Table, file: int, places: tuple[int, ...]) -> None:
    if file in places:
        raise DataError(
            f"{table.name}: the column '{table.columns[file]}' cannot be both the pictures and a "
            "label. Name others."
        )
