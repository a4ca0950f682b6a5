"""Makes a listing of the rows of one table or several: files, labels and parts."""

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from neocog.data.sources.base import (
    ALL,
    ONE,
    PARTS,
    Listing,
    Pictures,
    Request,
    Store,
    listing,
    target_listing,
)
from neocog.data.sources.files import FoundFile
from neocog.data.sources.tables.columns import Columns
from neocog.data.sources.tables.label_columns import find_label_columns
from neocog.data.sources.tables.named_files import MISSING, NamedFiles, NamedFileStore
from neocog.data.sources.tables.named_members import NamedMembers, NamedMemberStore
from neocog.data.sources.tables.rows import Table, check_rows, named_lines
from neocog.data.sources.tables.table_labels import order_of_classes
from neocog.data.sources.tables.table_parts import parts_of_rows
from neocog.data.sources.tables.table_targets import (
    Value,
    ValueReader,
    columns_of,
    reader_of,
    targets_of,
)
from neocog.data.sources.tree import Tree
from neocog.errors import DataError, printable

__all__ = ["TableRows"]


class TableRows:
    """Rows of tables below a folder.

    Args:
        root: the folder that contains all of them.
        tree: the pictures, if `root` is an archive.
    """

    def __init__(self, root: Path, tree: Tree | None = None) -> None:
        self._root = root
        self._tree = tree
        self._files: list[FoundFile] = []
        self._labels: list[Value] = []
        self._splits: list[str | None] = []
        self._lines = array("q")
        # For each table: its first row, the unit of its row numbers, and its name.
        self._firsts: list[int] = []
        self._tables: list[tuple[str, str]] = []
        self._classes: list[str] = []
        self._column = ""
        # Names of labels, or of the number, that tables know; whether rows of a file add up.
        self._known: list[str] = []
        self._adds = False
        self._notes: list[str] = []
        self._unlabeled = 0

    def add(self, table: Table, request: Request, within: str, part: str | None) -> None:
        """Add the rows of a table.

        Args:
            table: the table.
            request: the columns that are asked for.
            within: the table's folder, relative to the root.
            part: part of all its rows; None if rows name their own, or nothing does.

        Raises:
            DataError: a row cannot be used; the message has its number.
        """
        columns, places = find_label_columns(table, request)
        self._notes += [note for note in columns.notes if note not in self._notes]
        self._column = f"{table.name}: the column '{printable(table.columns[columns.label])}'"
        first = len(self._files)
        self._firsts.append(first)
        self._tables.append((table.unit, table.name))
        classes = table.classes(columns.label)
        if classes is not None:
            self._classes += [one for one in classes if one not in set(self._classes)]
        reader = reader_of(table, places, request)
        self._known += reader.names
        self._adds = reader.adds
        names = list(self._taken(table, columns, places, reader, part))
        try:
            self._find(names, within)
        except OSError as error:
            raise DataError(
                f"{printable(str(self._root), 300)} cannot be read: {error.strerror or error}."
            ) from error

    def _taken(
        self,
        table: Table,
        columns: Columns,
        places: tuple[int, ...],
        reader: ValueReader,
        part: str | None,
    ) -> Iterator[str]:
        """The file names of rows that have a label; the rest of each row is stored."""
        wanted = [columns.file, *places]
        if columns.split is not None:
            wanted.append(columns.split)
        splits: dict[str, str] = {}
        for line, (name, *cells) in table.rows(wanted):
            check_rows(len(self._labels) + self._unlabeled, table.name)
            where = f"{table.name}, {table.unit} {line:,}"
            if not name:
                raise DataError(f"{where}: it names no file.")
            try:
                label = reader.value(cells[: len(places)])
            except DataError as error:
                raise DataError(f"{where}: the label {error}.") from error
            if label is None:
                self._unlabeled += 1
                continue
            self._labels.append(label)
            self._lines.append(line)
            split = cells[-1] if columns.split is not None else None
            self._splits.append(
                part or (None if split is None else splits.setdefault(split, split))
            )
            yield name

    def _find(self, names: list[str], within: str) -> None:
        """Find the files; if none exists, search for them in subfolders."""
        found: NamedFiles | NamedMembers = NamedFiles(self._root, within)
        if self._tree is not None:
            found = NamedMembers(self._tree, within)
        first = len(self._files)
        self._files += self._each(names, first, found.find)
        if names and all(file.size == MISSING for file in self._files[first:]):
            below = self._each(names, first, found.find_below)
            there = sum(file.size != MISSING for file in below)
            if not there:
                folder = self._root / within
                raise DataError(
                    f"None of the files that {self._tables[-1][1]} names ({len(names):,}) is below "
                    f"{printable(str(folder), 300)}. Names are relative to the table's folder: put "
                    f"the table beside the pictures, or mend the names.{named_lines(names)}"
                )
            self._files[first:] = below
            self._notes.append(
                f"{self._tables[-1][1]} has names of files alone: the files of these names in "
                f"folders below are taken ({there:,})."
            )

    def _each(
        self, names: list[str], first: int, find: Callable[[str], FoundFile]
    ) -> list[FoundFile]:
        files, refused = [], []
        for row, name in enumerate(names, first):
            try:
                files.append(find(name))
            except DataError as error:
                refused.append(f"{printable(name, 200)} ({self.where(row)}) {error}")
        if refused:
            raise DataError(
                f"{self._tables[-1][1]} names files that cannot be taken ({len(refused):,}):"
                + named_lines(refused)
            )
        return files

    def where(self, row: int) -> str:
        """The place of a row: "line 7 of labels.csv"."""
        unit, name = self._tables[bisect_right(self._firsts, row) - 1]
        return f"{unit} {self._lines[row]:,} of {name}"

    def listing(self, kind: str, name: str, request: Request) -> Listing:
        """The listing of all rows; raises as `listing` in `base` does."""
        if not self._labels:
            why = "its rows have no labels" if self._unlabeled else "it has no rows"
            raise DataError(f"{self._tables[-1][1]} has no pictures: {why}.")
        parts, notes = parts_of_rows(self._splits, [file.name for file in self._files], name)
        rows: dict[str, list[int]] = {}
        for part, row in zip(parts, self._once(parts), strict=True):
            if row is not None:
                rows.setdefault(part, []).append(row)
        notes = [*self._notes, *notes]
        if self._unlabeled:
            notes.append(f"Rows without a label are passed over: {self._unlabeled:,}.")
        if (twice := len(parts) - sum(map(len, rows.values()))) > 0:
            notes.append(f"Rows that name a file once more are passed over: {twice:,}.")
        there = {part: rows[part] for part in (*PARTS, ALL) if part in rows}
        if request.labels != ONE:
            return self._with_targets(kind, name, there, request, notes)
        names = [str(label) for label in self._labels]
        return listing(
            kind,
            name,
            self._store(),
            {part: (some, [names[row] for row in some]) for part, some in there.items()},
            request,
            classes=self._classes or order_of_classes(set(names), len(names), self._column),
            notes=notes,
        )

    def _with_targets(
        self,
        kind: str,
        name: str,
        parts: dict[str, list[int]],
        request: Request,
        notes: list[str],
    ) -> Listing:
        columns = columns_of(name, self._known, self._labels, request)
        targets, store = targets_of(self._labels, columns), self._store()
        found = {
            part: Pictures(store, np.array(rows, np.int64), targets[rows])
            for part, rows in parts.items()
        }
        names_all = self._adds and request.classes is None
        return target_listing(kind, name, found, columns, notes, names_all=names_all)

    def _store(self) -> Store:
        if self._tree is None:
            return NamedFileStore(self._root, self._files, self.where)
        return NamedMemberStore(self._tree, [file.name for file in self._files], self.where)

    def _once(self, parts: list[str]) -> list[int | None]:
        """The number of each row; None if it repeats an earlier one, or adds its labels to that.

        Raises:
            DataError: rows of one file say different things.
        """
        seen: dict[tuple[str, str], int] = {}
        rows: list[int | None] = []
        odd = []
        for row, (part, file) in enumerate(zip(parts, self._files, strict=True)):
            before = seen.setdefault((part, file.name), row)
            rows.append(row if before == row else None)
            first, again = self._labels[before], self._labels[row]
            if self._adds and isinstance(first, frozenset) and isinstance(again, frozenset):
                self._labels[before] = first | again
            elif first != again:
                labels = f"{_said(first)} and {_said(again)}"
                places = f"{self.where(before)} and {self.where(row)}"
                odd.append(f"{printable(file.name, 200)} is {labels} ({places})")
        if odd:
            raise DataError(
                f"Files with two labels, where a picture has one class ({len(odd):,}):"
                + named_lines(odd)
                if isinstance(self._labels[0], str)
                else f"Files in two rows that say different things ({len(odd):,}):"
                + named_lines(odd)
            )
        return rows


def _said(value: Value) -> str:
    if isinstance(value, frozenset):
        return ", ".join(sorted(value)) or "without labels"
    return repr(value)
