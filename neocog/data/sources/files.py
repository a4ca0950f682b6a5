"""Pictures that are files in a folder: which there are, and how they are read.

Nothing outside of the folder is read: links that lead out of it are passed over, and so are links
to folders, which may lead back to where they are.
"""

import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from neocog.files import read_bytes

__all__ = [
    "PICTURE_SUFFIXES",
    "FileStore",
    "FoundFile",
    "PassedOver",
    "is_hidden",
    "leads_inside",
    "walk",
]

#: Endings of the names of picture files, of the kinds that `neocog.data.picture_kinds` reads.
PICTURE_SUFFIXES = frozenset(
    (
        *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".bmp", ".dib", ".webp", ".avif"),
        *(".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"),
    )
)

# What systems and programs put among people's files.
_CLUTTER = frozenset(("__macosx", "thumbs.db", "desktop.ini", "$recycle.bin", "@eadir"))
_DEEPEST = 40
_MOST_SUFFIXES = 4


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A regular file.

    Attributes:
        name: its path from the folder, with slashes.
        size: bytes.
        time: when it was last written, in nanoseconds.
    """

    name: str
    size: int
    time: int


@dataclass
class PassedOver:
    """What was seen in a folder and is not read."""

    hidden: int = 0
    links: int = 0
    specials: int = 0
    deep: int = 0
    unreadable: list[str] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)

    def notes(self) -> list[str]:
        """Sentences for the user; none where nothing was passed over."""
        found = []
        if self.others:
            kinds = [f"{kind or 'no ending'} ({n:,})" for kind, n in self.others.most_common()]
            more = f" and {len(kinds) - _MOST_SUFFIXES} more" if len(kinds) > _MOST_SUFFIXES else ""
            found.append(
                "Files of other kinds are passed over: " + ", ".join(kinds[:_MOST_SUFFIXES]) + more
            )
        for count, what in (
            (self.hidden, "hidden or of the system"),
            (self.links, "links to folders or out of the folder"),
            (self.specials, "pipes, devices or sockets"),
            (self.deep, f"more than {_DEEPEST} folders deep"),
        ):
            if count:
                found.append(f"Passed over, as they are {what}: {count:,}")
        if self.unreadable:
            found.append(f"Folders that cannot be read: {', '.join(self.unreadable[:3])}")
        return [f"{one}." for one in found]


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is not the user's own data."""
    return name.startswith(".") or name.lower() in _CLUTTER


def walk(root: Path, passed_over: PassedOver, within: str = "") -> Iterator[FoundFile]:
    """The picture files in a folder and those below it, sorted by name.

    Args:
        root: of all.
        passed_over: is told of all else.
        within: the folder to look through, from the root with slashes; the root itself if empty.

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
            passed_over.unreadable.append(f"{folder} ({error.strerror})")
            continue
        folders = []
        for entry in entries:
            name = f"{folder}/{entry.name}" if folder else entry.name
            if is_hidden(entry.name):
                passed_over.hidden += 1
            elif entry.is_dir(follow_symlinks=False):
                if depth < _DEEPEST:
                    folders.append((name, depth + 1))
                else:
                    passed_over.deep += 1
            elif (file := _file(entry, name, inside, passed_over)) is not None:
                yield file
        waiting += reversed(folders)


def _file(
    entry: "os.DirEntry[str]", name: str, inside: str, passed_over: PassedOver
) -> FoundFile | None:
    suffix = PurePath(entry.name).suffix.lower()
    if entry.is_symlink() and not leads_inside(entry.path, inside):
        passed_over.links += 1
        return None
    if suffix not in PICTURE_SUFFIXES:
        passed_over.others[suffix] += 1
        return None
    try:
        status = entry.stat()
    except OSError:  # it has just gone, or links lead round in a circle
        passed_over.links += 1
        return None
    if not stat.S_ISREG(status.st_mode):
        passed_over.specials += 1
        return None
    return FoundFile(name, status.st_size, status.st_mtime_ns)


def leads_inside(path: str, inside: str) -> bool:
    """Whether a link leads to something that is no folder below `inside`, a real path."""
    try:
        target = os.path.realpath(path, strict=True)
    except OSError:
        return False
    return target.startswith(inside.rstrip(os.sep) + os.sep) and not Path(target).is_dir()


class FileStore:
    """Files in a folder.

    Args:
        root: of all.
        files: in the order of their numbers.
    """

    def __init__(self, root: Path, files: list[FoundFile]) -> None:
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
        """Its content."""
        return read_bytes(self._root / self._files[row].name)
