"""Finds the files that a table names, below its folder only."""

import os
import re
import stat
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path, PurePath

from neocog.data.sources.files import (
    PICTURE_SUFFIXES,
    FileStore,
    FoundFile,
    PassedOver,
    leads_inside,
    walk,
)
from neocog.errors import DataError

__all__ = ["MISSING", "NamedFileStore", "NamedFiles", "relative_name"]

#: Size of a file that does not exist.
MISSING = -1
_LONGEST = 4096
_WINDOWS_ROOT = re.compile(r"[A-Za-z]:[\\/]|\\")


class NamedFiles:
    """Finds files by names relative to a folder.

    A name without a picture's ending matches the only picture that has this name with an ending.

    Args:
        root: the folder of the data.
        within: the table's folder, relative to the root, with slashes; empty for the root.
    """

    def __init__(self, root: Path, within: str = "") -> None:
        self._root = root
        self._within = within
        self._base = str(root / within)
        self._inside = os.path.realpath(self._base)
        self._folders: dict[str, bool] = {}
        self._by_stem: dict[str, dict[str, list[str]]] = {}
        self._below: dict[str, list[FoundFile]] | None = None

    def find(self, name: str) -> FoundFile:
        """The file with a name; its size is `MISSING` if it does not exist.

        Raises:
            DataError: the name is refused; the message continues the name.
        """
        relative = relative_name(name)
        found = self._find(relative)
        if found is None and "\\" in relative:  # a path from Windows
            found = self._find(relative.replace("\\", "/"))
        return found or FoundFile(self._from_root(relative), MISSING, 0)

    def _find(self, relative: str) -> FoundFile | None:
        folder, _slash, last = relative.rpartition("/")
        if not self._is_inside(folder):
            raise DataError("leads out of the table's folder by a link")
        found = self._look(relative)
        if found is None and not _has_ending(last):
            fits = self._endings(folder).get(last, [])
            if len(fits) > 1:
                raise DataError(f"may be {' or '.join(fits[:3])}; write the ending")
            if fits:
                found = self._look(f"{folder}/{fits[0]}" if folder else fits[0])
        return found

    def find_below(self, name: str) -> FoundFile:
        """As `find`, for names that are relative to some subfolder.

        Raises:
            DataError: there are several files of this name.
        """
        if self._below is None:
            self._below = defaultdict(list)
            for file in walk(self._root, PassedOver(), self._within):
                last = file.name.rpartition("/")[2]
                self._below[last].append(file)
                self._below[PurePath(last).stem].append(file)
        relative = relative_name(name)
        ending = f"/{relative}"
        fits = [
            file
            for file in self._below.get(relative.rpartition("/")[2], [])
            if f"/{file.name}".endswith(ending)
            or f"/{file.name}".removesuffix(PurePath(file.name).suffix).endswith(ending)
        ]
        if len(fits) > 1:
            names = " or ".join(file.name for file in fits[:3])
            raise DataError(f"may be {names}; write the path")
        return fits[0] if fits else FoundFile(self._from_root(relative), MISSING, 0)

    def _from_root(self, relative: str) -> str:
        return f"{self._within}/{relative}" if self._within else relative

    def _look(self, relative: str) -> FoundFile | None:
        """The file at a path; None if there is nothing or a folder."""
        path = f"{self._base}/{relative}"
        try:
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                status = os.stat(path)  # noqa: PTH116  a million Paths cost seconds
                if not stat.S_ISDIR(status.st_mode) and not leads_inside(path, self._inside):
                    raise DataError("is a link that leads out of the table's folder")
        except OSError:  # it does not exist, is a broken or circular link, or not accessible
            return None
        if stat.S_ISDIR(status.st_mode):
            return None
        return FoundFile(self._from_root(relative), status.st_size, status.st_mtime_ns)

    def _is_inside(self, folder: str) -> bool:
        known = self._folders.get(folder)
        if known is None:
            real = os.path.realpath(f"{self._base}/{folder}")
            known = f"{real}{os.sep}".startswith(self._inside.rstrip(os.sep) + os.sep)
            self._folders[folder] = known
        return known

    def _endings(self, folder: str) -> dict[str, list[str]]:
        """The pictures in a folder by their names without ending."""
        known = self._by_stem.get(folder)
        if known is None:
            known = self._by_stem[folder] = defaultdict(list)
            try:
                with os.scandir(f"{self._base}/{folder}") as entries:
                    names = sorted(entry.name for entry in entries)
            except OSError:
                names = []
            for name in names:
                if _has_ending(name):
                    known[PurePath(name).stem].append(name)
        return known


class NamedFileStore(FileStore):
    """Files that a table names, some of which may not exist.

    Args:
        root: the folder of the data.
        files: in the order of their numbers; missing files have the size `MISSING`.
        where: gives the place where a file is named, by its number: "line 7 of labels.csv".
    """

    def __init__(self, root: Path, files: list[FoundFile], where: Callable[[int], str]) -> None:
        super().__init__(root, files)
        self._where = where

    def read(self, row: int) -> bytes:
        """Its content."""
        if self.size(row) == MISSING:
            raise DataError(f"is named in {self._where(row)}, and is not there.")
        return super().read(row)


def _has_ending(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES  # noqa: PTH122  much faster


def relative_name(name: str) -> str:
    """Normalize a name: no dots, single slashes.

    Raises:
        DataError: it is absolute, or leads upwards; the message continues the name.
    """
    if len(name) > _LONGEST:
        raise DataError(f"has {len(name):,} characters; a path has up to {_LONGEST:,}")
    if "\0" in name:
        raise DataError("has a null character")
    parts = name.split("/")
    if not parts[0] or _WINDOWS_ROOT.match(name):
        raise DataError("is an absolute path; write it from the table's folder")
    if ".." in parts or ("\\" in name and ".." in name.replace("\\", "/").split("/")):
        raise DataError("leads upwards by '..'; write it from the table's folder")
    plain = [part for part in parts if part not in ("", ".")]
    if not plain or parts[-1] in ("", "."):
        raise DataError("is the name of a folder")
    return "/".join(plain)
