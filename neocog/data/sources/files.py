"""Pictures that are files in a folder.

Nothing outside the folder is read: links that lead out of it are ignored, and so are links to
folders, which may be circular.
"""

import os
import stat
from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from neocog.data.sources.passed_over import PassedOver
from neocog.data.sources.tree import (
    DEEPEST,
    PICTURE_SUFFIXES,
    Tree,
    check_length,
    is_hidden,
    suffix_of,
)
from neocog.errors import DataError, printable
from neocog.files import read_exactly

__all__ = [
    "PICTURE_SUFFIXES",
    "FileStore",
    "FoundFile",
    "PassedOver",
    "folder_tree",
    "is_hidden",
    "leads_inside",
    "walk",
]


class FoundFile(NamedTuple):
    """A regular file. There may be very many, so creating it must be fast.

    Attributes:
        name: its path from the folder, with slashes.
        size: bytes.
        time: time of the last change, in nanoseconds.
    """

    name: str
    size: int
    time: int


def folder_tree(path: Path) -> Tree:
    """The picture files of a folder.

    Raises:
        DataError: the folder cannot be read.
    """
    passed_over = PassedOver()
    try:
        files = list(walk(path, passed_over))
    except OSError as error:
        shown = printable(str(path), 300)
        raise DataError(f"{shown} cannot be read: {error.strerror}.") from error
    name = printable(path.resolve().name or str(path), 100)
    names = [file.name for file in files]
    return Tree(printable(str(path), 300), name, names, FileStore(path, files), passed_over.notes())


def walk(
    root: Path,
    passed_over: PassedOver,
    within: str = "",
    suffixes: Container[str] = PICTURE_SUFFIXES,
) -> Iterator[FoundFile]:
    """The picture files in a folder and its subfolders, sorted by name.

    Args:
        root: the folder of the data.
        passed_over: collects everything else.
        within: the folder to search, relative to the root, with slashes; empty for the root.
        suffixes: endings of the files to find, if these are not pictures.

    Raises:
        OSError: `root` itself cannot be read.
    """
    inside = os.path.realpath(root)
    waiting = [(within, within.count("/") + 1 if within else 0)]
    while waiting:
        folder, depth = waiting.pop()
        try:
            with os.scandir(root / folder if folder else root) as found:
                entries = sorted(found, key=lambda entry: os.fsencode(entry.name))
        except OSError as error:
            if folder == within:
                raise
            passed_over.unreadable.add(f"{folder} ({error.strerror})")
            continue
        folders: list[tuple[str, int]] = []
        before = f"{folder}/" if folder else ""
        pictures = 0
        for entry in entries:
            name = entry.name
            if is_hidden(name):
                passed_over.hidden += 1
            elif _is_folder(entry):
                if depth < DEEPEST:
                    folders.append((before + name, depth + 1))
                else:
                    passed_over.deep += 1
            elif (file := _file(entry, before + name, inside, suffixes, passed_over)) is not None:
                pictures += 1
                yield file
        if not pictures and not folders and folder:
            passed_over.empty.add(folder)
        waiting += reversed(folders)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:  # the file system does not report its type, and it cannot be examined
        return False


def _file(
    entry: "os.DirEntry[str]",
    name: str,
    inside: str,
    suffixes: Container[str],
    passed_over: PassedOver,
) -> FoundFile | None:
    try:
        if entry.is_symlink() and not leads_inside(entry.path, inside):
            passed_over.links += 1
            return None
        suffix = suffix_of(entry.name)
        if suffix not in suffixes:
            passed_over.others[suffix] += 1
            return None
        status = entry.stat()
    except OSError as error:  # it has just been removed, or the file system is damaged
        passed_over.unreadable.add(f"{name} ({error.strerror})")
        return None
    if not stat.S_ISREG(status.st_mode):
        passed_over.specials += 1
        return None
    return FoundFile(name, status.st_size, status.st_mtime_ns)


def leads_inside(path: str, inside: str) -> bool:
    """Whether a link leads to something other than a folder below `inside`, a real path."""
    try:
        target = os.path.realpath(path, strict=True)
    except OSError:
        return False
    return target.startswith(inside.rstrip(os.sep) + os.sep) and not Path(target).is_dir()


class FileStore:
    """Files in a folder.

    Args:
        root: the folder of the data.
        files: in the order of their numbers.
    """

    def __init__(self, root: Path, files: Sequence[FoundFile]) -> None:
        self._root = root
        self._files = files

    def name(self, row: int) -> str:
        """Its path from the root."""
        return self._files[row].name

    def stamp(self, row: int) -> str:
        """Its path, length and time."""
        file = self._files[row]
        return f"{file.name}\0{file.size}\0{file.time}"

    def size(self, row: int) -> int:
        """Its length."""
        return self._files[row].size

    def read(self, row: int) -> bytes:
        """Its content; refuses files that are too long for a picture."""
        file = self._files[row]
        check_length(file.size)
        return read_exactly(os.path.join(self._root, file.name), file.size)  # noqa: PTH118 - fast
