"""The pictures given to a command: files, folders, patterns, other sources, or a list on stdin."""

import glob
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from neocog.data.loading import list_pictures
from neocog.data.options import LoadOptions
from neocog.data.picture import fit_picture, read_picture
from neocog.data.sources import SOURCES, Store
from neocog.data.sources.files import FileStore, PassedOver, walk
from neocog.errors import DataError, NeocogError, printable
from neocog.files import exists, user_path
from neocog.preprocessing import Resize

__all__ = ["GivenPicture", "given_pictures"]

# Longest name on stdin, in bytes; no system has longer paths.
_LONGEST_NAME = 32_768
_BLOCK = 65_536


@dataclass(frozen=True, slots=True)
class GivenPicture:
    """A picture that has not been opened yet.

    Attributes:
        name: the name for messages and output; for a file, its path.
        store: the store that has it; None for a file.
        row: its number in the store.
    """

    name: str
    store: Store | None = None
    row: int = 0

    def read(self, shape: tuple[int, int, int], resize: Resize) -> NDArray[np.uint8]:
        """Its pixels, resized to fit; raises `DataError`, with its name, if it cannot be read."""
        if self.store is None:
            return read_picture(self.name, shape, resize)
        try:
            return fit_picture(self.store.read(self.row), shape, resize)
        except DataError as error:
            raise DataError(f"{printable(self.name, 300)} {error}") from error
        except OSError as error:
            why = error.strerror or error
            raise DataError(f"{printable(self.name, 300)}: {why}.") from error


def given_pictures(
    arguments: list[str], options: LoadOptions, *, null: bool = False
) -> tuple[Iterator[GivenPicture], int | None]:
    """The pictures in the order of the arguments, and how many; None if that is not known yet.

    Args:
        arguments: each is a file, a folder (searched recursively), a pattern such as ``*.png``,
            another source of pictures, or ``-`` for a list on stdin.
        options: the columns of tables.
        null: whether names on stdin end in null bytes instead of line breaks.

    Raises:
        NeocogError: a folder or source has no pictures or cannot be read, or stdin is used twice or
            not at all. A missing file is reported when it is read.
    """
    stdin = arguments.count("-")
    if stdin > 1:
        raise NeocogError("- stands for the list on stdin, which can be read once.")
    if null and not stdin:
        raise NeocogError("-0 is for a list on stdin: write - in the place of a picture.")
    groups: list[Iterator[GivenPicture] | list[GivenPicture]] = []
    count = 0
    for argument in arguments:
        if argument == "-":
            groups.append(_on_stdin(b"\0" if null else b"\n"))
            continue
        found = _of_argument(argument, options)
        count += len(found)
        groups.append(found)
    return chain.from_iterable(groups), None if stdin else count


def _of_argument(argument: str, options: LoadOptions) -> list[GivenPicture]:
    path = user_path(argument)
    if not exists(path):
        if glob.has_magic(argument):
            # pathlib's glob would match hidden files too.
            found = glob.glob(str(path))  # noqa: PTH207
            matches = sorted(one for one in found if not Path(one).is_dir())
            if matches:
                return [GivenPicture(one) for one in matches]
        return [GivenPicture(argument)]
    if path.is_dir():
        return _of_folder(argument, path)
    # Pipes and devices are refused when they are opened.
    if path.is_file() and any(source.recognizes(path) for source in SOURCES):
        listing = list_pictures(path, options.request())
        return [
            GivenPicture(f"{argument}/{pictures.name(n)}", pictures.store, int(pictures.rows[n]))
            for pictures in listing.parts.values()
            for n in range(len(pictures))
        ]
    return [GivenPicture(argument)]


def _of_folder(argument: str, path: Path) -> list[GivenPicture]:
    passed_over = PassedOver()
    try:
        files = list(walk(path, passed_over))
    except OSError as error:
        raise DataError(f"{printable(argument, 300)}: {error.strerror or error}.") from error
    if not files:
        raise DataError(
            " ".join([f"{printable(argument, 300)} has no pictures.", *passed_over.notes()])
        )
    store = FileStore(path, files)
    base = argument.rstrip("/") if argument.strip("/") else ""
    return [GivenPicture(f"{base}/{file.name}", store, row) for row, file in enumerate(files)]


def _on_stdin(separator: bytes) -> Iterator[GivenPicture]:
    stream: BinaryIO | None = getattr(sys.stdin, "buffer", None)
    if stream is None:
        return
    rest = b""
    read = getattr(stream, "read1", stream.read)
    while block := read(_BLOCK):
        *whole, rest = (rest + block).split(separator)
        for name in whole:
            yield from _named(name, separator)
        if len(rest) > _LONGEST_NAME:
            raise NeocogError(
                f"stdin has no list of pictures: a name has over {_LONGEST_NAME:,} bytes."
            )
    yield from _named(rest, separator)


def _named(name: bytes, separator: bytes) -> Iterator[GivenPicture]:
    if separator == b"\n":
        name = name.removesuffix(b"\r")
    if name:
        # Decoded as Python decodes file names, so that any bytes lead to their file.
        yield GivenPicture(name.decode(sys.getfilesystemencoding(), "surrogateescape"))
