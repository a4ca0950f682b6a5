"""The pickle inside a PyTorch checkpoint, read without the pickle module.

A pickle is a program for a small stack machine. The machine here knows only the instructions that
``torch.save`` emits, and instead of calling what a pickle names it looks the name up among those
that ``torch.load(weights_only=True)`` admits: there is nothing in it that could run. What makes no
tensor of numbers (a ``torch.Size``, a ``Counter`` of a scheduler, …) becomes `Other`, which says
what it was and holds nothing.

Every instruction takes a time that does not depend on what was read before, and their number is
bounded, so that a pickle of a few megabytes cannot ask for minutes or gigabytes.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from neocog.errors import FormatError, printable
from neocog.formats.tensor_pickle import STORAGE_TYPES, Storage, Tensor

__all__ = ["Other", "Parsed", "parse"]

# A ResNet of 1,001 layers with Adam's state has 500,000 and makes 15,000 tensors.
_MOST_INSTRUCTIONS = 750_000
_MOST_TENSORS = 50_000
_MOST_DIMENSIONS = 32
# More than any file holds, and far from what NumPy's integers hold.
_MOST_NUMBERS = 2**48
# Whole numbers below this have hashes of their own, so that a dict of them stays quick.
_MOST_KEY = 2**60


@dataclass(frozen=True)
class Other:
    """A value that is no tensor of numbers.

    Attributes:
        kind: the name of its type or maker, as ``torch.Size``.
        is_tensor: whether it is a tensor of a kind that is not read, such as a sparse one.
    """

    kind: str
    is_tensor: bool = False


class _Name(Enum):
    ORDERED_DICT = "collections OrderedDict"
    TENSOR = "torch._utils _rebuild_tensor_v2"
    PARAMETER = "torch._utils _rebuild_parameter"
    PARAMETER_WITH_STATE = "torch._utils _rebuild_parameter_with_state"
    SUBCLASS = "torch._tensor _rebuild_from_type_v2"


@dataclass(frozen=True)
class _StorageType:
    name: str


_STORAGES = [
    *STORAGE_TYPES, "ComplexDoubleStorage", "ComplexFloatStorage", "QInt32Storage", "QInt8Storage",
    "QUInt2x4Storage", "QUInt4x2Storage", "QUInt8Storage",
]  # fmt: skip
_DTYPES = [
    "bfloat16", "bool", "complex32", "complex64", "complex128", "float16", "float32", "float64",
    "float4_e2m1fn_x2", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz",
    "float8_e8m0fnu", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "bits8", "bits16", "bits1x8", "bits2x4", "bits4x2", "qint8", "qint32", "quint8", "quint2x4",
    "quint4x2", "int1", "int2", "int3", "int4", "int5", "int6", "int7", "uint1", "uint2", "uint3",
    "uint4", "uint5", "uint6", "uint7", "per_tensor_affine", "per_tensor_symmetric",
    "per_channel_affine", "per_channel_symmetric", "per_channel_affine_float_qparams",
]  # fmt: skip
_VALUES = [
    "collections.Counter", "torch.Size", "torch.device", "torch.Tensor",
    "torch.nn.parameter.Parameter", "torch.serialization._get_layout", "_codecs.encode",
    "builtins.bytearray", "builtins.complex", "builtins.set", "__builtin__.bytearray",
    "__builtin__.complex", "__builtin__.set",
]  # fmt: skip
_TENSORS = [
    "_rebuild_device_tensor_from_cpu_tensor", "_rebuild_device_tensor_from_numpy",
    "_rebuild_meta_tensor_no_storage", "_rebuild_nested_tensor", "_rebuild_qtensor",
    "_rebuild_sparse_tensor", "_rebuild_tensor_v3", "_rebuild_wrapper_subclass",
]  # fmt: skip

_NAMES: dict[str, object] = {
    **{name.value: name for name in _Name},
    **{f"torch {name}": _StorageType(name) for name in _STORAGES},
    "torch.storage UntypedStorage": _StorageType("UntypedStorage"),
    **{f"torch {name}": Other(f"torch.{name}") for name in _DTYPES},
    **{" ".join(name.rsplit(".", 1)): Other(name.replace("__builtin__.", "")) for name in _VALUES},
    **{f"torch._utils {name}": Other(f"torch._utils.{name}", is_tensor=True) for name in _TENSORS},
}


@dataclass(frozen=True)
class Parsed:
    """What a pickle describes.

    Attributes:
        value: dicts, lists, tuples, plain values, `Tensor` and `Other`. Of a dict only the items
            are kept whose keys are texts or whole numbers: no weights have others.
        storages: all that it refers to, by key.
        end: where in the data it ends.
    """

    value: object
    storages: dict[str, Storage]
    end: int


def parse(
    data: bytes | bytearray, start: int = 0, most_instructions: int = _MOST_INSTRUCTIONS
) -> Parsed:
    """Read the pickle that begins at `start`.

    Raises:
        FormatError: naming the first thing met that is none of what `Parsed` holds, or if the
            pickle is damaged or has too many instructions.
    """
    machine = _Machine(bytes(data), start)
    value = machine.run(most_instructions)
    return Parsed(value, machine.storages, machine.end)


def _damaged(why: str) -> FormatError:
    return FormatError(f"its pickle is damaged: {why}.")


class _Machine:
    def __init__(self, data: bytes, start: int) -> None:
        self._data = data
        self._next = start
        self._stack: list[object] = []
        self._marks: list[int] = []
        self._memo: dict[int, object] = {}
        self._calls = 0
        self.storages: dict[str, Storage] = {}

    @property
    def end(self) -> int:
        return self._next

    def run(self, most: int) -> object:
        data = self._data
        for _ in range(most):
            if self._next >= len(data):
                raise _damaged("it is cut short")
            code = data[self._next]
            self._next += 1
            if code == _STOP:
                result = self._pop()
                if self._stack or self._marks:
                    raise _damaged("values are left over")
                return result
            execute = _INSTRUCTIONS.get(code)
            if execute is None:
                raise FormatError(f"it holds the pickle instruction {_name_of(code)}; refused.")
            execute(self)
        raise FormatError(f"its pickle has more than {most:,} instructions; refused.")

    # Arguments

    def _take(self, count: int) -> bytes:
        start = self._next
        self._next = start + count
        if self._next > len(self._data):
            raise _damaged("it is cut short")
        return self._data[start : self._next]

    def _line(self) -> str:
        end = self._data.find(b"\n", self._next)
        if end < 0:
            raise _damaged("it is cut short")
        return self._text(end - self._next, skip=1)

    def _text(self, count: int, skip: int = 0) -> str:
        raw = self._take(count)
        self._next += skip
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            raise _damaged(str(error)) from None

    # The stack

    def _top(self) -> object:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise _damaged("a value is missing")
        return self._stack[-1]

    def _pop(self) -> object:
        value = self._top()
        self._stack.pop()
        return value

    def _pop_to_mark(self) -> list[object]:
        if not self._marks:
            raise _damaged("a mark is missing")
        start = self._marks.pop()
        values = self._stack[start:]
        del self._stack[start:]
        return values

    # Instructions

    def _proto(self) -> None:
        self._take(1)

    def _push_int(self) -> None:
        self._stack.append(struct.unpack("<i", self._take(4))[0])

    def _push_byte(self) -> None:
        self._stack.append(self._take(1)[0])

    def _push_short(self) -> None:
        self._stack.append(int.from_bytes(self._take(2), "little"))

    def _push_long(self) -> None:
        self._stack.append(int.from_bytes(self._take(self._take(1)[0]), "little", signed=True))

    def _push_float(self) -> None:
        self._stack.append(struct.unpack(">d", self._take(8))[0])

    def _push_text(self) -> None:
        self._stack.append(self._text(int.from_bytes(self._take(4), "little")))

    def _push_bytes(self) -> None:
        self._take(self._take(1)[0])
        self._stack.append(Other("bytes"))

    def _push_none(self) -> None:
        self._stack.append(None)

    def _push_true(self) -> None:
        self._stack.append(True)

    def _push_false(self) -> None:
        self._stack.append(False)

    def _push_dict(self) -> None:
        self._stack.append({})

    def _push_list(self) -> None:
        self._stack.append([])

    def _push_empty_tuple(self) -> None:
        self._stack.append(())

    def _push_mark(self) -> None:
        self._marks.append(len(self._stack))

    def _push_tuple(self) -> None:
        self._stack.append(tuple(self._pop_to_mark()))

    def _push_tuple_1(self) -> None:
        self._stack.append((self._pop(),))

    def _push_tuple_2(self) -> None:
        second, first = self._pop(), self._pop()
        self._stack.append((first, second))

    def _push_tuple_3(self) -> None:
        third, second, first = self._pop(), self._pop(), self._pop()
        self._stack.append((first, second, third))

    def _append(self) -> None:
        self._extend([self._pop()])

    def _appends(self) -> None:
        self._extend(self._pop_to_mark())

    def _extend(self, values: list[object]) -> None:
        target = self._top()
        if not isinstance(target, list):
            raise FormatError(f"it appends to a {type(target).__name__}; refused.")
        target.extend(values)

    def _set_item(self) -> None:
        value, key = self._pop(), self._pop()
        self._update([key, value])

    def _set_items(self) -> None:
        self._update(self._pop_to_mark())

    def _update(self, values: list[object]) -> None:
        target = self._top()
        if not isinstance(target, dict) or len(values) % 2:
            raise FormatError(f"it sets items of a {type(target).__name__}; refused.")
        for key, value in zip(values[::2], values[1::2], strict=True):
            # The hash of others can take for ever, as of tuples nested by reference.
            if type(key) is str or (type(key) is int and -_MOST_KEY < key < _MOST_KEY):
                if key in target:
                    raise FormatError(f"the name '{printable(str(key))}' occurs twice.")
                target[key] = value

    def _keep(self) -> None:
        self._memo[self._take(1)[0]] = self._top()

    def _keep_far(self) -> None:
        self._memo[int.from_bytes(self._take(4), "little")] = self._top()

    def _recall(self) -> None:
        self._push_kept(self._take(1)[0])

    def _recall_far(self) -> None:
        self._push_kept(int.from_bytes(self._take(4), "little"))

    def _push_kept(self, place: int) -> None:
        if place not in self._memo:
            raise _damaged(f"nothing is kept as {place}")
        self._stack.append(self._memo[place])

    def _push_named(self) -> None:
        module, name = self._line(), self._line()
        value = _NAMES.get(f"{module} {name}")
        if value is None:
            raise FormatError(
                f"it names '{printable(f'{module}.{name}')}', which is not a tensor; refused."
            )
        self._stack.append(value)

    def _push_storage(self) -> None:
        match self._pop():
            # Before 1.6 there was a sixth part: which part of another storage it is, or None.
            case ("storage", _StorageType(name=name), str(key), str(_device), numel, *view) if (
                type(numel) is int and 0 <= numel < _MOST_NUMBERS and view in ([], [None])
            ):
                storage = Storage(name, key, numel)
                self._stack.append(self.storages.setdefault(key, storage))
                if self.storages[key] != storage:
                    raise FormatError(f"'data/{printable(key)}' is used as two types of numbers.")
            case _:
                raise FormatError(
                    "it refers to something outside that is not a storage of numbers; refused."
                )

    def _call(self) -> None:
        arguments, function = self._pop(), self._pop()
        self._calls += 1
        if self._calls > 2 * _MOST_TENSORS:  # and each tensor comes with an OrderedDict of hooks
            raise FormatError(f"it makes more than {_MOST_TENSORS:,} tensors; refused.")
        self._stack.append(_made_by(function, arguments))

    def _build(self) -> None:
        # Attributes, as an OrderedDict's _metadata: versions of layers. No weights are among them.
        state, target = self._pop(), self._top()
        if not isinstance(state, dict | tuple) or not isinstance(target, dict | Tensor | Other):
            raise FormatError("it sets attributes of an object; refused.")


_STOP = ord(".")
_INSTRUCTIONS: dict[int, Callable[[_Machine], None]] = {
    0x80: _Machine._proto,
    ord("("): _Machine._push_mark,
    ord(")"): _Machine._push_empty_tuple,
    ord("t"): _Machine._push_tuple,
    0x85: _Machine._push_tuple_1,
    0x86: _Machine._push_tuple_2,
    0x87: _Machine._push_tuple_3,
    ord("]"): _Machine._push_list,
    ord("a"): _Machine._append,
    ord("e"): _Machine._appends,
    ord("}"): _Machine._push_dict,
    ord("s"): _Machine._set_item,
    ord("u"): _Machine._set_items,
    ord("N"): _Machine._push_none,
    0x88: _Machine._push_true,
    0x89: _Machine._push_false,
    ord("J"): _Machine._push_int,
    ord("K"): _Machine._push_byte,
    ord("M"): _Machine._push_short,
    0x8A: _Machine._push_long,
    ord("G"): _Machine._push_float,
    ord("X"): _Machine._push_text,
    ord("U"): _Machine._push_bytes,
    ord("q"): _Machine._keep,
    ord("r"): _Machine._keep_far,
    ord("h"): _Machine._recall,
    ord("j"): _Machine._recall_far,
    ord("c"): _Machine._push_named,
    ord("Q"): _Machine._push_storage,
    ord("R"): _Machine._call,
    ord("b"): _Machine._build,
}


def _name_of(code: int) -> str:
    import pickletools  # slow to import, and only an error needs it

    names = {operation.code: operation.name for operation in pickletools.opcodes}
    return names.get(chr(code), f"{code:#04x}")


def _made_by(function: object, arguments: object) -> object:
    """What a call of something in `_NAMES` gives; what `Other` makes is another `Other`."""
    match function, arguments:
        case _Name.ORDERED_DICT, ():
            return {}
        case _Name.TENSOR, (Storage() as storage, int(offset), tuple(size), tuple(stride), *_rest):
            if max(len(size), len(stride)) > _MOST_DIMENSIONS:
                raise FormatError(
                    f"a tensor in it has {max(len(size), len(stride))} dimensions; up to "
                    f"{_MOST_DIMENSIONS} are read."
                )
            if {type(offset), *map(type, size), *map(type, stride)} == {int}:
                return Tensor(storage, offset, size, stride)
        case (
            (_Name.PARAMETER | _Name.PARAMETER_WITH_STATE),
            (Tensor() | Other() as tensor, *_rest),
        ):
            return tensor
        case _Name.SUBCLASS, (_Name.TENSOR | Other() as make, _type, tuple(inner), _state):
            return _made_by(make, inner)
        case Other(), tuple():
            return function
    raise FormatError("it calls something with arguments that make no tensor; refused.")
