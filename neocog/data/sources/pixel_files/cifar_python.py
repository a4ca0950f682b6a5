"""The Python files of CIFAR-10 and CIFAR-100, read without the pickle module.

Each is a dict, pickled by Python 2 (protocol 2): ``data`` is a NumPy array uint8 [n, 3072] of red,
green and blue planes, and ``labels``, or ``fine_labels`` and ``coarse_labels``, are lists of n
numbers (https://www.cs.toronto.edu/~kriz/cifar.html). `neocog.pickles` has the machine that reads
them, in which nothing can run; NumPy's names stand for descriptions of arrays.
"""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neocog.data.images import Dataset
from neocog.data.sources.pixel_files.cifar_records import PIXELS, spread
from neocog.errors import DataError, FormatError, printable
from neocog.files import read_bytes
from neocog.limits import require_memory
from neocog.pickles import Machine

__all__ = ["read_batch"]

# The largest official file has 155 MB and 250,000 instructions.
_MOST_BYTES = 200_000_000
_MOST_INSTRUCTIONS = 750_000
# Longer strings are pixels, which are not copied.
_LONG = 1 << 12


class _Name(Enum):
    RECONSTRUCT = "_reconstruct"
    ARRAY = "ndarray"
    DTYPE = "dtype"


_NAMES = {
    "numpy.core.multiarray _reconstruct": _Name.RECONSTRUCT,
    "numpy._core.multiarray _reconstruct": _Name.RECONSTRUCT,
    "numpy ndarray": _Name.ARRAY,
    "numpy dtype": _Name.DTYPE,
}
# The states of uint8 and of an array as NumPy pickles them: versions, then what varies.
_BYTE_STATE = (3, b"|", None, None, None, -1, -1, 0)


class _Dtype:
    """NumPy's uint8."""


@dataclass
class _Array:
    """An array uint8 [n, 3072], once its state is known."""

    rows: int = 0
    pixels: bytes | memoryview | None = None


class _Machine(Machine):
    WANTED = "a part of CIFAR's files"

    def text_of(self, data: memoryview) -> object:
        """Bytes; long strings are views of the file."""
        return bytes(data) if len(data) < _LONG else data

    def named(self, name: str) -> object:
        """One of the names that an array needs."""
        return _NAMES[name] if name in _NAMES else super().named(name)

    def called(self, function: object, arguments: object) -> object:
        """An array or a dtype, both without their state."""
        match function, arguments:
            case _Name.RECONSTRUCT, (_Name.ARRAY, (0,), b"b"):
                return _Array()
            case _Name.DTYPE, (b"u1", int(), int()):
                return _Dtype()
        raise FormatError("it makes something that is no array of bytes; refused.")

    def built(self, target: object, state: object) -> None:
        """Set the state of an array, whose length must fit its shape, or of a dtype."""
        match target, state:
            case _Dtype(), tuple() if len(state) == len(_BYTE_STATE) and all(
                type(one) is type(usual) and one == usual
                for one, usual in zip(state, _BYTE_STATE, strict=True)
            ):
                return
            case (
                _Array(pixels=None),
                (1, (int(rows), int(columns)), _Dtype(), False, bytes() | memoryview() as pixels),
            ) if columns == 3 * PIXELS and len(pixels) == rows * columns:
                target.rows, target.pixels = rows, pixels
                return
        raise FormatError(
            f"it has an array that is not uint8 [n, {3 * PIXELS}] with all of its bytes; refused."
        )


def read_batch(file: Path, into: Dataset, label_key: str, classes: int) -> None:
    """Fill `into` with the images and labels of one file, which must have as many.

    Args:
        file: its path.
        into: images uint8 [n, 32, 32, 3].
        label_key: "labels", "fine_labels" or "coarse_labels".
        classes: labels must be less than this.

    Raises:
        DataError: it is damaged, another kind of file, or tries to run code.
        NeocogError: there is not enough memory.
        OSError: it cannot be read.
    """
    size = file.stat().st_size
    if size > _MOST_BYTES:
        raise DataError(f"{file} has {size:,} bytes; CIFAR's files have less than {_MOST_BYTES:,}.")
    require_memory(size, f"{file.name}", "Close other programs.")
    try:
        value = _Machine(read_bytes(file, _MOST_BYTES)).run(_MOST_INSTRUCTIONS)
        planes, labels = _batch(value, label_key, classes)
    except FormatError as error:
        raise DataError(
            f"{file} is not as CIFAR's Python files are: {error} Replace it with a good copy."
        ) from error
    if len(planes) != len(into):
        raise DataError(
            f"{file} has {len(planes):,} images, not {len(into):,}. Replace it with a good copy."
        )
    into.labels[:] = labels
    spread(planes, into.images)


def _batch(
    value: object, label_key: str, classes: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    if not isinstance(value, dict):
        raise FormatError("it is no dict.")
    array, labels = (value.get(key.encode()) for key in ("data", label_key))
    if not isinstance(array, _Array) or array.pixels is None:
        raise FormatError("it has no array under 'data'.")
    if not isinstance(labels, list) or len(labels) != array.rows:
        raise FormatError(
            f"it has no list of {array.rows:,} numbers under '{printable(label_key)}'."
        )
    for n, label in enumerate(labels):
        if type(label) is not int or not 0 <= label < classes:
            raise FormatError(
                f"label {n} (of {array.rows:,}, counted from 0) is no number from 0 to "
                f"{classes - 1}."
            )
    planes = np.frombuffer(array.pixels, np.uint8).reshape(array.rows, 3 * PIXELS)
    return planes, np.array(labels, np.int64)
