"""Reads the header of a NumPy file without evaluating it.

The format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

import math
import re
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from neocog.errors import DataError, printable

__all__ = ["Header", "read_header"]

_MAGIC = b"\x93NUMPY"
_LONGEST = 10_000
_MOST_DIMENSIONS = 8
# As written by NumPy. Descriptions of other types, such as objects, have another form.
_HEADER = re.compile(
    r"\{'descr': '([<>|=][biufU]\d{1,6})', 'fortran_order': (True|False), "
    r"'shape': \(((?:\d{1,15}, ?)*(?:\d{1,15})?)\), ?\}\s*"
)


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class Header:
    """The header of a file.

    Attributes:
        dtype: type of the numbers.
        shape: shape of the array.
        fortran: whether the first axis varies fastest.
        length: bytes of the header itself.
    """

    dtype: "np.dtype[np.generic]"
    shape: tuple[int, ...]
    fortran: bool
    length: int

    @property
    def size(self) -> int:
        """Bytes of all numbers."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(file: _Readable) -> Header:
    """Read the header; the numbers follow it.

    Raises:
        DataError: it is damaged, or the array has no numbers or texts; the message continues the
            file's name.
    """
    start = file.read(8)
    if start[:6] != _MAGIC or len(start) < 8:
        raise DataError("is no NumPy array.")
    width = 2 if start[6] == 1 else 4
    count = int.from_bytes(file.read(width), "little")
    text = file.read(count) if count <= _LONGEST else b""
    found = _HEADER.fullmatch(text.decode("latin-1"))
    if found is None:
        shown = printable(text.decode("latin-1").strip(), 100)
        raise DataError(f"is no array of numbers or texts: {shown}.")
    shape = tuple(int(size) for size in found[3].replace(",", " ").split())
    try:
        dtype = np.dtype(found[1])
    except TypeError:
        raise DataError(f"has numbers of the unknown kind {found[1]}.") from None
    if len(shape) > _MOST_DIMENSIONS or dtype.itemsize == 0:
        raise DataError(f"is an array {list(shape)} of {found[1]}, which is not read.")
    return Header(dtype, shape, found[2] == "True", 8 + width + count)
