"""A zip of a folder of pictures, which is never unpacked: each picture is read where it lies."""

from pathlib import Path

from neocog.data.sources import class_folders
from neocog.data.sources.base import Listing, Request, Source
from neocog.data.sources.passed_over import PassedOver
from neocog.data.sources.tree import Tree
from neocog.data.sources.zip_directory import ZipError
from neocog.data.sources.zip_members import zip_store
from neocog.errors import DataError, printable
from neocog.files import open_regular

__all__ = ["SOURCE"]

_KIND = "class folders in a zip"
_BEGINS = (b"PK\x03\x04", b"PK\x05\x06")


def _recognizes(path: Path) -> bool:
    """Whether it is called a zip; others that are zips too, as .npz, are of other kinds."""
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
        store = zip_store(path, passed_over)
    except ZipError as error:
        raise DataError(f"{shown} is no zip that is read: {error}.") from None
    except OSError as error:
        raise DataError(f"{shown} cannot be read: {error.strerror}.") from error
    name = printable(path.resolve().name, 100)
    tree = Tree(shown, name, store.names, store, passed_over.notes())
    return class_folders.of_tree(tree, request, _KIND)


SOURCE = Source(_KIND, _recognizes, _read)
