"""An ONNX file as plain values: nodes, tensors, inputs and outputs (``onnx.proto``).

Everything is checked against the limits of `safety` while it is read. A tensor stays a view of the
file's bytes until its numbers are asked for.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.errors import FormatError
from neocog.formats.onnx.reading.safety import (
    MOST_ATTRIBUTES,
    MOST_AXES,
    MOST_ENTRIES,
    MOST_NODES,
    MOST_TENSORS,
    check_operator,
    check_opset,
    text,
)
from neocog.formats.onnx.reading.wire import BYTES, FOUR_BYTES, VARINT, Fields, integers, signed

__all__ = ["FLOAT", "UINT8", "Model", "Operation", "Tensor", "Value", "parse"]

FLOAT, UINT8 = 1, 2
#: NumPy's types by TensorProto.DataType.
DTYPES: dict[int, type[np.generic]] = {
    FLOAT: np.float32, UINT8: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16, 6: np.int32,
    7: np.int64, 9: np.bool_, 10: np.float16, 11: np.float64, 12: np.uint32, 13: np.uint64,
}  # fmt: skip
# Fields of TensorProto with numbers, and their types: float_data, int32_data, …
_TYPED: dict[int, type[np.generic]] = {
    4: np.float32, 5: np.int32, 7: np.int64, 10: np.float64, 11: np.uint64,
}  # fmt: skip
_MOST_METADATA = 1000
_LARGEST_METADATA = 2**20


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor in the file.

    Attributes:
        name: of an initializer.
        shape: its shape, which its data fit.
        dtype: of NumPy.
        data: its numbers, in the file's order of bytes.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    data: NDArray[Any]

    def array(self) -> NDArray[Any]:
        """Its numbers, in its shape."""
        return self.data.astype(self.dtype, copy=False).reshape(self.shape)


@dataclass(frozen=True)
class Operation:
    """A node of the file's graph; `where` names it in messages."""

    name: str
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """The node as it is called in messages."""
        return f"node {self.name!r} ({self.operator})"


@dataclass(frozen=True)
class Value:
    """An input or output of the graph: its type (of TensorProto), and its axes; None if unknown."""

    name: str
    kind: int
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class Model:
    """What a file describes."""

    operations: tuple[Operation, ...]
    tensors: dict[str, Tensor]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    metadata: dict[str, str]


def parse(content: bytes) -> Model:
    """Read the bytes of a file; raises `FormatError` if they are damaged or beyond the limits."""
    return _Parser().model(memoryview(content))


class _Parser:
    def __init__(self) -> None:
        self._fields = Fields()

    def _of(self, message: memoryview, kinds: dict[int, int]) -> Iterator[tuple[int, Any]]:
        """The fields with these numbers, which must be of these kinds."""
        for number, kind, value in self._fields.of(message):
            if number in kinds:
                # Numbers may also be packed.
                if kind != kinds[number] and not (kind == BYTES and kinds[number] != BYTES):
                    raise FormatError("it is no ONNX file, or it is damaged.")
                yield number, value

    def model(self, message: memoryview) -> Model:
        """A ModelProto."""
        graph: memoryview | None = None
        versions: dict[str, int] = {}
        metadata: dict[str, str] = {}
        known = {1: VARINT, 7: BYTES, 8: BYTES, 14: BYTES, 20: BYTES, 25: BYTES}
        for number, value in self._of(message, known):
            if number == 7:
                if graph is not None:
                    raise FormatError("it has two graphs.")
                graph = value
            elif number == 8:
                domain, version = self._version(value)
                versions[domain] = version
            elif number == 14 and len(metadata) < _MOST_METADATA:
                key, entry = self._entry(value)
                metadata[key] = entry
            elif number == 20:
                raise FormatError("it describes a training, not a network (training_info).")
            elif number == 25:
                raise FormatError("it has functions of its own; only ONNX's operators are read.")
        if graph is None:
            raise FormatError("it is no ONNX file, or it is damaged: it has no graph.")
        check_opset(versions)
        return self._graph(graph, metadata)

    def _version(self, message: memoryview) -> tuple[str, int]:
        domain, version = "", 0
        for number, value in self._of(message, {1: BYTES, 2: VARINT}):
            if number == 1:
                domain = text(value, "domain")
            else:
                version = _integer(value)
        return domain, version

    def _entry(self, message: memoryview) -> tuple[str, str]:
        """A key and a value of the metadata, of which only ours are kept."""
        key, entry = "", b""
        for number, value in self._of(message, {1: BYTES, 2: BYTES}):
            if number == 1:
                key = bytes(value[:100]).decode(errors="replace")
            elif len(value) <= _LARGEST_METADATA:
                entry = bytes(value)
        return key, entry.decode(errors="replace")

    def _graph(self, message: memoryview, metadata: dict[str, str]) -> Model:
        operations: list[Operation] = []
        tensors: dict[str, Tensor] = {}
        inputs: list[Value] = []
        outputs: list[Value] = []
        known = {1: BYTES, 5: BYTES, 11: BYTES, 12: BYTES, 15: BYTES}
        for number, value in self._of(message, known):
            if number == 1:
                operations.append(self._operation(value))
                _check_count(operations, MOST_NODES, "nodes")
            elif number == 5:
                tensor = self._tensor(value, "")
                if tensor.name in tensors:
                    raise FormatError(f"two of its tensors are called {tensor.name!r}.")
                tensors[tensor.name] = tensor
                _check_count(tensors, MOST_TENSORS, "tensors")
            elif number == 15:
                raise FormatError("it has sparse tensors.")
            else:
                values = inputs if number == 11 else outputs
                values.append(self._value(value))
                _check_count(values, MOST_TENSORS, "inputs and outputs")
        return Model(tuple(operations), tensors, tuple(inputs), tuple(outputs), metadata)

    def _operation(self, message: memoryview) -> Operation:
        """A NodeProto."""
        inputs: list[str] = []
        outputs: list[str] = []
        attributes: list[memoryview] = []
        texts = {3: "", 4: "", 7: ""}
        known = dict.fromkeys((1, 2, 3, 4, 5, 7), BYTES)
        for number, value in self._of(message, known):
            if number == 5:
                attributes.append(value)
                _check_count(attributes, MOST_ATTRIBUTES, "attributes in a node")
            elif number in texts:
                texts[number] = text(value, "name")
            else:
                (inputs if number == 1 else outputs).append(text(value, "name"))
        name, operator, domain = texts[3], texts[4], texts[7]
        name = name or next(filter(None, outputs), "")
        operation = Operation(name, operator, tuple(inputs), tuple(outputs))
        check_operator(operation.where, operator, domain)
        for attribute in attributes:
            self._attribute(attribute, operation)
        return operation

    def _attribute(self, message: memoryview, operation: Operation) -> None:
        """Add an AttributeProto to its operation."""
        name: str = ""
        found: Any = None
        lists: dict[int, list[Any]] = {7: [], 8: [], 9: []}
        packed = {2: FOUR_BYTES, 3: VARINT, 7: FOUR_BYTES, 8: VARINT, 20: VARINT}
        for number, value in self._of(message, dict.fromkeys(range(1, 24), BYTES) | packed):
            match number:
                case 1:
                    name = text(value, "name")
                case 2:
                    found = _floats(value)[0]
                case 3:
                    found = _integer(value)
                case 4 | 9:
                    entry = text(value, "value")
                    if number == 9:
                        lists[9].append(entry)
                    else:
                        found = entry
                case 5:
                    found = self._tensor(value, operation.where)
                case 7:
                    lists[7] += _floats(value)
                case 8:
                    lists[8] += [_integer(value)] if isinstance(value, int) else integers(value)
                case 6 | 11:
                    raise FormatError(f"{operation.where} has a graph of its own, in {name!r}.")
                case 10 | 14 | 15 | 21 | 22 | 23:
                    raise FormatError(f"{operation.where} has a value of another kind in {name!r}.")
            for row in lists.values():
                _check_count(row, MOST_ENTRIES, f"numbers in an attribute, of {operation.where}")
        if name in operation.attributes:
            raise FormatError(f"{operation.where} has {name!r} twice.")
        rows = [tuple(row) for row in lists.values() if row]
        operation.attributes[name] = rows[0] if rows else () if found is None else found

    def _tensor(self, message: memoryview, where: str) -> Tensor:
        """A TensorProto."""
        name, kind, raw = where, 0, None
        shape: list[int] = []
        typed: dict[int, list[NDArray[Any]]] = {}
        known = {1: VARINT, 2: VARINT, 3: BYTES, 4: FOUR_BYTES, 5: VARINT, 6: BYTES, 7: VARINT}
        known |= {8: BYTES, 9: BYTES, 10: 1, 11: VARINT, 13: BYTES, 14: VARINT}
        for number, value in self._of(message, known):
            if number == 1:
                shape += [_integer(value)] if isinstance(value, int) else integers(value).tolist()
                _check_count(shape, MOST_AXES, "axes in a tensor")
            elif number == 2:
                kind = _integer(value)
            elif number == 8:
                name = text(value, "name") or where
            elif number == 9:
                raw = value
            elif number == 13 or (number == 14 and value == 1):
                raise FormatError(f"the numbers of {name or 'a tensor'} are in another file.")
            elif number in (3, 6):
                raise FormatError(f"the tensor {name!r} has texts, or is in pieces.")
            elif number in _TYPED:
                typed.setdefault(number, []).append(_numbers(value, _TYPED[number]))
        if kind not in DTYPES:
            raise FormatError(f"the tensor {name!r} has numbers of the type {kind}, not read here.")
        dtype = np.dtype(DTYPES[kind])
        count = math.prod(shape) if all(0 <= size < 2**31 for size in shape) else -1
        data = _data(dtype, raw, typed)
        if data is None or data.size != count:
            found = 0 if data is None else data.size
            raise FormatError(f"the tensor {name!r} has {found:,} numbers for the shape {shape}.")
        return Tensor(name, tuple(shape), dtype, data)

    def _value(self, message: memoryview) -> Value:
        """A ValueInfoProto of a tensor."""
        name, kind = "", 0
        shape: list[int | None] = []
        for number, value in self._of(message, {1: BYTES, 2: BYTES}):
            if number == 1:
                name = text(value, "name")
                continue
            for of_type, tensor in self._of(value, dict.fromkeys((1, 4, 5, 8, 9), BYTES)):
                if of_type != 1:
                    raise FormatError(f"{name!r} is a sequence or a map, not a tensor.")
                for inner, part in self._of(tensor, {1: VARINT, 2: BYTES}):
                    if inner == 1:
                        kind = _integer(part)
                    else:
                        shape = [self._axis(axis) for _, axis in self._of(part, {1: BYTES})]
        return Value(name, kind, tuple(shape))

    def _axis(self, message: memoryview) -> int | None:
        sizes = [_integer(value) for _, value in self._of(message, {1: VARINT})]
        return sizes[-1] if sizes and sizes[-1] >= 0 else None


def _check_count(row: Any, most: int, what: str) -> None:
    if len(row) > most:
        raise FormatError(f"it has more than {most:,} {what}.")


def _integer(value: int | memoryview) -> int:
    if not isinstance(value, int):
        found = integers(value)
        if found.size != 1:
            raise FormatError("it is no ONNX file, or it is damaged.")
        return int(found[0])
    return signed(value)


def _floats(value: memoryview) -> list[float]:
    if not len(value) or len(value) % 4:
        raise FormatError("it is no ONNX file, or it is damaged.")
    if len(value) > 4 * MOST_ENTRIES:
        raise FormatError(f"it has a row of {len(value) // 4:,} numbers in an attribute.")
    return list(struct.unpack(f"<{len(value) // 4}f", value))


def _numbers(value: int | memoryview, dtype: type[np.generic]) -> NDArray[Any]:
    """The numbers of a typed field, packed or one alone."""
    if isinstance(value, int):
        return np.array([signed(value)], np.int64)
    if dtype in (np.float32, np.float64):
        if len(value) % np.dtype(dtype).itemsize:
            raise FormatError("it is no ONNX file, or it is damaged.")
        return np.frombuffer(value, np.dtype(dtype).newbyteorder("<"))
    return integers(value)


def _data(
    dtype: np.dtype[Any], raw: memoryview | None, typed: dict[int, list[NDArray[Any]]]
) -> NDArray[Any] | None:
    """The numbers of a tensor from its raw bytes, or from its typed fields."""
    if raw is not None and not typed:
        if len(raw) % dtype.itemsize:
            return None
        found = np.frombuffer(raw, dtype.newbyteorder("<"))
        return found != 0 if dtype == np.bool_ else found
    if len(typed) > 1 or raw is not None:
        return None
    if not typed:
        return np.empty(0, dtype)
    ((_, rows),) = typed.items()
    found = np.concatenate(rows)
    if dtype == np.float16:  # its bits are integers
        return found.astype(np.uint16).view(np.float16)
    return found.astype(dtype)
