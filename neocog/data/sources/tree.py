"""Picture files by path, in a folder or in an archive.

The code that makes classes and parts of folders' names works on these and does not depend on where
the files are. Each kind of place provides its pictures and its notes on ignored files, and each
arrangement of files (class folders, a table of labels) works in all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from neocog.data.picture_kinds import LARGEST_FILE
from neocog.data.sources.base import Store
from neocog.data.sources.passed_over import PassedOver
from neocog.errors import DataError, NeocogError
from neocog.limits import require_memory

__all__ = [
    "DEEPEST",
    "PICTURE_SUFFIXES",
    "Tree",
    "check_length",
    "is_hidden",
    "path_within",
    "suffix_of",
]

#: Endings of picture files, of the formats that `neocog.data.picture_kinds` reads.
PICTURE_SUFFIXES = frozenset(
    (
        *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".bmp", ".dib", ".webp", ".avif"),
        *(".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"),
    )
)
#: Largest depth of folders; deeper ones are a mistake or an attack.
DEEPEST = 40

# Files that systems and programs put among people's own.
_CLUTTER = frozenset(("__macosx", "thumbs.db", "desktop.ini", "$recycle.bin", "@eadir"))
# Largest file that is read without checking the free memory, in bytes.
_SMALL = 2**24


@dataclass(frozen=True, eq=False)
class Tree:
    """The picture files of one place.

    Attributes:
        place: name of the place in messages.
        name: name of the data, as in `Listing`.
        names: the files' paths within the place, with slashes, by their numbers in `store`.
        store: reads the files.
        notes: sentences for the user, about ignored files.
    """

    place: str
    name: str
    names: Sequence[str]
    store: Store
    notes: Sequence[str] = ()


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is not the user's own data."""
    return name.startswith(".") or name.lower() in _CLUTTER


def suffix_of(name: str) -> str:
    """The ending of a file's name in lower case, such as ".jpg"; "" if there is none."""
    stem, dot, ending = name.rpartition(".")
    return dot + ending.lower() if stem else ""


def path_within(name: str, passed_over: PassedOver) -> str | None:
    """The normalized path of a member of an archive; None if it is to be ignored.

    Nothing is ever written to such a path, but a path out of the archive is not a picture's.

    Args:
        name: path in the archive, with slashes.
        passed_over: collects names that lead outside, are hidden, or too deep.
    """
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or "\0" in name or name[1:3] == ":/":
        passed_over.outside.add(name)
    elif any(map(is_hidden, parts)):
        passed_over.hidden += 1
    elif len(parts) > DEEPEST + 1:
        passed_over.deep += 1
    else:
        return "/".join(parts)
    return None


def check_length(size: int) -> None:
    """Raise `DataError` for a file that is too long for a picture, or for the free memory.

    The message continues the file's name.
    """
    if size <= _SMALL:
        return
    if size > LARGEST_FILE:
        raise DataError(f"has {size:,} bytes, more than the {LARGEST_FILE:,} of a picture.")
    try:
        require_memory(size, "Reading it", "Scale it down first.")
    except NeocogError as error:
        raise DataError(f"is too large. {error}") from None
