"""Protocol Buffers' encoding, read without building anything: fields one after another.

A message is a row of fields, each a key (number · 8 + kind) and a value: kind 0 is a varint of 7
bits a byte, 1 has 8 bytes, 5 has 4, and 2 is a length and that many bytes, which may be a text,
packed numbers or another message (https://protobuf.dev/programming-guides/encoding/).

The library of Protocol Buffers makes objects of a whole file, some hundred bytes for a message
that takes two in the file, before anybody can look at it. Here a message is a view of the file's
bytes, and a budget bounds the number of fields that are read.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from neocog.errors import FormatError

__all__ = ["BYTES", "FOUR_BYTES", "VARINT", "Fields", "integers", "signed"]

VARINT, EIGHT_BYTES, BYTES, FOUR_BYTES = 0, 1, 2, 5
# Fields of a file. A ResNet of 1,001 layers has 150,000; reading this many takes half a second.
_MOST_FIELDS = 400_000
_LONGEST_VARINT = 10
# Of packed integers, which are shapes and paddings, and take 30 times as much while they are read.
_LONGEST_PACKED = 2**20
_DAMAGED = "it is no ONNX file, or it is damaged or cut short"


class Fields:
    """Reads messages of one file, up to a number of fields altogether."""

    def __init__(self, most: int = _MOST_FIELDS) -> None:
        self._most = self._left = most

    def of(self, message: memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
        """The fields of a message: number, kind, and the value, an integer or a view of its bytes.

        Raises:
            FormatError: the message does not follow the encoding, or the file has too many fields.
        """
        at, end = 0, len(message)
        while at < end:
            self._left -= 1
            if self._left < 0:
                raise FormatError(f"it has more than {self._most:,} fields.")
            key = message[at]
            at += 1
            if key >= 0x80:
                key, at = _varint(message, at - 1)
            kind = key & 7
            value: int | memoryview
            if kind in (BYTES, VARINT):
                number, at = _varint(message, at)
                value = number
                if kind == BYTES:
                    value = message[at : at + number]
                    at += number
            elif kind in (FOUR_BYTES, EIGHT_BYTES):
                size = 4 if kind == FOUR_BYTES else 8
                value = message[at : at + size]
                at += size
            else:
                raise FormatError(f"{_DAMAGED}.")
            if at > end or key < 8:
                raise FormatError(f"{_DAMAGED}.")
            yield key >> 3, kind, value


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A varint of at most 64 bits, and where it ends."""
    number = shift = 0
    for byte in message[at : at + _LONGEST_VARINT]:
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number & (2**64 - 1), at
        shift += 7
    raise FormatError(f"{_DAMAGED}.")


def signed(number: int) -> int:
    """A varint as the int64 that it stands for."""
    return number - 2**64 if number >= 2**63 else number


def integers(packed: memoryview) -> NDArray[np.int64]:
    """Packed varints as int64; raises `FormatError` if one is cut short, or there are too many."""
    if len(packed) > _LONGEST_PACKED:
        raise FormatError(f"it has a row of integers of {len(packed):,} bytes.")
    data = np.frombuffer(packed, np.uint8)
    ends = np.flatnonzero(data < 0x80) + 1
    if not data.size:
        return np.empty(0, np.int64)
    begins = np.concatenate([[0], ends[:-1]]) if ends.size else ends
    if not ends.size or ends[-1] != data.size or (ends - begins).max() > _LONGEST_VARINT:
        raise FormatError(f"{_DAMAGED}.")
    place = np.arange(data.size) - np.repeat(begins, ends - begins)
    bits = (data & 0x7F).astype(np.uint64) << (7 * place).astype(np.uint64)
    return np.bitwise_or.reduceat(bits, begins).view(np.int64)
