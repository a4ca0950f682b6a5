"""The pickle inside a PyTorch checkpoint, written and read without the pickle module.

A pickle is a program for a small stack machine. The machine here knows only the instructions that
``torch.save`` emits for dicts of tensors, and instead of calling what a pickle names it looks the
name up among the few below: there is nothing in it that could run. Numbers are not here: a pickle
only says which stretch of which storage is a tensor.

The format: CPython's pickletools (instructions) and ``torch._utils`` (arguments).
"""

import io
import pickletools
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from neocog.errors import FormatError

__all__ = ["STORAGE_TYPES", "Storage", "Tensor", "dump", "parse"]

#: The storage types of PyTorch that are understood, and NumPy's codes for their numbers.
STORAGE_TYPES = {
    "FloatStorage": "f4",
    "DoubleStorage": "f8",
    "HalfStorage": "f2",
    "BFloat16Storage": "u2",  # NumPy has no such type: the upper half of a float32
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


@dataclass(frozen=True)
class Storage:
    """A run of `numel` numbers of one of the `STORAGE_TYPES`, kept in the file ``data/{key}``."""

    type: str
    key: str
    numel: int


@dataclass(frozen=True)
class Tensor:
    """Which numbers of a storage a tensor shows; offset and strides count numbers, not bytes."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class _Name(Enum):
    ORDERED_DICT = "collections OrderedDict"
    REBUILD_TENSOR = "torch._utils _rebuild_tensor_v2"
    REBUILD_PARAMETER = "torch._utils _rebuild_parameter"


@dataclass(frozen=True)
class _StorageType:
    name: str


_NAMES: dict[str, object] = {name.value: name for name in _Name} | {
    f"torch {name}": _StorageType(name) for name in STORAGE_TYPES
}
_MARK = object()


# Writing


def dump(tensors: Mapping[str, Tensor]) -> bytes:
    """The pickle (protocol 2) of an OrderedDict of tensors by name, as ``torch.save`` writes it."""
    items = b"".join(_text(name) + _tensor(tensor) for name, tensor in tensors.items())
    return b"\x80\x02" + _ORDERED_DICT + b"(" + items + b"u."


_ORDERED_DICT = b"ccollections\nOrderedDict\n)R"


def _tensor(tensor: Tensor) -> bytes:
    storage = tensor.storage
    reference = (
        _text("storage")
        + f"ctorch\n{storage.type}\n".encode()
        + _text(storage.key)
        + _text("cpu")
        + _integer(storage.numel)
    )
    size, stride = (b"(" + b"".join(map(_integer, t)) + b"t" for t in (tensor.size, tensor.stride))
    no_gradient, no_hooks = b"\x89", _ORDERED_DICT
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n"
        + (b"((" + reference + b"tQ" + _integer(tensor.offset) + size + stride)
        + (no_gradient + no_hooks + b"tR")
    )


def _text(text: str) -> bytes:
    data = text.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def _integer(n: int) -> bytes:
    if n < 2**31:
        return b"J" + struct.pack("<i", n)
    data = n.to_bytes(n.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


# Reading


def parse(data: bytes) -> object:
    """What the pickle describes: dicts, lists, tuples, plain values, and `Tensor` for tensors.

    Raises:
        FormatError: naming the first thing met that is neither, or if the pickle is damaged.
    """
    machine = _Machine()
    for opcode, argument in _operations(data):
        machine.execute(opcode, argument)
    result = machine.pop()
    if machine.stack:
        raise FormatError("its pickle is damaged: values are left over.")
    return result


_INSTRUCTIONS = {instruction.code: instruction for instruction in pickletools.opcodes}
# The instructions that carry an argument, besides GLOBAL. The machine refuses any other before the
# next one is read, so theirs need not be read.
_WITH_ARGUMENT = {
    "PROTO", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "BINPUT",
    "LONG_BINPUT", "BINGET", "LONG_BINGET",
}  # fmt: skip


def _operations(data: bytes) -> Iterator[tuple[str, object]]:
    # Not pickletools.genops: it decodes escapes in names, and warns of those it does not know.
    stream = io.BytesIO(data)
    name = ""
    while name != "STOP":
        code = stream.read(1).decode("latin-1")
        if code not in _INSTRUCTIONS:
            raise FormatError("its pickle is damaged or cut short.")
        instruction = _INSTRUCTIONS[code]
        name, argument = instruction.name, None
        try:
            if name == "GLOBAL":
                module, attribute = (stream.readline().decode().rstrip("\n") for _ in range(2))
                argument = f"{module} {attribute}"
            elif name in _WITH_ARGUMENT and instruction.arg:
                argument = instruction.arg.reader(stream)
        except ValueError as error:
            raise FormatError(f"its pickle is damaged: {error}.") from None
        yield name, argument


class _Machine:
    def __init__(self) -> None:
        self.stack: list[object] = []
        self.memo: dict[object, object] = {}

    def execute(self, opcode: str, argument: object) -> None:
        match opcode:
            case "PROTO" | "STOP":
                pass
            case "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINFLOAT" | "BINUNICODE":
                self.stack.append(argument)
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                self.stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[opcode])
            case "EMPTY_DICT":
                self.stack.append({})
            case "EMPTY_LIST":
                self.stack.append([])
            case "EMPTY_TUPLE":
                self.stack.append(())
            case "MARK":
                self.stack.append(_MARK)
            case "TUPLE":
                self.stack.append(tuple(self.pop_to_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                values = [self.pop() for _ in range(int(opcode[-1]))]
                self.stack.append(tuple(reversed(values)))
            case "APPEND":
                value = self.pop()
                self.top_list().append(value)
            case "APPENDS":
                values = self.pop_to_mark()
                self.top_list().extend(values)
            case "SETITEM":
                value, key = self.pop(), self.pop()
                self.set_items([key, value])
            case "SETITEMS":
                self.set_items(self.pop_to_mark())
            case "BINPUT" | "LONG_BINPUT":
                self.memo[argument] = self.top()
            case "BINGET" | "LONG_BINGET":
                if argument not in self.memo:
                    raise FormatError(f"its pickle is damaged: nothing is kept as {argument}.")
                self.stack.append(self.memo[argument])
            case "GLOBAL":
                if argument not in _NAMES:
                    dotted = str(argument)[:100].replace(" ", ".", 1)
                    raise FormatError(f"it names {dotted!r}, which is not a tensor; refused.")
                self.stack.append(_NAMES[str(argument)])
            case "BINPERSID":
                self.stack.append(_storage(self.pop()))
            case "REDUCE":
                arguments, function = self.pop(), self.pop()
                self.stack.append(_reduce(function, arguments))
            case "BUILD":
                # The attributes of an OrderedDict: _metadata, layer versions that PyTorch keeps.
                if not isinstance(self.pop(), dict) or not isinstance(self.top(), dict):
                    raise FormatError("it sets attributes of an object; refused.")
            case _:
                raise FormatError(f"it holds the pickle instruction {opcode}; refused.")

    def top(self) -> object:
        if not self.stack or self.stack[-1] is _MARK:
            raise FormatError("its pickle is damaged: a value is missing.")
        return self.stack[-1]

    def pop(self) -> object:
        value = self.top()
        self.stack.pop()
        return value

    def pop_to_mark(self) -> list[object]:
        values: list[object] = []
        while self.stack:
            value = self.stack.pop()
            if value is _MARK:
                return values[::-1]
            values.append(value)
        raise FormatError("its pickle is damaged: a mark is missing.")

    def top_list(self) -> list[object]:
        target = self.top()
        if not isinstance(target, list):
            raise FormatError(f"it appends to a {type(target).__name__}; refused.")
        return target

    def set_items(self, values: list[object]) -> None:
        target = self.top()
        if not isinstance(target, dict) or len(values) % 2:
            raise FormatError(f"it sets items of a {type(target).__name__}; refused.")
        for key, value in zip(values[::2], values[1::2], strict=True):
            # Only these, as the hash of tuples nested by reference can take for ever.
            if not isinstance(key, str | int):
                raise FormatError(f"a {type(key).__name__} is a key of a dict; refused.")
            if key in target:
                raise FormatError(f"the name {str(key)[:100]!r} occurs twice.")
            target[key] = value


def _storage(reference: object) -> Storage:
    match reference:
        case ("storage", _StorageType(name=name), str(key), str(_device), int(numel)):
            return Storage(name, key, numel)
    raise FormatError("it refers to something outside that is not a storage of numbers; refused.")


def _reduce(function: object, arguments: object) -> object:
    match function, arguments:
        case _Name.ORDERED_DICT, ():
            return {}
        case _Name.REBUILD_TENSOR, (
            Storage() as storage,
            int(offset),
            tuple(size),
            tuple(stride),
            _requires_grad,
            _hooks,
            *_metadata,
        ):
            if all(type(n) is int for n in (offset, *size, *stride)):
                return Tensor(storage, offset, size, stride)
        case _Name.REBUILD_PARAMETER, (Tensor() as tensor, _requires_grad, _hooks):
            return tensor
    raise FormatError("it calls something with arguments that make no tensor; refused.")
