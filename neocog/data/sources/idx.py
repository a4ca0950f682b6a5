"""IDX files, as of MNIST: a file of images and one of labels, possibly compressed by gzip.

Files are matched by name: ``train-images-idx3-ubyte`` and ``train-labels-idx1-ubyte``, ``t10k-…``
for the test, with dots or dashes, with any prefix (``emnist-letters-train-…``), and with ``.gz``.
The format: http://yann.lecun.com/exdb/mnist, "the IDX file format".

EMNIST's own files are transposed; they are transposed back, so that letters are upright.
"""

import os
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neocog.data.images import Dataset
from neocog.data.sources.archives.gunzip import ArchiveError, Unpacked
from neocog.data.sources.arrays import of_datasets
from neocog.data.sources.base import ALL, PARTS, Listing, Request, Source
from neocog.data.sources.pixel_files.labels import number_labels
from neocog.errors import DataError, printable
from neocog.files import open_regular
from neocog.limits import require_memory

__all__ = ["SOURCE"]

KIND = "IDX files"
FASHION = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)

_NAME = re.compile(
    r"(?P<set>.*?)[-_.]?(?P<part>train|t10k|test|valid|val|)[-_.]?"
    r"(?P<what>images|labels)[-_.]idx[13][-_.]ubyte(?P<packed>\.gz)?",
    re.IGNORECASE,
)
_PART_NAMES = {
    "train": "train",
    "t10k": "test",
    "test": "test",
    "": ALL,
    "val": "validation",
    "valid": "validation",
}
# Where torchvision stores them, below the folder that it is given.
_FOLDERS = ("", "raw", "MNIST/raw", "FashionMNIST/raw", "KMNIST/raw")
_UBYTE = 8
_MOST_SIDE = 8192
# zlib's largest compression ratio (zlib's technical details).
_MOST_RATIO = 1032
# Programs that compress with several threads write one gzip member for each block.
_MOST_PARTS = 100_000


@dataclass(frozen=True)
class _File:
    """A file of a set.

    Attributes:
        path: where it lies.
        set: the beginning of its name, "emnist-letters" or nothing.
        part: as of a source.
        what: "images" or "labels".
        packed: whether by gzip.
    """

    path: Path
    set: str
    part: str
    what: str
    packed: bool

    def __str__(self) -> str:
        return printable(str(self.path), 300)


def _file(path: Path) -> _File | None:
    found = _NAME.fullmatch(path.name)
    if found is None:
        return None
    part = _PART_NAMES[found["part"].lower()]
    return _File(path, found["set"], part, found["what"].lower(), found["packed"] is not None)


def _recognizes(path: Path) -> bool:
    if path.is_dir():
        return any(_files(path / folder) for folder in _FOLDERS)
    return _file(path) is not None


def _files(folder: Path) -> list[_File]:
    """The files of a folder whose names match."""
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208  # a path for each of many costs time
    except OSError:
        return []
    found = (_file(folder / name) for name in names if _NAME.fullmatch(name))
    return [one for one in found if one is not None]


def _read(path: Path, request: Request) -> Listing:
    if path.is_dir():
        files = next(found for folder in _FOLDERS if (found := _files(path / folder)))
        sets = sorted({file.set for file in files})
        if len(sets) > 1:
            shown = ", ".join(printable(one, 60) or "one without a name" for one in sets[:8])
            raise DataError(
                f"{path} has several sets of images: {shown}. Name the file with the images of one."
            )
    else:
        of = _file(path)
        files = [file for file in _files(path.parent) if of is not None and file.set == of.set]
    parts: dict[str, Dataset] = {}
    upright = not files[0].set.lower().startswith("emnist")
    for part in (*PARTS, ALL):
        pair = [_one(files, part, what) for what in ("images", "labels")]
        if pair[0] is not None and pair[1] is not None:
            images = _images(pair[0], upright)
            labels = _labels(pair[1], len(images), pair[0])
            parts[part] = Dataset(images[..., None], labels)
        elif any(pair):
            there = next(file for file in pair if file is not None)
            missing = "labels" if there.what == "images" else "images"
            raise DataError(f"{there} has no file of {missing} beside it.")
    if len(parts) > 1 and ALL in parts:
        raise DataError(f"{path} has images of a part, and images of no part. Take either away.")
    if len(parts) == 1:  # such as t10k alone
        parts = {ALL: next(iter(parts.values()))}
    # Class numbers are those that occur, as those of EMNIST's letters begin at 1.
    classes, numbers = number_labels({part: found.labels for part, found in parts.items()})
    parts = {part: Dataset(found.images, numbers[part]) for part, found in parts.items()}
    if len(classes) == len(FASHION) and _is_fashion(files[0]):
        classes = FASHION
    notes = [] if upright else ["EMNIST's columns are read as rows, so that letters stand upright."]
    folders = (part for part in reversed(files[0].path.resolve().parts[:-1]) if part != "raw")
    name = printable(files[0].set or next(folders), 100)
    return of_datasets(KIND, name, parts, classes, request, notes)


def _one(files: list[_File], part: str, what: str) -> _File | None:
    """The file of a part; the uncompressed one if there are both."""
    found = [file for file in files if file.part == part and file.what == what]
    return min(found, key=lambda file: file.packed, default=None)


def _is_fashion(file: _File) -> bool:
    near = (file.set, *file.path.resolve().parts[-4:-1])
    return any("fashion" in name.lower() for name in near)


def _images(file: _File, upright: bool) -> NDArray[np.uint8]:
    images = _array(file, 3)
    return images if upright else np.ascontiguousarray(images.transpose(0, 2, 1))


def _labels(file: _File, count: int, images: _File) -> NDArray[np.int64]:
    labels = _array(file, 1)
    if len(labels) != count:
        raise DataError(f"{file} has {len(labels):,} labels, and {images} {count:,} images.")
    return labels.astype(np.int64)


def _array(file: _File, dimensions: int) -> NDArray[np.uint8]:
    """The content of one file, uint8 with this number of dimensions."""
    try:
        with open_regular(file.path) as stream:
            length = os.fstat(stream.fileno()).st_size
            most = length * _MOST_RATIO if file.packed else length
            unpacked = Unpacked(stream, most, _MOST_PARTS) if file.packed else None

            def fill(into: memoryview) -> None:
                while into:
                    if unpacked is None:
                        count = stream.readinto(into)
                    else:
                        piece = unpacked.read(len(into))
                        count = len(piece)
                        into[:count] = piece
                    if not count:
                        raise ArchiveError("it ends too soon")
                    into = into[count:]

            head = bytearray(4 + 4 * dimensions)
            fill(memoryview(head))
            sizes = _sizes(bytes(head), dimensions)
            total = int(np.prod(sizes, dtype=object))
            if total > most or (not file.packed and len(head) + total != length):
                raise ArchiveError(
                    f"its header says {total + len(head):,} bytes, and it has "
                    f"{'at most ' if file.packed else ''}{most:,}"
                )
            require_memory(total, str(file), "Take a machine with more.")
            content = np.empty(total, np.uint8)
            fill(content.data)
            if stream.read(1) if unpacked is None else unpacked.read(1):
                raise ArchiveError("there is more in it than its header says")
            return content.reshape(sizes)
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}.") from error
    except (ArchiveError, zlib.error) as error:
        raise DataError(f"{file} is damaged: {error}. Replace it with a good copy.") from error


def _sizes(head: bytes, dimensions: int) -> tuple[int, ...]:
    if head[:2] != b"\0\0" or head[2] != _UBYTE or head[3] != dimensions:
        raise ArchiveError(
            f"it begins with {head[:4].hex()}, and IDX files of bytes with 0000080{dimensions}"
        )
    count, *sides = (int.from_bytes(head[at : at + 4], "big") for at in range(4, len(head), 4))
    if any(not 1 <= side <= _MOST_SIDE for side in sides):
        raise ArchiveError(f"its images would be of {' × '.join(map(str, sides))} pixels")
    return count, *sides


SOURCE = Source(KIND, _recognizes, _read)
