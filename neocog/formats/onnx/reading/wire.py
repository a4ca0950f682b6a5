"""Protocol Buffers' encoding, read without building anything: fields one after another.

A message is a row of fields, each a key (number · 8 + kind) and a value: kind 0 is a varint of 7
bits a byte, 1 has 8 bytes, 5 has 4, and 2 is a length and that many bytes, which may be a text,
packed numbers or another message (https://protobuf.dev/programming-guides/encoding/).

The library of Protocol Buffers makes objects of a whole file, some hundred bytes for a message
that takes two in the file, before anybody can look at it. Here a message is a part of the file, and
the number of fields that are read is limited.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from neocog.errors import FormatError
from neocog.formats.onnx.reading.content import LONGEST_READ, Allowance, Span

__all__ = ["BYTES", "EIGHT_BYTES", "FOUR_BYTES", "VARINT", "Fields", "integers", "signed"]

VARINT, EIGHT_BYTES, BYTES, FOUR_BYTES = 0, 1, 2, 5
# Fields of a file. A ResNet of 1,001 layers has 60,000.
_MOST_FIELDS = 200_000
_LONGEST_VARINT = 10
# A key and a length.
_LONGEST_HEAD = 2 * _LONGEST_VARINT
_DAMAGED = "it is no ONNX file, or it is damaged or cut short"

#: The value of a field; long ones stay in the file.
Value = int | memoryview | Span


class Fields:
    """Reads messages of one file, up to a number of fields altogether."""

    def __init__(self) -> None:
        self._allowance = Allowance(_MOST_FIELDS, "fields")

    def of(self, message: memoryview | Span) -> Iterator[tuple[int, int, Value]]:
        """The fields of a message: number, kind, and the value, an integer or its bytes.

        Raises:
            FormatError: the message does not follow the encoding, or the file has too many fields.
        """
        if isinstance(message, Span):
            if len(message) > LONGEST_READ:
                yield from self._of_file(message)
                return
            message = message.read()
        at, end, take = 0, len(message), self._allowance.take
        while at < end:
            take()
            number, kind, value, begin, at = _head(message, at)
            if at > end:
                raise FormatError(f"{_DAMAGED}.")
            yield number, kind, message[begin:at] if value is None else value

    def _of_file(self, span: Span) -> Iterator[tuple[int, int, Value]]:
        """The fields of a message that is not read at once."""
        at, end, take = 0, len(span), self._allowance.take
        block, first, last = memoryview(b""), 0, 0
        while at < end:
            take()
            if last < at + _LONGEST_HEAD and last < end:
                block, first = span.read(at, LONGEST_READ), at
                last = first + len(block)
            number, kind, value, begin, stop = _head(block, at - first)
            begin, stop, size = begin + first, stop + first, stop - begin
            if stop > end:
                raise FormatError(f"{_DAMAGED}.")
            if value is not None:
                yield number, kind, value
            elif size > LONGEST_READ:
                yield number, kind, span.part(begin, size)
            else:
                if stop > last:
                    block, first = span.read(begin, LONGEST_READ), begin
                    last = first + len(block)
                yield number, kind, block[begin - first : stop - first]
            at = stop


def _head(message: memoryview, at: int) -> tuple[int, int, int | None, int, int]:
    """Number and kind of a field, its value if it is a varint, and where its bytes are."""
    key, at = _varint(message, at)
    kind = key & 7
    if key < 8:
        raise FormatError(f"{_DAMAGED}.")
    if kind == VARINT:
        value, stop = _varint(message, at)
        return key >> 3, kind, value, at, stop
    if kind == BYTES:
        size, at = _varint(message, at)
    elif kind in (FOUR_BYTES, EIGHT_BYTES):
        size = 4 if kind == FOUR_BYTES else 8
    else:
        raise FormatError(f"{_DAMAGED}.")
    return key >> 3, kind, None, at, at + size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A varint of at most 64 bits, and where it ends."""
    if at < len(message) and message[at] < 0x80:  # most have one byte
        return message[at], at + 1
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
    """Packed varints as int64; raises `FormatError` if one is cut short."""
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
