"""Finds the columns of a table for files, labels and parts, by usual names or as asked for."""

from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import NamedTuple

from neocog.data.sources.base import Request
from neocog.data.sources.files import PICTURE_SUFFIXES
from neocog.data.sources.tables.rows import Table
from neocog.errors import DataError, did_you_mean, printable

__all__ = [
    "Columns",
    "asked_column",
    "find_columns",
    "find_file",
    "find_label",
    "is_usual",
    "looks_like_file",
    "usual_column",
]

# Usual names, the preferred one first.
_FILE = (
    *("file_name", "filename", "file", "file_path", "filepath", "path", "image_file_name"),
    *("image_file", "image_filename", "image_path", "img_path", "image_name", "image", "img"),
    *("picture", "photo", "image_id", "id"),
)
_LABEL = (
    *("label", "labels", "label_name", "class", "class_name", "classname", "class_label"),
    *("category", "category_name", "target", "species", "breed", "class_id", "label_id"),
    *("fine_label", "y", "tags"),
)
_SPLIT = ("split", "subset", "partition", "fold", "set")
USUAL = {"file": _FILE, "label": _LABEL, "split": _SPLIT}

_MOST_NAMED = 12


class Columns(NamedTuple):
    """Indices of columns.

    Attributes:
        file: column of file names.
        label: column of classes.
        split: column of parts; None if there is none.
        notes: sentences for the user.
    """

    file: int
    label: int
    split: int | None
    notes: tuple[str, ...]


def _plain(name: str) -> str:
    return "_".join(name.casefold().replace("-", " ").replace("_", " ").split())


def is_usual(name: str) -> bool:
    """Whether this is a usual name of a column."""
    return any(_plain(name) in names for names in USUAL.values())


def looks_like_file(text: str) -> bool:
    """Whether this may be the name of a picture file."""
    return PurePath(text.strip()).suffix.lower() in PICTURE_SUFFIXES


def usual_column(columns: Sequence[str], what: str) -> tuple[int | None, list[str]]:
    """The column with a usual name for "file", "label" or "split", and further candidates."""
    by_name: dict[str, int] = {}
    for place, name in enumerate(columns):
        by_name.setdefault(_plain(name), place)
    found = [by_name[name] for name in USUAL[what] if name in by_name]
    return (found[0] if found else None), [columns[place] for place in found[1:]]


def asked_column(columns: Sequence[str], asked: str, table: str) -> int:
    """The index of a column that is asked for by its name, or by its number from 1.

    Raises:
        DataError: there is no such column.
    """
    if asked in columns:
        return list(columns).index(asked)
    like = [place for place, name in enumerate(columns) if _plain(name) == _plain(asked)]
    if len(like) == 1:
        return like[0]
    if asked.isdecimal() and len(asked) < 10 and 1 <= int(asked) <= len(columns):
        return int(asked) - 1
    raise DataError(
        f"{table} has no column '{printable(asked)}'.{did_you_mean(asked, columns)} "
        f"There are: {_some(columns)}."
    )


def find_columns(table: Table, request: Request) -> Columns:
    """Find the columns of files, labels and parts.

    Raises:
        DataError: they are missing or ambiguous.
    """
    label, _others = usual_column(table.columns, "label") if table.named else (None, [])
    if request.label_column is not None:
        label = asked_column(table.columns, request.label_column, table.name)
    return find_label(table, request, find_file(table, request, label))


def find_file(table: Table, request: Request, label: int | None) -> int:
    """Find the column of files, given that of labels, if it is known.

    Raises:
        DataError: it is missing or ambiguous.
    """
    if request.file_column is not None:
        return asked_column(table.columns, request.file_column, table.name)
    file = _file_column(table, label)
    if file is None:
        raise DataError(_unclear(table, "file", "names of files", range(len(table.columns))))
    return file


def find_label(table: Table, request: Request, file: int) -> Columns:
    """Find the columns of labels and parts, given the column of files or pictures.

    Raises:
        DataError: the labels are missing or ambiguous.
    """
    columns = table.columns
    split, _others = usual_column(columns, "split") if table.named else (None, [])
    label, more = usual_column(columns, "label") if table.named else (None, [])
    if request.label_column is not None:
        label, more = asked_column(columns, request.label_column, table.name), []
    if label is None:
        others = [place for place in range(len(columns)) if place not in (file, split)]
        if len(others) != 1:
            raise DataError(_unclear(table, "label", "labels", others))
        label = others[0]
    if label == file:
        raise DataError(
            f"{table.name}: the column '{printable(columns[file])}' cannot be both the pictures "
            "and their labels. Name another one."
        )
    notes = []
    if more:
        notes.append(
            f"Labels are those of the column '{printable(columns[label])}'; there is also "
            f"{_some(more)} (--label-column)."
        )
    return Columns(file, label, None if split in (file, label) else split, tuple(notes))


def _file_column(table: Table, label: int | None) -> int | None:
    """Find the column of files by its name, or by its content."""
    with_files = [n for n, text in enumerate(table.first) if n != label and looks_like_file(text)]
    usual, _others = usual_column(table.columns, "file") if table.named else (None, [])
    if usual is not None and usual != label and (usual in with_files or not with_files):
        return usual
    return with_files[0] if len(with_files) == 1 else None


def _unclear(table: Table, option: str, what: str, places: Iterable[int]) -> str:
    names = []
    for place in places:
        name = printable(table.columns[place], 40)
        example = printable(table.first[place], 40) if place < len(table.first) else ""
        names.append(f"{name} ({example})" if example else name)
    shown = _some(names) if names else "none"
    return (
        f"{table.name}: which column has the {what}? It could be: {shown}. Say so with "
        f'--{option}-column NAME ({option}_column="NAME"); a number counts columns from 1.'
    )


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(printable(name, 90) for name in names[:_MOST_NAMED])
    return shown + (f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else "")
