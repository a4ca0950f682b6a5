"""The tensors of an ONNX file (TensorProto): their shapes at once, their numbers when asked for."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.errors import FormatError
from neocog.formats.onnx.reading.content import Span
from neocog.formats.onnx.reading.parsing import DAMAGED, Parsing, check_count
from neocog.formats.onnx.reading.safety import MOST_AXES
from neocog.formats.onnx.reading.wire import BYTES, EIGHT_BYTES, FOUR_BYTES, VARINT

__all__ = ["DTYPES", "FLOAT", "UINT8", "Tensor", "read_tensor"]

FLOAT, UINT8 = 1, 2
#: NumPy's types by TensorProto.DataType.
DTYPES: dict[int, type[np.generic]] = {
    FLOAT: np.float32, UINT8: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16, 6: np.int32,
    7: np.int64, 9: np.bool_, 10: np.float16, 11: np.float64, 12: np.uint32, 13: np.uint64,
}  # fmt: skip

# Fields of TensorProto.
_DIMS, _TYPE, _SEGMENT, _TEXTS, _NAME, _RAW, _EXTERNAL, _LOCATION = 1, 2, 3, 6, 8, 9, 13, 14
# Those with numbers, and what these are here, where varints are widened: float_data, int32_data, …
_TYPED = {4: "<f4", 5: "<i8", 7: "<i8", 10: "<f8", 11: "<i8"}
_KINDS = {
    _DIMS: VARINT, _TYPE: VARINT, _SEGMENT: BYTES, 4: FOUR_BYTES, 5: VARINT, _TEXTS: BYTES,
    7: VARINT, _NAME: BYTES, _RAW: BYTES, 10: EIGHT_BYTES, 11: VARINT, _EXTERNAL: BYTES,
    _LOCATION: VARINT,
}  # fmt: skip
_LONG = (4, _RAW, 10)


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor in the file.

    Attributes:
        name: of an initializer.
        shape: its shape, which its numbers fit.
        dtype: of NumPy.
        numbers: its numbers' bytes, lowest byte first, or already numbers of that type.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    numbers: memoryview | Span | NDArray[Any]

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)

    def array(self) -> NDArray[Any]:
        """Its numbers, in its shape; large tensors are read from the file."""
        found = self.numbers
        if not isinstance(found, np.ndarray):
            raw = found.read() if isinstance(found, Span) else found
            if self.dtype == np.bool_:  # whose bytes may be any
                found = np.frombuffer(raw, np.uint8) != 0
            else:
                found = np.frombuffer(raw, self.dtype.newbyteorder("<"))
        return found.astype(self.dtype, copy=False).reshape(self.shape)


def read_tensor(parsing: Parsing, message: memoryview | Span, where: str) -> Tensor:
    """Read a TensorProto.

    Args:
        parsing: of the file.
        message: the tensor's.
        where: its name in messages, if it has none.

    Raises:
        FormatError: its shape and its numbers differ, its numbers are in another file, or it is of
            a type that is not read.
    """
    name, kind = where, 0
    raw: memoryview | Span | None = None
    shape: list[int] = []
    typed: dict[int, bytearray | Span] = {}
    for number, value in parsing.of(message, _KINDS, _LONG):
        if number == _DIMS:
            shape += parsing.integers(value).tolist()
            check_count(shape, MOST_AXES, "axes in a tensor")
        elif number == _TYPE:
            kind = parsing.integer(value)
        elif number == _NAME:
            name = parsing.text(value, "name") or where
        elif number == _RAW:
            raw = value
        elif number == _EXTERNAL or (number == _LOCATION and value == 1):
            raise FormatError(f"the numbers of {name or 'a tensor'} are in another file.")
        elif number in (_SEGMENT, _TEXTS):
            raise FormatError(f"the tensor {name!r} has texts, or is in pieces.")
        elif number in _TYPED:
            _add(parsing, typed, number, value)
    if kind not in DTYPES:
        raise FormatError(f"the tensor {name!r} has numbers of the type {kind}, not read here.")
    dtype = np.dtype(DTYPES[kind])
    count, numbers = _numbers(dtype, raw, typed)
    if not all(0 <= size < 2**31 for size in shape) or count != math.prod(shape):
        raise FormatError(f"the tensor {name!r} has {count:,} numbers for the shape {shape}.")
    return Tensor(name, tuple(shape), dtype, numbers)


def _add(parsing: Parsing, typed: dict[int, bytearray | Span], number: int, value: Any) -> None:
    """Add to the numbers of a typed field, which are packed, or each in a field of its own."""
    if isinstance(value, Span):
        if number in typed:
            raise FormatError("the numbers of a tensor are in pieces.")
        typed[number] = value
        return
    so_far = typed.setdefault(number, bytearray())
    if isinstance(so_far, Span):
        raise FormatError("the numbers of a tensor are in pieces.")
    so_far += value if _TYPED[number][1] == "f" else parsing.integers(value).tobytes()


def _numbers(
    dtype: np.dtype[Any], raw: memoryview | Span | None, typed: dict[int, bytearray | Span]
) -> tuple[int, memoryview | Span | NDArray[Any]]:
    """How many numbers a tensor has, and they or their bytes."""
    if len(typed) + (raw is not None) > 1:
        raise FormatError("a tensor has its numbers twice.")
    if not typed:
        raw = memoryview(b"") if raw is None else raw
        return _count(raw, dtype), raw
    ((number, found),) = typed.items()
    stored = np.dtype(_TYPED[number])
    count = _count(found, stored)
    if isinstance(found, Span):
        if stored != dtype:
            raise FormatError("a large tensor has numbers of another type than its own.")
        return count, found
    numbers = np.frombuffer(found, stored)
    if dtype == np.float16 and stored.kind == "i":  # its bits are integers
        return count, numbers.astype(np.uint16).view(np.float16)
    return count, numbers.astype(dtype)


def _count(raw: memoryview | bytearray | Span, dtype: np.dtype[Any]) -> int:
    if len(raw) % dtype.itemsize:
        raise FormatError(DAMAGED)
    return len(raw) // dtype.itemsize
