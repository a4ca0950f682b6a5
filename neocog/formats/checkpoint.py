"""Checkpoints: a run's arrays and values in one ``.safetensors``, verified by SHA-256.

Any safetensors reader can open the file. Its metadata come first in the header, and begin in the
same way in every version of the format::

    {"__metadata__": {"neocog_checkpoint": "1", "file_size": "000000000045012345",
                      "sha256": "…64 hex digits…", "values": "{…JSON…}"},
     "conv1.weight": {"dtype": "F32", "shape": […], "data_offsets": […]}, …}

The digest is that of the whole file, with 64 zeros in place of the digest. It is compared before
anything else in the file is used, so a file that was cut short, or has one flipped bit, gives an
error and never a wrong number. The digest does not protect against someone who computes it anew;
what the file says is therefore checked as in any file from someone else.

Arrays are ordered by the size of their items, 8 bytes first, and the first begins at a multiple of
64 bytes, so that the arrays that are read are views of one buffer, without copies.
"""

import errno
import hashlib
import json
import math
import os
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from io import BufferedReader
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.errors import FormatError, printable
from neocog.files import open_regular, writing
from neocog.limits import require_memory

__all__ = [
    "Checkpoint",
    "DamagedCheckpointError",
    "checkpoint_size",
    "read_checkpoint",
    "write_checkpoint",
]

_VERSION = 1
_NO_SIZE, _ZEROS = b"0" * 18, b"0" * 64
_START = re.compile(
    rb'.{8}\{"__metadata__":\{"neocog_checkpoint":"(\d{1,6})","file_size":"(\d{18})",'
    rb'"sha256":"([0-9a-f]{64})"',
    re.DOTALL,
)
# Longest match of `_START`.
_START_BYTES = 170
# A million logged losses take 60 MB. Parsing JSON takes at most 26 times its length.
_MOST_HEADER_BYTES = 2**27
_MOST_MEMORY = 26
# Alignment of the numbers: the widest load of any processor.
_ALIGNMENT = 64
_MOST_AXES = 32
_TYPES = {
    np.dtype(dtype): name
    for dtype, name in (
        (np.float64, "F64"),
        (np.float32, "F32"),
        (np.float16, "F16"),
        (np.int64, "I64"),
        (np.int32, "I32"),
        (np.int16, "I16"),
        (np.int8, "I8"),
        (np.uint64, "U64"),
        (np.uint32, "U32"),
        (np.uint16, "U16"),
        (np.uint8, "U8"),
        (np.bool_, "BOOL"),
    )
}
_DTYPES = {name: dtype for dtype, name in _TYPES.items()}
# Errors of a path that leads to no readable file, as opposed to a failing disk or no permission.
_NO_FILE = (errno.EIO, errno.EISDIR, errno.EINVAL, errno.ELOOP)


class DamagedCheckpointError(FormatError):
    """A checkpoint whose content cannot be trusted, such as one that was cut short.

    Attributes:
        reason: what is wrong with it, as a clause without its path.
    """

    def __init__(self, path: str | os.PathLike[str], reason: str) -> None:
        super().__init__(f"{printable(str(path), 300)} is damaged: {reason}.")
        self.reason = reason


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training run.

    Attributes:
        arrays: arrays by name, of any shape, also empty or without axes; booleans, integers and
            floats in this machine's byte order.
        values: JSON values: texts, numbers, true, false, None, and lists and dicts of them, with
            texts as keys. A tuple is read as a list. Floats are preserved, also NaN and infinity.
    """

    arrays: Mapping[str, NDArray[Any]]
    values: Mapping[str, Any]


# Writing


def checkpoint_size(checkpoint: Checkpoint) -> int:
    """Bytes of a checkpoint's arrays on disk; its values take a little more."""
    return sum(array.nbytes for array in checkpoint.arrays.values())


def write_checkpoint(path: str | os.PathLike[str], checkpoint: Checkpoint) -> None:
    """Write a checkpoint, completely or not at all; see `neocog.files.writing`.

    Equal checkpoints give equal bytes.

    Args:
        path: the file, by convention ``….safetensors``.
        checkpoint: its arrays must not change meanwhile.

    Raises:
        TypeError, ValueError: an array or a value of a type that a checkpoint cannot have.
        OSError: `path` cannot be written.
    """
    parts = _parts(checkpoint)
    with writing(path) as file:
        for part in parts:
            file.write(part)


def _parts(checkpoint: Checkpoint) -> list[bytes | memoryview]:
    """The contents of the file: the header, then the bytes of each array."""
    # Larger items first, so that each array is aligned to its type.
    order = sorted(checkpoint.arrays.items(), key=lambda item: -item[1].dtype.itemsize)
    places: dict[str, list[int]] = {}
    end = 0
    for name, array in order:
        places[name] = [end, end := end + array.nbytes]
    tensors = {
        name: {"dtype": _type(name, array), "shape": array.shape, "data_offsets": places[name]}
        for name, array in checkpoint.arrays.items()
    }
    data = [array.reshape(-1).view(np.uint8).data for _name, array in order]
    header = _header(checkpoint.values, tensors)
    header = header.replace(_NO_SIZE, b"%018d" % (len(header) + end), 1)
    digest = hashlib.sha256(header)
    for part in data:
        digest.update(part)
    before, after = header.split(_ZEROS, maxsplit=1)
    return [before, digest.hexdigest().encode(), after, *data]


def _type(name: str, array: NDArray[Any]) -> str:
    if name == "__metadata__":
        raise ValueError("An array of a checkpoint cannot be called __metadata__.")
    if array.dtype not in _TYPES:
        raise TypeError(f"A checkpoint cannot hold {name}, whose numbers are {array.dtype}.")
    return _TYPES[array.dtype]


def _header(values: Mapping[str, Any], tensors: dict[str, dict[str, Any]]) -> bytes:
    """The file up to the arrays: the header with its length, with zeros as size and digest."""
    metadata = {
        "neocog_checkpoint": str(_VERSION),
        "file_size": _NO_SIZE.decode(),
        "sha256": _ZEROS.decode(),
        "values": json.dumps(dict(values), separators=(",", ":")),
    }
    text = json.dumps({"__metadata__": metadata, **tensors}, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % _ALIGNMENT)
    if len(text) > _MOST_HEADER_BYTES:
        raise ValueError(
            f"The values of a checkpoint take {len(text):,} bytes; up to {_MOST_HEADER_BYTES:,} "
            "would be read again."
        )
    return struct.pack("<Q", len(text)) + text


# Reading


def read_checkpoint(path: str | os.PathLike[str], *, follow_links: bool = True) -> Checkpoint:
    """Read a checkpoint written by `write_checkpoint`, bit for bit.

    Its arrays are writable. They share one buffer, which lives as long as any of them.

    Args:
        path: the file.
        follow_links: whether `path` may be a symbolic link.

    Raises:
        DamagedCheckpointError: it was cut short, bits have changed, or it is not a checkpoint.
        FormatError: it cannot be read, or a later version of neocog wrote it.
        NeocogError: there is not enough memory.
    """
    try:
        with open_regular(path, follow_links=follow_links) as file:
            content, version = _verified(file)
        if version > _VERSION:
            raise FormatError(
                f"{printable(str(path), 300)} was written by a later neocog (version {version} of "
                f"the format; this one reads up to {_VERSION}). Update neocog to go on from it."
            )
        return _decoded(content)
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in _NO_FILE:
            raise DamagedCheckpointError(path, f"it cannot be read ({reason})") from error
        raise FormatError(f"{printable(str(path), 300)} cannot be read: {reason}.") from error
    except _Damaged as error:
        raise DamagedCheckpointError(path, str(error)) from None


class _Damaged(Exception):  # noqa: N818
    """What is wrong with a file, as a clause."""


def _verified(file: BufferedReader) -> tuple[NDArray[np.uint8], int]:
    """The verified bytes of the file, and the version of the format."""
    size = os.fstat(file.fileno()).st_size
    start = file.read(_START_BYTES)
    found = _START.match(start)
    if found is None:
        if len(start) < _START_BYTES:
            raise _Damaged(f"it is cut short, to {len(start)} bytes, or is no checkpoint")
        raise _Damaged("it does not begin as a checkpoint does")
    expected = int(found[2])
    if size != expected:
        what = "cut short" if size < expected else "too long"
        raise _Damaged(f"it is {what}: it should have {expected:,} bytes and has {size:,}")
    require_memory(size, "This checkpoint", "Close other programs.")
    content = np.empty(size, np.uint8)
    file.seek(0)
    if file.readinto(content.data) != size:
        raise _Damaged("it became shorter while it was read")
    place = found.start(3)
    digest = hashlib.sha256(content[:place].data)
    digest.update(_ZEROS)
    digest.update(content[place + len(_ZEROS) :].data)
    if digest.hexdigest().encode() != content[place : place + len(_ZEROS)].tobytes():
        raise _Damaged("its content does not match its SHA-256")
    return content, int(found[1])


def _decoded(content: NDArray[np.uint8]) -> Checkpoint:
    """The checkpoint in the bytes of a file of this version."""
    size = struct.unpack("<Q", content[:8].tobytes())[0]
    if size > min(len(content) - 8, _MOST_HEADER_BYTES) or (8 + size) % _ALIGNMENT:
        raise _Damaged("its header has a length that none has")
    require_memory(_MOST_MEMORY * size, "The header of this checkpoint", "Close other programs.")
    header = _json(content[8 : 8 + size].tobytes())
    metadata = header.pop("__metadata__", None) if isinstance(header, dict) else None
    values = _json(metadata.get("values")) if isinstance(metadata, dict) else None
    if not isinstance(values, dict):
        raise _Damaged("its values are not what is written")
    return Checkpoint(_arrays(header, content[8 + size :]), values)


def _json(text: Any) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError, TypeError) as error:
        raise _Damaged(f"its header is not JSON ({printable(str(error))})") from None


def _arrays(tensors: dict[str, Any], data: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    """The arrays by name, views of the bytes, which must cover them without gaps or overlaps."""
    try:
        arrays = {name: _array(tensor, data) for name, tensor in tensors.items()}
        places = sorted(tuple(tensor["data_offsets"]) for tensor in tensors.values())
    except (KeyError, TypeError, ValueError, OverflowError):
        raise _Damaged("its list of arrays is not what is written") from None
    end = 0
    for begin, next_end in places:
        if begin != end:
            raise _Damaged("its arrays overlap, or there is something between them")
        end = next_end
    if end != len(data):
        raise _Damaged("there is something behind its arrays")
    return arrays


def _array(tensor: Any, data: NDArray[np.uint8]) -> NDArray[Any]:
    """One array; raises various built-in errors if its description is malformed."""
    dtype, shape = _DTYPES[tensor["dtype"]], tensor["shape"]
    begin, end = tensor["data_offsets"]
    whole = all(type(number) is int and number >= 0 for number in (*shape, begin, end))
    if not whole or len(shape) > _MOST_AXES or end - begin != dtype.itemsize * math.prod(shape):
        raise ValueError
    if not begin <= end <= len(data) or begin % dtype.itemsize:
        raise ValueError
    raw = data[begin:end]
    if dtype == np.bool_ and raw.size and raw.max() > 1:  # not a valid bool for NumPy
        raise ValueError
    return raw.view(dtype).reshape(shape)
