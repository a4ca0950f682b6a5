"""Hugging Face's image Parquet: a column with the bytes of pictures, and one with labels.

One file, or a folder of them as in a data set on the Hub: ``train-00000-of-00002.parquet``, …,
``test-00000-of-00001.parquet``, in one folder, or in a subfolder, or in folders ``train``,
``test``. pyarrow is not imported until a file is read.
"""

import os
import re
import sys
from pathlib import Path

from neocog.data.sources.base import ALL, PARTS, Listing, Request, Source, listing
from neocog.data.sources.class_folders import part_of
from neocog.data.sources.files import is_hidden, leads_inside
from neocog.data.sources.tables.columns import asked_column, find_label
from neocog.data.sources.tables.parquet_store import ParquetStore
from neocog.data.sources.tables.parquet_table import ParquetTable
from neocog.data.sources.tables.rows import check_rows
from neocog.data.sources.tables.table_labels import LabelReader, order_of_classes
from neocog.data.sources.tables.table_parts import parts_of_rows
from neocog.errors import DataError, printable

__all__ = ["SOURCE"]

KIND = "Parquet files with pictures"
_MOST_FILES, _MOST_FOLDERS, _MOST_NAMED = 2**14, 64, 12
_PART = re.compile(r"([A-Za-z]+)(?:[-_.].*)?\.parquet", re.DOTALL)


def _recognizes(path: Path) -> bool:
    try:
        if path.is_dir():
            return bool(_files_in(path))
        return path.suffix.lower() == ".parquet" and path.is_file()
    except OSError:
        return False


def _read(path: Path, request: Request) -> Listing:
    if path.is_dir():
        try:
            found = _files_in(path)
        except OSError as error:
            raise DataError(
                f"{printable(str(path), 300)} cannot be read: {error.strerror}."
            ) from error
        root, name = path, path.resolve().name
    else:
        found, root, name = [(path.name, None)], path.parent, path.stem
    if len(found) > _MOST_FILES:
        raise DataError(
            f"{printable(str(path), 300)} has {len(found):,} Parquet files; up to {_MOST_FILES:,} "
            "are read."
        )
    return _Reader(root, request).listing(found, printable(name or str(path), 100))


class _Reader:
    """Collects files into one listing."""

    def __init__(self, root: Path, request: Request) -> None:
        self._root = root
        self._request = request
        self._labels: list[str] = []
        self._splits: list[str | None] = []
        self._rows: list[int] = []
        self._classes: list[str] = []
        self._notes: list[str] = []
        self._column = ""
        self._count = 0

    def listing(self, found: list[tuple[str, str | None]], name: str) -> Listing:
        files, columns = [], []
        for file, part in found:
            table = ParquetTable(self._root / file)
            files.append(table.file)
            columns.append(self._add(table, part))
        if not self._labels:
            why = "no row has a label" if self._count else "there are no rows"
            raise DataError(f"{name} has no pictures: {why}.")
        order = self._classes or order_of_classes(
            set(self._labels), len(self._labels), self._column
        )
        parts, notes = parts_of_rows(self._splits, [], name)
        if (unlabeled := self._count - len(self._labels)) > 0:
            notes.append(f"Rows without a label are passed over: {unlabeled:,}.")
        places: dict[str, list[int]] = {part: [] for part in (*PARTS, ALL)}
        for place, part in enumerate(parts):
            places[part].append(place)
        return listing(
            KIND,
            name,
            ParquetStore(files, [file for file, _part in found], columns),
            {
                part: ([self._rows[n] for n in of], [self._labels[n] for n in of])
                for part, of in places.items()
                if of
            },
            self._request,
            classes=order,
            notes=[*self._notes, *notes],
        )

    def _add(self, table: ParquetTable, part: str | None) -> str:
        """Add the labels of a file; returns the path of its column of pictures."""
        file, request = table.file, self._request
        asked = None
        if request.file_column is not None:
            asked = asked_column(table.columns, request.file_column, table.name)
        found = file.picture_column(asked)
        if found is None:
            there = zip(table.columns[:_MOST_NAMED], file.types, strict=False)
            raise DataError(
                f"{table.name} has no column of pictures, whose type is binary or a struct with "
                "bytes. There are: "
                + ", ".join(f"{printable(name, 40)} ({kind})" for name, kind in there)
                + ". Say which with --file-column NAME."
            )
        place, path = found
        for group in range(len(file.groups)):
            file.check(group, path)
        columns = find_label(table, request, place)
        self._notes += [note for note in columns.notes if note not in self._notes]
        self._column = f"{table.name}: the column '{printable(table.columns[columns.label])}'"
        classes = table.classes(columns.label)
        if classes is not None:
            self._classes += [one for one in classes if one not in set(self._classes)]
        labels = LabelReader(classes)
        wanted = [columns.label] if columns.split is None else [columns.label, columns.split]
        first = self._count
        for line, (text, *split) in table.rows(wanted):
            check_rows(self._count, self._root.name)
            self._count += 1
            try:
                label = labels.name(text)
            except DataError as error:
                raise DataError(f"{table.name}, row {line:,}: the label {error}.") from error
            if label is not None:
                self._labels.append(label)
                self._rows.append(first + line - 1)
                self._splits.append(part or (sys.intern(split[0]) if split else None))
        if self._count - first != file.rows:
            raise DataError(f"{table.name} is damaged: its columns are not of one length.")
        return path


def _files_in(folder: Path) -> list[tuple[str, str | None]]:
    """The Parquet files of a folder by their relative paths, with their parts.

    Those in the folder itself; else in folders of parts; else in the only subfolder with some.
    """
    inside = os.path.realpath(folder)
    names, folders = _entries(folder, "", inside)
    if not names:
        below = {one: _entries(folder, one, inside)[0] for one in folders[:_MOST_FOLDERS]}
        some = [one for one in below if below[one]]
        if len(some) == 1 or (some and all(map(part_of, some))):
            names = [f"{one}/{name}" for one in some for name in below[one]]
    found = [(name, _part_of(name)) for name in names]
    if any(part is None for _name, part in found):
        return [(name, None) for name in names]
    return found


def _entries(root: Path, within: str, inside: str) -> tuple[list[str], list[str]]:
    """The names of Parquet files, and of folders, in a folder below the root."""
    names, folders = [], []
    with os.scandir(root / within) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if is_hidden(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            elif (
                entry.name.lower().endswith(".parquet")
                and entry.is_file()
                and (not entry.is_symlink() or leads_inside(entry.path, inside))
            ):
                names.append(entry.name)
    return names, folders


def _part_of(name: str) -> str | None:
    """The part of a file: that of its folder, or what its name begins with."""
    folder, _slash, last = name.rpartition("/")
    begins = _PART.fullmatch(last)
    return part_of(folder) or (part_of(begins[1]) if begins else None)


SOURCE = Source(KIND, _recognizes, _read)
