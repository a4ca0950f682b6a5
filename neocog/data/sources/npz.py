"""NPZ files of NumPy's: arrays of images and labels, by the names that people give them.

``x_train`` and ``y_train`` (Keras), ``train_images`` and ``train_labels`` (MedMNIST), also of
``val`` and ``test``; or ``images`` and ``labels``, or ``X`` and ``y``, without parts. Objects are
never read, which would run what the file says.
"""

import os
import struct
import zipfile
import zlib
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from neocog.data.batches import as_batch, find_layout
from neocog.data.dataset import Dataset
from neocog.data.labels import as_label_column, number_labels
from neocog.data.npy import read_header
from neocog.data.sources.arrays import of_datasets
from neocog.data.sources.base import ALL, Listing, Request, Source
from neocog.errors import DataError, printable
from neocog.files import open_regular
from neocog.limits import require_memory

__all__ = ["SOURCE"]

KIND = "NPZ files"
# Names of images and labels, in small letters; a part of several names has the first that is there.
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
_MOST_DIRECTORY = 1 << 20
# zlib packs nothing to less than this part of its length.
_MOST_RATIO = 1032
_PIECE = 1 << 20
_ENCRYPTED, _PACKED = 1, (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What zipfile raises for what it cannot understand.
_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError),
    *(NotImplementedError, RuntimeError, OverflowError, ValueError),
)
_END = struct.Struct("<4s4xHHLLH")
_END_64 = struct.Struct("<4s20xQQQQ")
_LOCATOR = struct.Struct("<4s4xQ4x")


def _recognizes(path: Path) -> bool:
    return path.suffix.lower() == ".npz" and not path.is_dir()


def _read(path: Path, request: Request) -> Listing:
    name = printable(str(path), 300)
    try:
        with open_regular(path) as file:
            _check_directory(file)
            with zipfile.ZipFile(file) as archive:
                return _listing(path, _Arrays(archive), request)
    except DataError as error:
        raise DataError(f"{name}: {error}") from error
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror or error}.") from error
    except _DAMAGED as error:
        why = printable(str(error), 200)
        raise DataError(f"{name} is damaged or no NPZ file: {why}.") from error


def _check_directory(file: BufferedReader) -> None:
    """Raise `DataError` for too many arrays: zipfile would make a list of all."""
    length = file.seek(0, os.SEEK_END)
    file.seek(max(0, length - 0xFFFF - _END.size))
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END.size:
        raise DataError("it is damaged or no NPZ file: its end is missing.")
    _signature, _here, count, size, _start, _comment = _END.unpack_from(tail, at)
    if at >= _LOCATOR.size and tail[at - _LOCATOR.size :][:4] == b"PK\x06\x07":
        _signature, where = _LOCATOR.unpack_from(tail, at - _LOCATOR.size)
        file.seek(min(where, length))
        record = file.read(_END_64.size)
        if len(record) == _END_64.size:
            _signature, _here, count, size, _start = _END_64.unpack(record)
    if count > _MOST_ARRAYS or size > _MOST_DIRECTORY:
        raise DataError(f"it holds {count:,} arrays; up to {_MOST_ARRAYS:,} are read.")
    file.seek(0)


class _Arrays:
    """The arrays of an NPZ by their names in small letters; none is read before it is asked for."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._found: dict[str, zipfile.ZipInfo] = {}
        for info in archive.infolist():
            if info.filename.endswith(".npy"):
                name = info.filename.removesuffix(".npy").lower()
                if name in self._found:
                    raise DataError(f"it has two arrays {printable(name)}.")
                self._found[name] = info

    def __contains__(self, name: str) -> bool:
        return name in self._found

    def __str__(self) -> str:
        return ", ".join(printable(name, 40) for name in list(self._found)[:12]) or "none"

    def read(self, name: str) -> NDArray[Any]:
        """An array; its size is compared with what can be before there is room for it."""
        try:
            return self._read(self._found[name])
        except DataError as error:
            raise DataError(f"its array {name} {error}") from error

    def _read(self, info: zipfile.ZipInfo) -> NDArray[Any]:
        if info.flag_bits & 1 or info.compress_type not in (
            zipfile.ZIP_STORED,
            zipfile.ZIP_DEFLATED,
        ):
            raise DataError("is encrypted or packed in a way that NumPy does not.")
        with self._archive.open(info) as file:
            header = read_header(file)  # type: ignore[arg-type]
            if header.length + header.size != info.file_size:
                raise DataError(
                    f"should have {header.length + header.size:,} bytes and has {info.file_size:,}."
                )
            if info.file_size > _MOST_RATIO * info.compress_size + _PIECE:
                raise DataError("says that it unpacks to more than it can.")
            require_memory(header.size, f"An array of {list(header.shape)}", "Make it smaller.")
            found = np.empty(header.size, np.uint8)
            _fill(file, found.data)  # type: ignore[arg-type]
        numbers = found.view(header.dtype)
        order = header.shape[::-1] if header.fortran else header.shape
        return numbers.reshape(order).T if header.fortran else numbers.reshape(order)


def _fill(file: BinaryIO, into: memoryview) -> None:
    while into:
        piece = file.read(min(len(into), _PIECE))
        if not piece:
            raise DataError("ends too soon.")
        into[: len(piece)] = piece
        into = into[len(piece) :]
    if file.read(1):  # and so its sum is checked
        raise DataError("is longer than it says.")


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
