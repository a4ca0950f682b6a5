"""The binary files of CIFAR-10 and CIFAR-100: records of labels and 3,072 pixel bytes.

The pixels are the red, the green and the blue plane of a 32×32 image, row by row
(https://www.cs.toronto.edu/~kriz/cifar.html).
"""

from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neocog.data.images import Dataset
from neocog.data.sources.archives.cached_archive import is_file
from neocog.errors import DataError
from neocog.files import exists, open_regular

__all__ = ["PIXELS", "Records", "check_size", "empty", "read_records", "spread"]

#: Of each plane.
PIXELS = 32 * 32
# 125 records are 384 kB: read and spread into channels while still in the core's cache.
CHUNK = 125


@dataclass(frozen=True)
class Records:
    """What a file holds.

    Attributes:
        count: records.
        labels: bytes before the pixels, one a label.
        label: which of these is read.
        classes: labels go from 0 to one below.
    """

    count: int
    labels: int
    label: int
    classes: int

    @property
    def bytes(self) -> int:
        """Of each record."""
        return self.labels + 3 * PIXELS


def empty(count: int) -> Dataset:
    """Room for so many images and labels."""
    return Dataset(np.empty((count, 32, 32, 3), np.uint8), np.empty(count, np.int64))


def check_size(file: Path, size: int | None, name: str, files: tuple[str, ...]) -> None:
    """Raise `DataError` unless it is a regular file of so many bytes.

    Args:
        file: its path.
        size: in bytes; any, if None.
        name: of the data.
        files: the names of all that belong to them.
    """
    if not is_file(file):
        state = "no regular file" if exists(file) else "missing"
        raise DataError(f"{file} is {state}. {name} is {', '.join(files)}: unpack it again.")
    found = file.stat().st_size
    if size is not None and found != size:
        state = "truncated" if found < size else "too long"
        raise DataError(
            f"{file} is {state}: {found:,} bytes, not {size:,}. Replace it with a good copy."
        )


def read_records(file: Path, into: Dataset, records: Records) -> None:
    """Fill `into` with the images and labels of one file.

    Raises:
        DataError: a label that no class has, or the file becomes shorter meanwhile.
        OSError: it cannot be read.
    """
    buffer = bytearray(CHUNK * records.bytes)
    rows: NDArray[np.uint8] = np.frombuffer(buffer, np.uint8).reshape(CHUNK, records.bytes)
    with open_regular(file) as stream:
        for start in range(0, records.count, CHUNK):
            count = min(CHUNK, records.count - start)
            _read_fully(stream, memoryview(buffer)[: count * records.bytes], file)
            labels = rows[:count, records.label]
            if labels.max() >= records.classes:
                wrong = int(np.argmax(labels >= records.classes))
                raise DataError(
                    f"{file}: record {start + wrong} (of {records.count:,}, counted from 0) has "
                    f"label {labels[wrong]}, but the labels are 0 to {records.classes - 1}. "
                    "Replace it with a good copy."
                )
            into.labels[start : start + count] = labels
            spread(rows[:count, records.labels :], into.images[start : start + count])


def spread(planes: NDArray[np.uint8], into: NDArray[np.uint8]) -> None:
    """Planes uint8 [n, 3072] → images [n, 32, 32, 3], which lie in a row."""
    pixels = into.reshape(len(into), PIXELS, 3)
    # One plane at a time: 6 times faster than one transposed copy.
    for channel in range(3):
        pixels[:, :, channel] = planes[:, channel * PIXELS : (channel + 1) * PIXELS]


def _read_fully(stream: BufferedReader, into: memoryview, file: Path) -> None:
    while into:
        count = stream.readinto(into)
        if not count:
            raise DataError(f"{file} became shorter while it was read. Replace it.")
        into = into[count:]
