"""NumPy's NPZ files with images and labels, found by the usual names of the arrays.

``x_train`` and ``y_train`` (Keras), ``train_images`` and ``train_labels`` (MedMNIST), also for
``val`` and ``test``; or ``images`` and ``labels``, or ``X`` and ``y``, without parts. Object arrays
are never read, since that could run code.
"""

import os
import zlib
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.data.images import Dataset
from neocog.data.sources.archives.zip_directory import (
    DEFLATED,
    STORED,
    ZipError,
    ZipMember,
    zip_directory,
)
from neocog.data.sources.arrays import of_datasets
from neocog.data.sources.base import ALL, Listing, Request, Source
from neocog.data.sources.pixel_files.batches import as_batch, find_layout
from neocog.data.sources.pixel_files.labels import as_label_column, number_labels
from neocog.data.sources.pixel_files.npy import read_header
from neocog.errors import DataError, printable
from neocog.files import open_regular
from neocog.limits import require_memory
from neocog.zip_records import LOCAL

__all__ = ["SOURCE"]

KIND = "NPZ files"
# Names of images and labels, in lower case; of several for one part the first is used.
_PARTS = {
    "train": (("x_train", "y_train"), ("train_images", "train_labels")),
    "validation": (
        *(("x_val", "y_val"), ("x_valid", "y_valid"), ("x_validation", "y_validation")),
        *(("val_images", "val_labels"), ("valid_images", "valid_labels")),
    ),
    "test": (("x_test", "y_test"), ("test_images", "test_labels")),
}
_WHOLE = (("images", "labels"), ("x", "y"))
_CLASS_NAMES = ("class_names", "label_names", "classes")

_MOST_ARRAYS = 1_000
# zlib's largest compression ratio.
_MOST_RATIO = 1032
_PIECE = 1 << 20


def _recognizes(path: Path) -> bool:
    return path.suffix.lower() == ".npz" and not path.is_dir()


def _read(path: Path, request: Request) -> Listing:
    name = printable(str(path), 300)
    try:
        with open_regular(path) as file:
            return _listing(path, _Arrays(file), request)
    except DataError as error:
        raise DataError(f"{name}: {error}") from error
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror or error}.") from error
    except (ZipError, zlib.error) as error:
        raise DataError(f"{name} is damaged or no NPZ file: {error}.") from error


class _Arrays:
    """The arrays of an NPZ by their names in lower case; each is read on demand."""

    def __init__(self, file: BufferedReader) -> None:
        self._file = file
        self._found: dict[str, ZipMember] = {}
        self._end, members = zip_directory(self._bytes, file.seek(0, os.SEEK_END))
        for number, member in enumerate(members):
            if number == _MOST_ARRAYS:
                raise DataError(f"it holds more than {_MOST_ARRAYS:,} arrays.")
            if member.name.endswith(".npy"):
                name = member.name.removesuffix(".npy").lower()
                if name in self._found:
                    raise DataError(f"it has two arrays {printable(name)}.")
                self._found[name] = member

    def __contains__(self, name: str) -> bool:
        return name in self._found

    def __str__(self) -> str:
        return ", ".join(printable(name, 40) for name in list(self._found)[:12]) or "none"

    def read(self, name: str) -> NDArray[Any]:
        """Read an array; its size is checked before memory is allocated."""
        try:
            return self._read(self._found[name])
        except DataError as error:
            raise DataError(f"its array {name} {error}") from error

    def _read(self, member: ZipMember) -> NDArray[Any]:
        if member.encrypted or member.method not in (STORED, DEFLATED):
            raise DataError("is encrypted or packed in a way that NumPy does not.")
        begin = self._bytes(member.at, LOCAL.size)
        if len(begin) < LOCAL.size or not begin.startswith(b"PK\x03\x04"):
            raise DataError("is not where it should be.")
        start = member.at + LOCAL.size + sum(LOCAL.unpack(begin)[1:])
        if start + member.packed > self._end:
            raise DataError("is cut short.")
        self._file.seek(start)
        content = _Content(self._file, member)
        header = read_header(content)
        if header.length + header.size != member.size:
            raise DataError(
                f"should have {header.length + header.size:,} bytes and has {member.size:,}."
            )
        if member.size > _MOST_RATIO * member.packed + _PIECE:
            raise DataError("says that it unpacks to more than it can.")
        require_memory(header.size, f"An array of {list(header.shape)}", "Make it smaller.")
        found = np.empty(header.size, np.uint8)
        for first in range(0, header.size, _PIECE):
            piece = content.read(min(_PIECE, header.size - first))
            found[first : first + len(piece)] = np.frombuffer(piece, np.uint8)
        content.finish()
        numbers = found.view(header.dtype)
        order = header.shape[::-1] if header.fortran else header.shape
        return numbers.reshape(order).T if header.fortran else numbers.reshape(order)

    def _bytes(self, at: int, count: int) -> bytes:
        self._file.seek(at)
        return self._file.read(count)


class _Content:
    """The uncompressed content of a member, a piece at a time from the file's position."""

    def __init__(self, file: BufferedReader, member: ZipMember) -> None:
        self._file = file
        self._member = member
        self._packed_left = member.packed
        self._unzip = zlib.decompressobj(-15) if member.method == DEFLATED else None
        self._waiting = b""
        self._sum = 0

    def read(self, size: int) -> bytes:
        """The next bytes, exactly `size`.

        Raises:
            DataError: there are fewer.
        """
        pieces = []
        while size:
            piece = self._some(size)
            if not piece:
                raise DataError("ends too soon.")
            size -= len(piece)
            self._sum = zlib.crc32(piece, self._sum)
            pieces.append(piece)
        return b"".join(pieces)

    def finish(self) -> None:
        """Raise `DataError` if bytes are left over, or the checksum is wrong."""
        if self._some(1):
            raise DataError("is longer than it says.")
        if self._sum != self._member.crc:
            raise DataError("is damaged: its checksum is another.")

    def _some(self, size: int) -> bytes:
        if self._unzip is None:
            return self._packed(size)
        while not self._unzip.eof:
            self._waiting = self._waiting or self._packed(_PIECE)
            ended = not self._waiting
            piece = self._unzip.decompress(self._waiting, size)
            self._waiting = self._unzip.unconsumed_tail
            if piece or ended:
                return piece
        return b""

    def _packed(self, size: int) -> bytes:
        piece = self._file.read(min(size, self._packed_left))
        self._packed_left -= len(piece)
        return piece


def _listing(path: Path, arrays: _Arrays, request: Request) -> Listing:
    pairs = {
        part: next((pair for pair in names if pair[0] in arrays), None)
        for part, names in (*_PARTS.items(), (ALL, _WHOLE))
    }
    found = {part: pair for part, pair in pairs.items() if pair is not None}
    if len(found) > 1:
        found.pop(ALL, None)
    elif found:
        found = {ALL: next(iter(found.values()))}
    else:
        raise DataError(
            "it has no arrays x_train and y_train, train_images and train_labels, images and "
            f"labels, or X and y. There are: {arrays}."
        )
    notes: list[str] = []
    images = {part: _images(arrays, pair[0], notes) for part, pair in found.items()}
    columns = {part: _labels(arrays, pair, len(images[part])) for part, pair in found.items()}
    given = next((name for name in _CLASS_NAMES if name in arrays), None)
    names = None if given is None else _names(arrays, given)
    classes, numbers = number_labels(columns, names, "it")
    parts = {part: Dataset(images[part], numbers[part]) for part in images}
    if len(parts) == 1:
        parts = {ALL: next(iter(parts.values()))}
    return of_datasets(KIND, printable(path.stem, 100), parts, classes, request, notes)


def _images(arrays: _Arrays, name: str, notes: list[str]) -> NDArray[np.uint8]:
    found = arrays.read(name)
    layout = find_layout(found.shape, name)
    if layout == "NCHW":
        notes.append(f"{name} is read as [n, channels, height, width]: {list(found.shape)}.")
    return as_batch(found, layout, name)


def _labels(arrays: _Arrays, pair: tuple[str, str], count: int) -> NDArray[Any]:
    images, labels = pair
    if labels not in arrays:
        raise DataError(f"it has {images}, but no array {labels}. There are: {arrays}.")
    return as_label_column(arrays.read(labels), count, labels)


def _names(arrays: _Arrays, name: str) -> list[str]:
    found = arrays.read(name)
    if found.ndim != 1 or found.dtype.kind != "U":
        raise DataError(f"its array {name} is no row of texts.")
    return [str(one) for one in found]


SOURCE = Source(KIND, _recognizes, _read)
