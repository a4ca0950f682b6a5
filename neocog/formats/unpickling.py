"""Reads the pickle in a PyTorch checkpoint without the pickle module.

`neocog.pickles` has the interpreter, in which no code can run. The names allowed here are those of
``torch.load(weights_only=True)``. Anything that is not a numeric tensor (a ``torch.Size``, a
scheduler's ``Counter``, …) becomes `Other`, which has its type and no content.
"""

from dataclasses import dataclass
from enum import Enum

from neocog.errors import FormatError, printable
from neocog.formats.tensor_pickle import STORAGE_TYPES, Storage, Tensor
from neocog.pickles import Machine

__all__ = ["Other", "Parsed", "parse"]

# A ResNet of 1,001 layers with Adam's state has 500,000 instructions and makes 15,000 tensors.
_MOST_INSTRUCTIONS = 750_000
_MOST_TENSORS = 20_000
_MOST_DIMENSIONS = 32
# More than in any file, and far below the limits of NumPy's integers.
_MOST_NUMBERS = 2**48


@dataclass(frozen=True)
class Other:
    """A value that is not a numeric tensor.

    Attributes:
        kind: name of its type or of the function that makes it, such as ``torch.Size``.
        is_tensor: whether it is an unsupported kind of tensor, such as a sparse one.
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
    """The content of a pickle.

    Attributes:
        value: dicts, lists, tuples, plain values, `Tensor` and `Other`. Dicts keep only items whose
            keys are texts or integers, as no weights have others.
        storages: all storages that it refers to, by key.
        end: offset of the end of the pickle.
    """

    value: object
    storages: dict[str, Storage]
    end: int


def parse(
    data: bytes | bytearray, start: int = 0, most_instructions: int = _MOST_INSTRUCTIONS
) -> Parsed:
    """Read the pickle that begins at `start`.

    Raises:
        FormatError: it has something that `Parsed` cannot represent, it is damaged, or it has too
            many instructions.
    """
    machine = _Machine(bytes(data), start)
    value = machine.run(most_instructions)
    return Parsed(value, machine.storages, machine.end)


class _Machine(Machine):
    WANTED = "a tensor"

    def __init__(self, data: bytes, start: int) -> None:
        super().__init__(data, start)
        self._calls = 0
        self.storages: dict[str, Storage] = {}

    def text_of(self, data: memoryview) -> object:
        """Bytes, since no weights are Python 2 strings."""
        return Other("bytes")

    def named(self, name: str) -> object:
        """One of the names that `torch.load` admits."""
        return _NAMES[name] if name in _NAMES else super().named(name)

    def referred(self, reference: object) -> object:
        """A storage of numbers, which is stored beside the pickle."""
        match reference:
            # Before 1.6 there was a sixth item: the part of another storage that it is, or None.
            case ("storage", _StorageType(name=name), str(key), str(_device), numel, *view) if (
                type(numel) is int and 0 <= numel < _MOST_NUMBERS and view in ([], [None])
            ):
                storage = Storage(name, key, numel)
                if self.storages.setdefault(key, storage) != storage:
                    raise FormatError(f"'data/{printable(key)}' is used as two types of numbers.")
                return self.storages[key]
            case _:
                raise FormatError(
                    "it refers to something outside that is not a storage of numbers; refused."
                )

    def called(self, function: object, arguments: object) -> object:
        """The result of `_made_by`, with a limit on the number of calls."""
        self._calls += 1
        if self._calls > 2 * _MOST_TENSORS:  # and each tensor comes with an OrderedDict of hooks
            raise FormatError(f"it makes more than {_MOST_TENSORS:,} tensors; refused.")
        return _made_by(function, arguments)

    def built(self, target: object, state: object) -> None:
        """Ignore attributes, such as an OrderedDict's _metadata, which has no weights."""
        if not isinstance(state, dict | tuple) or not isinstance(target, dict | Tensor | Other):
            raise FormatError("it sets attributes of an object; refused.")


def _made_by(function: object, arguments: object) -> object:
    """The result of calling an object in `_NAMES`; calling an `Other` gives another `Other`."""
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
