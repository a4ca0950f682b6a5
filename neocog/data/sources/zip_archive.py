"""A zip of a folder of pictures, which is not unpacked: pictures are read directly from it.

As in a folder, a table of files and labels with a usual name defines the classes; without one, the
folders do.
"""

from dataclasses import replace
from pathlib import Path

from neocog.data.sources import class_folders
from neocog.data.sources.archives.zip_directory import ZipError
from neocog.data.sources.archives.zip_members import ZipStore, zip_stores
from neocog.data.sources.base import Listing, Request, Source, check_one_class
from neocog.data.sources.passed_over import PassedOver
from neocog.data.sources.table import TABLE_NAMES, open_table
from neocog.data.sources.tables.named_members import usual_tables
from neocog.data.sources.tables.table_rows import TableRows
from neocog.data.sources.tables.text_lines import TextMember
from neocog.data.sources.tree import Tree
from neocog.errors import DataError, printable
from neocog.files import open_regular

__all__ = ["SOURCE"]

_KIND = "pictures in a zip"
_BEGINS = (b"PK\x03\x04", b"PK\x05\x06")
_TEXTS = tuple(name for name in TABLE_NAMES if not name.endswith(".parquet"))


def _recognizes(path: Path) -> bool:
    """Whether its name ends in .zip; other files that are zips, such as .npz, are other kinds."""
    if path.suffix.lower() == ".zip":
        return path.is_file()
    if path.suffix:
        return False
    try:
        with open_regular(path) as file:
            return file.read(4) in _BEGINS
    except OSError:
        return False


def _read(path: Path, request: Request) -> Listing:
    shown, passed_over = printable(str(path), 300), PassedOver()
    try:
        store, texts = zip_stores(path, passed_over, _TEXTS)
    except ZipError as error:
        raise DataError(f"{shown} is no zip that is read: {error}.") from None
    except OSError as error:
        raise DataError(f"{shown} cannot be read: {error.strerror}.") from error
    name = printable(path.resolve().name, 100)
    tree = Tree(shown, name, store.names, store, passed_over.notes())
    if tables := usual_tables(texts.names, store.names, _TEXTS):
        return _by_tables(path, tree, texts, tables, request)
    check_one_class(request, f"{shown} has class folders")
    return class_folders.of_tree(tree, request, _KIND)


def _by_tables(
    path: Path,
    tree: Tree,
    texts: ZipStore,
    tables: list[tuple[str, str, str | None]],
    request: Request,
) -> Listing:
    rows = TableRows(path, tree)
    numbers = {name: number for number, name in enumerate(texts.names)}
    for name, within, part in tables:
        try:
            text = TextMember(name.rpartition("/")[2], texts.read(numbers[name]))
        except DataError as error:
            raise DataError(f"{tree.place}: {printable(name, 100)} {error}") from error
        rows.add(open_table(text, request), request, within, part)
    found = rows.listing(_KIND, tree.name, request)
    return replace(found, notes=(*tree.notes, *found.notes))


SOURCE = Source(_KIND, _recognizes, _read, has_tables=True)
