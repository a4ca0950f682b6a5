"""Finds the pictures in an archive that a table names, and the tables themselves."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from neocog.data.sources.class_folders import part_of
from neocog.data.sources.files import FoundFile
from neocog.data.sources.tables.named_files import MISSING, relative_name
from neocog.data.sources.tree import PICTURE_SUFFIXES, Tree, suffix_of
from neocog.errors import DataError

__all__ = ["NamedMemberStore", "NamedMembers", "usual_tables"]


def usual_tables(
    texts: Iterable[str], pictures: Iterable[str], usual: Sequence[str]
) -> list[tuple[str, str, str | None]]:
    """The tables of an archive with usual names: (path, folder, part).

    As in a folder, there is one for all pictures, or one in the folder of each part; a single
    folder around everything is skipped.

    Args:
        texts: paths of files that may be tables.
        pictures: paths of the pictures.
        usual: usual names of tables, the preferred one first.
    """
    known = frozenset(texts)
    folders = {name.rpartition("/")[0] + "/" for name in (*known, *pictures)}
    within = ""
    while True:
        here = [within + name for name in usual if within + name in known]
        if here:
            return [(here[0], within.rstrip("/"), None)]
        tops = {folder[len(within) :].partition("/")[0] for folder in folders}
        found = []
        for top in sorted(tops):
            folder = f"{within}{top}"
            inner = [f"{folder}/{name}" for name in usual if f"{folder}/{name}" in known]
            if inner and part_of(top) is not None:
                found.append((inner[0], folder, part_of(top)))
        if found or len(tops) != 1 or not (top := tops.pop()):
            return found
        within = f"{within}{top}/"


class NamedMembers:
    """Finds pictures in an archive by names relative to a table's folder, as `NamedFiles` does.

    Args:
        tree: the pictures.
        within: the table's folder.
    """

    def __init__(self, tree: Tree, within: str = "") -> None:
        self._before = f"{within}/" if within else ""
        self._known = frozenset(tree.names)
        self._by_stem: dict[str, list[str]] = defaultdict(list)
        self._by_last: dict[str, list[str]] = defaultdict(list)
        for name in tree.names:
            if name.startswith(self._before):
                stem = name.removesuffix(name[len(name) - len(suffix_of(name)) :])
                self._by_stem[stem].append(name)
                for last in {name.rpartition("/")[2], stem.rpartition("/")[2]}:
                    self._by_last[last].append(name)

    def find(self, name: str) -> FoundFile:
        """The picture with a name; its size is `MISSING` if it does not exist.

        Raises:
            DataError: the name is refused; the message continues the name.
        """
        path = self._before + relative_name(name)
        if path in self._known:
            return FoundFile(path, 0, 0)
        return self._only([] if _has_ending(path) else self._by_stem.get(path, []), path)

    def find_below(self, name: str) -> FoundFile:
        """As `find`, for names that are relative to some subfolder.

        Raises:
            DataError: there are several pictures of this name.
        """
        relative = relative_name(name)
        ending = f"/{relative}"
        fits = [
            one
            for one in self._by_last.get(relative.rpartition("/")[2], [])
            if f"/{one}".endswith(ending)
            or f"/{one[: len(one) - len(suffix_of(one))]}".endswith(ending)
        ]
        return self._only(fits, self._before + relative)

    def _only(self, fits: list[str], path: str) -> FoundFile:
        if len(fits) > 1:
            raise DataError(f"may be {' or '.join(fits[:3])}; write the path")
        return FoundFile(fits[0], 0, 0) if fits else FoundFile(path, MISSING, 0)


def _has_ending(name: str) -> bool:
    return suffix_of(name.rpartition("/")[2]) in PICTURE_SUFFIXES


class NamedMemberStore:
    """Pictures of an archive that a table names, some of which may not exist.

    Args:
        tree: the pictures.
        names: their paths, in the order of their numbers.
        where: gives the place where a picture is named, by its number: "line 7 of labels.csv".
    """

    def __init__(self, tree: Tree, names: Sequence[str], where: Callable[[int], str]) -> None:
        self._store = tree.store
        self._names = names
        self._where = where
        numbers = {name: number for number, name in enumerate(tree.names)}
        self._rows = np.array([numbers.get(name, MISSING) for name in names], np.int64)

    def name(self, row: int) -> str:
        """Its path in the archive."""
        return self._names[row]

    def stamp(self, row: int) -> str:
        """As in the archive."""
        inner = int(self._rows[row])
        return self._names[row] if inner == MISSING else self._store.stamp(inner)

    def size(self, row: int) -> int:
        """Its length; `MISSING` if it does not exist."""
        inner = int(self._rows[row])
        return MISSING if inner == MISSING else self._store.size(inner)

    def read(self, row: int) -> bytes | NDArray[np.uint8]:
        """Its content."""
        inner = int(self._rows[row])
        if inner == MISSING:
            raise DataError(f"is named in {self._where(row)}, and is not there.")
        return self._store.read(inner)
