"""A table of files and labels: CSV and similar formats, JSON lines or Parquet.

Either the table's file itself, or a folder that has one with a usual name: ``metadata.csv`` (or
.jsonl, .parquet, .tsv), as in Hugging Face's ImageFolder, or ``labels.csv``; or one per part:
``train/metadata.csv``, ``test/metadata.csv``. File names are relative to the table's folder.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from neocog.data.sources.base import SEVERAL, Listing, Request, Source
from neocog.data.sources.class_folders import part_of
from neocog.data.sources.files import leads_inside
from neocog.data.sources.tables.delimited import DelimitedTable
from neocog.data.sources.tables.json_lines import JsonLinesTable
from neocog.data.sources.tables.label_columns import names_in
from neocog.data.sources.tables.parquet import has_pictures
from neocog.data.sources.tables.parquet_table import ParquetTable
from neocog.data.sources.tables.rows import Table
from neocog.data.sources.tables.table_rows import TableRows
from neocog.data.sources.tables.text_lines import TextMember
from neocog.errors import DataError, printable

__all__ = ["SOURCE", "TABLE_NAMES", "open_table"]

KIND = "tables of files and labels"
_TEXT = (".csv", ".tsv", ".tab", ".txt")
_JSON = (".jsonl", ".ndjson")
_SUFFIXES = (*_TEXT, *_JSON, ".parquet")
#: Usual names in a folder, the preferred one first.
TABLE_NAMES = tuple(
    stem + suffix
    for stem in ("metadata", "labels")
    for suffix in (".csv", ".tsv", ".jsonl", ".parquet")
)


def _recognizes(path: Path) -> bool:
    try:
        if path.is_dir():
            return any(True for _found in _tables_in(path))
        suffix = path.suffix.lower()
        return (
            suffix in _SUFFIXES
            and path.is_file()
            and not (suffix == ".parquet" and has_pictures(path))
        )
    except OSError:
        return False


def _read(path: Path, request: Request) -> Listing:
    if not path.is_dir():
        root = path.parent
        rows = TableRows(root)
        usual = path.stem.lower() in ("metadata", "labels")
        name = root.resolve().name if usual else path.stem
        _add(rows, path, "", None, request)
    else:
        root = path
        rows = TableRows(root)
        name = root.resolve().name
        seen: dict[str, str] = {}
        for table, within, part in _tables_in(path):
            if part is not None and seen.setdefault(part, within) != within:
                raise DataError(
                    f"{printable(str(path), 300)} has two tables for the part {part}: in "
                    f"{printable(seen[part])} and {printable(within)}. Take one of them away."
                )
            _add(rows, table, within, part, request)
    return rows.listing(KIND, printable(name or str(path), 100), request)


def _add(rows: TableRows, path: Path, within: str, part: str | None, request: Request) -> None:
    rows.add(open_table(path, request), request, within, part)


def open_table(path: Path | TextMember, request: Request) -> Table:
    """Open the table in a file; the ending of its name determines the format.

    Raises:
        DataError: it cannot be read in this format.
    """
    suffix = path.suffix.lower()
    if suffix == ".parquet" and isinstance(path, Path):
        return ParquetTable(path)
    if suffix in _JSON:
        return JsonLinesTable(path, lists=request.labels == SEVERAL)
    asked = [one for one in (request.file_column, request.label_column) if one is not None]
    if request.labels == SEVERAL and request.label_column is not None:
        asked += names_in(request.label_column)
    return DelimitedTable(path, asked)


def _tables_in(folder: Path) -> Iterator[tuple[Path, str, str | None]]:
    """The tables with usual names in a folder, or in its parts' folders: (path, folder, part)."""
    inside = os.path.realpath(folder)
    if (table := _usual_table(folder, inside)) is not None:
        yield table, "", None
        return
    with os.scandir(folder) as entries:
        names = sorted(
            entry.name
            for entry in entries
            if part_of(entry.name) is not None and entry.is_dir(follow_symlinks=False)
        )
    found = [(_usual_table(folder / name, inside), name) for name in names]
    for table, name in found:
        if table is not None:
            yield table, name, part_of(name)


def _usual_table(folder: Path, inside: str) -> Path | None:
    for name in TABLE_NAMES:
        path = folder / name
        if path.is_symlink() and not leads_inside(str(path), inside):
            continue
        if path.is_file() and not (path.suffix == ".parquet" and has_pictures(path)):
            return path
    return None


SOURCE = Source(KIND, _recognizes, _read, has_tables=True)
