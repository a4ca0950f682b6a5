"""Picture files by their paths, wherever they lie: in a folder, or in an archive.

What makes classes and parts of folders' names works on these, and knows nothing of where the files
are. So each kind of place brings its pictures and its words about what it has passed over, and each
arrangement of files (class folders, a table of labels) is understood in all of them.
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

#: Endings of the names of picture files, of the kinds that `neocog.data.picture_kinds` reads.
PICTURE_SUFFIXES = frozenset(
    (
        *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".bmp", ".dib", ".webp", ".avif"),
        *(".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"),
    )
)
#: Folders below each other; deeper ones are made by mistake or to do harm.
DEEPEST = 40

# What systems and programs put among people's files.
_CLUTTER = frozenset(("__macosx", "thumbs.db", "desktop.ini", "$recycle.bin", "@eadir"))
# Bytes of a file that may be read without a look at the memory that is left.
_SMALL = 2**24


@dataclass(frozen=True, eq=False)
class Tree:
    """The picture files of one place.

    Attributes:
        place: what the user calls it, ready for messages.
        name: of the data, as in `Listing`.
        names: the files' paths within the place, with slashes, by their numbers in `store`.
        store: reads them.
        notes: sentences for the user, of what was passed over.
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
    """The ending of a file's name in small letters, as ".jpg"; "" where there is none."""
    stem, dot, ending = name.rpartition(".")
    return dot + ending.lower() if stem else ""


def path_within(name: str, passed_over: PassedOver) -> str | None:
    """The path of a member of an archive, without needless parts; None for one to pass over.

    Nothing is ever written by such a name, but one that leads out of its archive is no picture's.

    Args:
        name: as it stands in the archive, with slashes.
        passed_over: is told of names that lead outside, are hidden, or too deep.
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
    """Raise `DataError` for a file that is too long for a picture, or for the memory there is.

    The text goes on from the file's name.
    """
    if size <= _SMALL:
        return
    if size > LARGEST_FILE:
        raise DataError(f"has {size:,} bytes, more than the {LARGEST_FILE:,} of a picture.")
    try:
        require_memory(size, "Reading it", "Scale it down first.")
    except NeocogError as error:
        raise DataError(f"is too large. {error}") from None
