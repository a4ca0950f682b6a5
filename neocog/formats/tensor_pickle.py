"""The pickle in a PyTorch checkpoint, described and written without the pickle module.

A pickle is a program for a small stack machine; `unpickling` reads one. The numbers are elsewhere:
a pickle only says which part of which storage a tensor is.

The format: CPython's pickletools (instructions) and ``torch._utils`` (arguments).
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["STORAGE_TYPES", "Storage", "Tensor", "dump"]

#: PyTorch's storage types that are supported, and NumPy's codes of their numbers.
STORAGE_TYPES = {
    "FloatStorage": "f4",
    "DoubleStorage": "f8",
    "HalfStorage": "f2",
    "BFloat16Storage": "u2",  # NumPy has no such type: it is the upper half of a float32
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


@dataclass(frozen=True)
class Storage:
    """A run of `numel` numbers of PyTorch's type called `type`, kept in the file ``data/{key}``."""

    type: str
    key: str
    numel: int


@dataclass(frozen=True)
class Tensor:
    """The part of a storage that is a tensor; offset and strides are in numbers, not bytes."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


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
