"""An ONNX file as plain values: nodes, tensors, inputs and outputs (``onnx.proto``).

Everything is checked against the limits of `safety` while it is read.
"""

import struct
from dataclasses import dataclass, field
from typing import Any

from neocog.errors import FormatError
from neocog.formats.onnx.reading.content import Content, Span
from neocog.formats.onnx.reading.parsing import DAMAGED, Parsing, check_count
from neocog.formats.onnx.reading.safety import (
    MOST_ATTRIBUTES,
    MOST_METADATA,
    MOST_METADATA_BYTES,
    MOST_NODES,
    MOST_TENSORS,
    check_opset,
    unfit_operator,
)
from neocog.formats.onnx.reading.tensors import Tensor, read_tensor
from neocog.formats.onnx.reading.wire import BYTES, FOUR_BYTES, VARINT

__all__ = ["Model", "Operation", "Value", "parse"]

# The fields that are read, with their kinds; all others are left out.
_MODEL = {1: VARINT, 7: BYTES, 8: BYTES, 14: BYTES, 20: BYTES, 25: BYTES}
_ENTRY = {1: BYTES, 2: BYTES}
_VERSION = {1: BYTES, 2: VARINT}
_GRAPH = {1: BYTES, 5: BYTES, 11: BYTES, 12: BYTES, 15: BYTES}
_NODE = dict.fromkeys((1, 2, 3, 4, 5, 7), BYTES)
_ATTRIBUTE = {
    **dict.fromkeys(range(1, 24), BYTES),
    2: FOUR_BYTES,
    3: VARINT,
    7: FOUR_BYTES,
    8: VARINT,
    20: VARINT,
}
_TYPE = dict.fromkeys((1, 4, 5, 8, 9), BYTES)
_TENSOR_TYPE = {1: VARINT, 2: BYTES}


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


def parse(content: Content) -> Model:
    """Read a file; raises `FormatError` if it is damaged or beyond the limits.

    The numbers of large tensors are read when they are asked for: the file must stay open.
    """
    parsing = Parsing()
    graph: memoryview | Span | None = None
    versions: dict[str, int] = {}
    metadata: dict[str, str] = {}
    for number, value in parsing.of(content.whole(), _MODEL, (7, 14)):
        if number == 7:
            if graph is not None:
                raise FormatError("it has two graphs.")
            graph = value
        elif number == 8:
            domain, version = _version(parsing, value)
            versions[domain] = version
        elif number == 14 and len(value) <= MOST_METADATA_BYTES:
            key, entry = _entry(parsing, value)
            metadata[key] = entry
            check_count(metadata, MOST_METADATA, "entries of metadata")
        elif number == 20:
            raise FormatError("it describes a training, not a network (training_info).")
        elif number == 25:
            raise FormatError("it has functions of its own; only ONNX's operators are read.")
    if graph is None:
        raise FormatError("it is no ONNX file, or it is damaged: it has no graph.")
    check_opset(versions)
    return _graph(parsing, graph, metadata)


def _version(parsing: Parsing, message: memoryview) -> tuple[str, int]:
    """An OperatorSetIdProto: a domain and its version."""
    domain, version = "", 0
    for number, value in parsing.of(message, _VERSION):
        if number == 1:
            domain = parsing.text(value, "domain")
        else:
            version = parsing.integer(value)
    return domain, version


def _entry(parsing: Parsing, message: memoryview | Span) -> tuple[str, str]:
    """A key and a value of the metadata."""
    found = {1: "", 2: ""}
    for number, value in parsing.of(message, _ENTRY):
        parsing.described.take(len(value))
        found[number] = bytes(value).decode(errors="replace")
    return found[1], found[2]


def _graph(parsing: Parsing, message: memoryview | Span, metadata: dict[str, str]) -> Model:
    """A GraphProto."""
    operations: list[Operation] = []
    tensors: dict[str, Tensor] = {}
    inputs: list[Value] = []
    outputs: list[Value] = []
    for number, value in parsing.of(message, _GRAPH, (5,)):
        if number == 1:
            operations.append(_operation(parsing, value))
            check_count(operations, MOST_NODES, "nodes")
        elif number == 5:
            tensor = read_tensor(parsing, value, "")
            if tensor.name in tensors:
                raise FormatError(f"two of its tensors are called {tensor.name!r}.")
            tensors[tensor.name] = tensor
            check_count(tensors, MOST_TENSORS, "tensors")
        elif number == 15:
            raise FormatError("it has sparse tensors.")
        else:
            values = inputs if number == 11 else outputs
            values.append(_value(parsing, value))
            check_count(values, MOST_TENSORS, "inputs and outputs")
    return Model(tuple(operations), tensors, tuple(inputs), tuple(outputs), metadata)


def _operation(parsing: Parsing, message: memoryview) -> Operation:
    """A NodeProto."""
    inputs: list[str] = []
    outputs: list[str] = []
    attributes: list[memoryview] = []
    texts = {3: "", 4: "", 7: ""}
    for number, value in parsing.of(message, _NODE):
        if number == 5:
            attributes.append(value)
            check_count(attributes, MOST_ATTRIBUTES, "attributes in a node")
        elif number in texts:
            texts[number] = parsing.text(value, "name")
        else:
            parsing.links.take()
            (inputs if number == 1 else outputs).append(parsing.text(value, "name"))
    name, operator, domain = texts[3], texts[4], texts[7]
    name = name or next(filter(None, outputs), "")
    operation = Operation(name, operator, tuple(inputs), tuple(outputs))
    if (why := unfit_operator(operator, domain)) is not None:
        raise FormatError(f"{operation.where} {why}")
    for attribute in attributes:
        _attribute(parsing, attribute, operation)
    return operation


def _attribute(parsing: Parsing, message: memoryview, operation: Operation) -> None:
    """Add an AttributeProto to its operation."""
    name: str = ""
    found: Any = None
    row: list[Any] = []
    for number, value in parsing.of(message, _ATTRIBUTE):
        match number:
            case 1:
                name = parsing.text(value, "name")
            case 2:
                found, *more = _floats(parsing, value)
                if more:
                    raise FormatError(DAMAGED)
            case 3:
                found = parsing.integer(value)
            case 4:
                found = parsing.text(value, "value")
            case 5:
                found = read_tensor(parsing, value, operation.where)
            case 7:
                row += _floats(parsing, value)
            case 8:
                numbers = parsing.integers(value)
                parsing.entries.take(numbers.size)
                row += numbers.tolist()
            case 9:
                parsing.entries.take()
                row.append(parsing.text(value, "value"))
            case 6 | 11:
                raise FormatError(f"{operation.where} has a graph of its own, in {name!r}.")
            case 10 | 14 | 15 | 21 | 22 | 23:
                raise FormatError(f"{operation.where} has a value of another kind in {name!r}.")
    if name in operation.attributes:
        raise FormatError(f"{operation.where} has {name!r} twice.")
    operation.attributes[name] = tuple(row) if row or found is None else found


def _value(parsing: Parsing, message: memoryview) -> Value:
    """A ValueInfoProto of a tensor."""
    name, kind = "", 0
    shape: list[int | None] = []
    for number, value in parsing.of(message, _ENTRY):
        if number == 1:
            name = parsing.text(value, "name")
            continue
        for of_type, tensor in parsing.of(value, _TYPE):
            if of_type != 1:
                raise FormatError(f"{name!r} is a sequence or a map, not a tensor.")
            for inner, part in parsing.of(tensor, _TENSOR_TYPE):
                if inner == 1:
                    kind = parsing.integer(part)
                else:
                    shape = [_axis(parsing, axis) for _, axis in parsing.of(part, {1: BYTES})]
    return Value(name, kind, tuple(shape))


def _axis(parsing: Parsing, message: memoryview) -> int | None:
    """A Dimension of a TensorShapeProto; None if its size is open."""
    sizes = [parsing.integer(value) for _, value in parsing.of(message, {1: VARINT})]
    return sizes[-1] if sizes and sizes[-1] >= 0 else None


def _floats(parsing: Parsing, value: memoryview) -> tuple[float, ...]:
    count, rest = divmod(len(value), 4)
    if not count or rest:
        raise FormatError(DAMAGED)
    parsing.entries.take(count)
    return struct.unpack(f"<{count}f", value)
