"""A file with an array of bytes, memory-mapped when it is opened, and a description of the array.

    the array               uint8, one item after another, from the file's first byte on
    `About`                 JSON
    its length              8 bytes
    magic bytes             8 bytes

Torn files and files of another key are not used. No size in a file is trusted before it is compared
with the file's own.
"""

import hashlib
import json
import math
import mmap
import os
import re
from dataclasses import asdict, dataclass, fields
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from neocog.files import open_regular
from neocog.private_folder import require_private

__all__ = ["FEATURES", "About", "EntryWriter", "mapping_of", "open_entry", "read_about"]

#: Kind of entries of features; those of pixels have their source's kind.
FEATURES = "features"

_MARK = b"neocog\x00\x01"
_LENGTH = 8
_TAIL = _LENGTH + len(_MARK)
_LONGEST_ABOUT = 2**26
_MOST_AXES = 4
_HEX = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class About:
    """Description of an entry.

    Attributes:
        key: key of the entry.
        kind: kind of the source, for people: "class folders".
        name: name of the data, for people.
        shape: shape of the array; the first number is the number of items.
        digest: SHA-256 of the array's bytes, in hex.
        bad: indices of the pictures that are left out because they could not be read.
        maker: versions of the code that made the array, as in the key.
    """

    key: str
    kind: str
    name: str
    shape: tuple[int, ...]
    digest: str
    bad: tuple[int, ...] = ()
    maker: str = ""


class EntryWriter:
    """Writes an entry, a few items at a time.

    Args:
        file: a new file.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._count = 0

    def add(self, items: NDArray[np.uint8]) -> None:
        """Write more items."""
        data = np.ascontiguousarray(items).data
        self._digest.update(data)
        self._file.write(data)
        self._count += len(items)

    def finish(
        self,
        *,
        key: str,
        kind: str,
        name: str,
        item_shape: tuple[int, ...],
        bad: tuple[int, ...] = (),
        maker: str = "",
    ) -> None:
        """Write the description, see `About`, after all items."""
        shape = (self._count, *item_shape)
        about = About(key, kind, name, shape, self._digest.hexdigest(), bad, maker)
        text = json.dumps(asdict(about)).encode()
        self._file.write(text + len(text).to_bytes(_LENGTH, "big") + _MARK)


def open_entry(path: Path, key: str) -> tuple[About, NDArray[np.uint8]]:
    """Open an entry: its description, and its array, mapped for reading.

    Raises:
        OSError: there is no entry, or other users could have written it.
        ValueError: it is torn, or has another key or format.
    """
    with open_regular(path, follow_links=False) as file:
        require_private(os.fstat(file.fileno()), path)
        about = read_about(file)
        if about.key != key:
            raise ValueError("it is of another key")
        size = math.prod(about.shape)
        if size == 0:  # an empty file cannot be mapped
            return about, np.empty(about.shape, np.uint8)
        mapping = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
    return about, np.ndarray(about.shape, np.uint8, buffer=mapping)


def mapping_of(array: NDArray[Any]) -> mmap.mmap | None:
    """The memory map of an array from `open_entry`; None for an empty one."""
    return array.base if isinstance(array.base, mmap.mmap) else None


def read_about(file: BufferedReader) -> About:
    """Read the description and check it against the length of the file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is torn or has another format.
    """
    size = file.seek(0, os.SEEK_END)
    if size < _TAIL:
        raise ValueError("it is torn")
    file.seek(size - _TAIL)
    tail = file.read(_TAIL)
    length = int.from_bytes(tail[:_LENGTH], "big")
    if tail[_LENGTH:] != _MARK or not 0 < length <= min(_LONGEST_ABOUT, size - _TAIL):
        raise ValueError("it is torn or of another format")
    file.seek(size - _TAIL - length)
    try:
        about = _about(json.loads(file.read(length)))
    except RecursionError:
        raise ValueError("what it says of itself is nested too deep") from None
    if math.prod(about.shape) != size - _TAIL - length:
        raise ValueError("its array has another length")
    return about


def _about(found: Any) -> About:
    names = {field.name for field in fields(About)}
    if not isinstance(found, dict) or set(found) != names:
        raise ValueError("it says other things of itself")
    for name in ("shape", "bad"):
        found[name] = _numbers(found[name])
    texts = names - {"shape", "bad"}
    if not all(isinstance(found[name], str) for name in texts):
        raise ValueError("it says other things of itself")
    about = About(**found)
    if not 1 <= len(about.shape) <= _MOST_AXES or not _HEX.fullmatch(about.digest):
        raise ValueError("it says other things of itself")
    return about


def _numbers(found: Any) -> tuple[int, ...]:
    if not isinstance(found, list) or not all(type(one) is int and one >= 0 for one in found):
        raise ValueError("it says other things of itself")
    return tuple(found)
