"""PyTorch's checkpoint files (``.pth``) without PyTorch: dicts of tensors only.

A checkpoint is an uncompressed zip (`stored_zip`; `old_checkpoint` is the format before PyTorch
1.6): ``data.pkl`` describes the tensors (written by `tensor_pickle`, read by `unpickling`) and
``data/0``, ``data/1``, … have their numbers. Reading a file never runs code in it, and takes time
and memory in proportion to its length.
"""

import math
import re
import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from neocog.errors import FormatError, NeocogError, is_plain, printable
from neocog.files import open_regular, writing
from neocog.formats.old_checkpoint import OldCheckpoint
from neocog.formats.stored_zip import StoredZip
from neocog.formats.tensor_pickle import STORAGE_TYPES, Storage, Tensor, dump
from neocog.formats.unpickling import Other, parse
from neocog.limits import require_memory

__all__ = ["load_pth", "read_input_shape", "save_pth"]

_TYPE_OF = {np.dtype(d): t for t, d in STORAGE_TYPES.items() if t != "BFloat16Storage"}
_MOST_PICKLE_BYTES = 4 * 2**20
_MOST_TENSORS = 20_000
_LONGEST_NAME = 1000
# Bytes that overlapping or expanded tensors may take beyond twice the file's length.
_SPARE_BYTES = 64 * 2**20
# An entry of neocog's own, which PyTorch ignores: the shape of an image, as "3 32 32".
_INPUT_SHAPE = "neocog_input_shape"
# Names of the weights in a checkpoint that has more than weights, the best first.
_WRAPPERS = (
    "state_dict", "model_state_dict", "model", "net", "network", "model_state", "weights", "params",
    "module", "state_dict_ema", "model_ema", "ema",
)  # fmt: skip
# Names of moving averages, which are used only if the weights themselves are missing.
_AVERAGES = _WRAPPERS[-3:]
# Names of entries with tensors that are not weights.
_NO_WEIGHTS = ("optim", "sched", "lr_sched", "scaler", "amp", "callback", "loop", "rng")
# Depth of nested dicts that are searched for the weights.
_DEEPEST = 3
_PREFIXES = ("module.", "_orig_mod.")


# Writing


def save_pth(
    state: Mapping[str, NDArray[Any]],
    path: str | Path,
    input_shape: tuple[int, int, int] | None = None,
) -> None:
    """Write arrays by name so that ``torch.load(path, weights_only=True)`` gives them as tensors.

    Equal arrays give equal bytes, whatever the path; the file is written completely or not at all.

    Args:
        state: arrays of float16, 32 or 64, int8 to 64, uint8 or bool, of any shape.
        path: the file.
        input_shape: input shape of the network; `read_input_shape` returns it.

    Raises:
        FormatError: a ``.pth`` cannot have the type of an array, which the message names.
        OSError: `path` cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    for key, (name, array) in enumerate(state.items()):
        kind = _TYPE_OF.get(array.dtype.newbyteorder("="))
        if kind is None:
            raise FormatError(f"{name}: a .pth cannot hold an array of {array.dtype}.")
        storage = Storage(kind, str(key), array.size)
        tensors[name] = Tensor(storage, 0, array.shape, _strides(array.shape))
    with writing(path) as file, zipfile.ZipFile(file, "w") as archive:
        _add(archive, file, "data.pkl", dump(tensors))
        _add(archive, file, "byteorder", b"little")
        for key, array in enumerate(state.values()):
            little = array.astype(array.dtype.newbyteorder("<"), copy=False)
            _add(archive, file, f"data/{key}", little.tobytes())
        _add(archive, file, "version", b"3\n")
        if input_shape is not None:
            _add(archive, file, _INPUT_SHAPE, "{} {} {}".format(*input_shape).encode())


def _strides(size: tuple[int, ...]) -> tuple[int, ...]:
    """The strides of a contiguous tensor, in numbers."""
    return tuple(math.prod(size[i + 1 :]) for i in range(len(size)))


def _add(archive: zipfile.ZipFile, file: BinaryIO, name: str, data: bytes) -> None:
    """Add an entry whose data start at a multiple of 64, so that PyTorch can map them."""
    entry = zipfile.ZipInfo(f"archive/{name}", date_time=(1980, 1, 1, 0, 0, 0))
    entry.create_system = 3  # the same bytes on every system
    padding = -(file.tell() + 30 + len(entry.filename) + 4) % 64
    entry.extra = b"FB" + struct.pack("<H", padding) + b"Z" * padding
    archive.writestr(entry, data)


# Reading


def load_pth(path: str | Path) -> dict[str, NDArray[Any]]:
    """The arrays by name of a state dict that PyTorch saved.

    The state dict may be inside a checkpoint with other things, under ``state_dict``, ``model``,
    ``net`` or another name. The prefixes ``module.`` and ``_orig_mod.``, which wrappers put before
    every name, are removed, unless a name would be left without a dot.

    Returns:
        C-contiguous arrays of the tensors' own types, except that bfloat16 becomes float32. Tensors
        that share numbers in the file also share them here, if possible.

    Raises:
        FormatError: the file is missing, damaged, of another kind, refers to code, or does not have
            exactly one state dict of numeric tensors.
        NeocogError: there is not enough memory.
    """
    try:
        with open_regular(path) as file:
            return _without_prefixes(_load(file))
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from None
    except NeocogError as error:
        raise NeocogError(f"{path}: {error}") from None
    except OSError as error:
        raise FormatError(f"{path}: {error.strerror or error}.") from None


def read_input_shape(path: str | Path) -> tuple[int, int, int] | None:
    """The input shape given to `save_pth`; None if there was none, as in files from PyTorch.

    Raises:
        FormatError: as in `load_pth`.
    """
    try:
        with open_regular(path) as file:
            if file.read(4) != b"PK\x03\x04":
                return None
            archive = _Archive(file)
            if not archive.has(_INPUT_SHAPE):
                return None
            found = re.fullmatch(
                rb"([1-9]\d{0,8}) ([1-9]\d{0,8}) ([1-9]\d{0,8})", archive.read(_INPUT_SHAPE, 32)
            )
            if found is None:
                raise FormatError("the shape of the images in it is damaged.")
            return int(found[1]), int(found[2]), int(found[3])
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from None
    except OSError as error:
        raise FormatError(f"{path}: {error.strerror or error}.") from None


def _load(file: BinaryIO) -> dict[str, NDArray[Any]]:
    start = file.read(4)
    if start.startswith(b"\x80"):
        archive: _Archive | OldCheckpoint = OldCheckpoint(file)
    elif start == b"PK\x03\x04":
        archive = _Archive(file)
    else:
        raise FormatError("this is not a PyTorch checkpoint.")
    weights = _weights(archive.content())
    if len(weights) > _MOST_TENSORS:
        raise FormatError(f"it has {len(weights):,} tensors; up to {_MOST_TENSORS:,} are read.")
    sizes = {t.storage.key: archive.size(f"data/{t.storage.key}") for t in weights.values()}
    # Twice: the numbers as in the file and, for some types, converted for NumPy.
    require_memory(2 * sum(sizes.values()), "Reading this file", "Close other programs.")
    numbers = _Numbers(archive)
    arrays: dict[str, NDArray[Any]] = {}
    for name, tensor in weights.items():
        try:
            arrays[name] = numbers.array(tensor)
        except FormatError as error:
            raise FormatError(f"{name}: {error}") from None
    return arrays


def _without_prefixes(arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    for prefix in _PREFIXES * 2:
        if all(n.startswith(prefix) and "." in n.removeprefix(prefix) for n in arrays):
            arrays = {name.removeprefix(prefix): array for name, array in arrays.items()}
    return arrays


# Which of a checkpoint's tensors are the weights


def _weights(content: object) -> dict[str, Tensor]:
    """The tensors by name of the only state dict in a checkpoint."""
    if isinstance(content, tuple | list):  # such as (state_dict, epoch)
        content = {str(place): value for place, value in enumerate(content)}
    if not isinstance(content, dict):
        raise FormatError(f"it holds a {_kind(content)}, not a dict of tensors.")
    weights: dict[str, Tensor] = {}
    for name, value in _state(content).items():
        if isinstance(value, Other) and value.is_tensor:
            raise FormatError(
                f"'{printable(str(name))}' is made by {value.kind}; such tensors are not read."
            )
        if not isinstance(value, Tensor):  # such as the number of epochs beside the weights
            continue
        # Names are printed, so they must not contain control characters.
        if not isinstance(name, str) or not is_plain(name) or len(name) > _LONGEST_NAME:
            raise FormatError(f"'{printable(str(name))}' is not the name of a tensor.")
        weights[name] = value
    return weights


def _state(content: dict[object, object]) -> dict[object, object]:
    """The only state dict: the content itself, or the shallowest one with the best name."""
    if not content or _is_state(content):
        return content
    inside = dict(_states_in(content))
    wrapped = [path for path in inside if path[-1] in _WRAPPERS]
    wrapped = [path for path in wrapped if not set(path) & set(_AVERAGES)] or wrapped
    found = list(inside)
    if wrapped:
        depth, rank = min((len(path), _WRAPPERS.index(path[-1])) for path in wrapped)
        found = [path for path in wrapped if len(path) == depth and path[-1] == _WRAPPERS[rank]]
    if len(found) == 1:
        return inside[found[0]]
    if found:
        paths = ", ".join(printable(".".join(path)) for path in found[:8])
        raise FormatError(f"it holds the weights of several networks: {paths}. Save one by itself.")
    name, value = next(iter(content.items()))
    raise FormatError(f"'{printable(str(name))}' is a {_kind(value)}, not a tensor of numbers.")


def _states_in(content: dict[object, object]) -> Iterator[tuple[tuple[str, ...], dict[Any, Any]]]:
    """The state dicts inside, with the keys that lead to each; each dict is visited once."""
    seen = {id(content)}
    waiting: list[tuple[tuple[str, ...], dict[object, object]]] = [((), content)]
    for path, outer in waiting:
        for key, value in outer.items():
            if not isinstance(key, str) or not isinstance(value, dict) or id(value) in seen:
                continue
            seen.add(id(value))
            if key.lower().startswith(_NO_WEIGHTS):
                continue
            if _is_state(value):
                yield (*path, key), value
            elif len(path) + 1 < _DEEPEST:
                waiting.append(((*path, key), value))


def _is_state(content: dict[object, object]) -> bool:
    """Whether all values are tensors, or some have names like ``conv1.weight``."""
    tensors = [
        name
        for name, value in content.items()
        if isinstance(value, Tensor) or (isinstance(value, Other) and value.is_tensor)
    ]
    if 0 < len(tensors) == len(content):
        return True
    return any(isinstance(name, str) and "." in name for name in tensors)


def _kind(value: object) -> str:
    return value.kind if isinstance(value, Other) else type(value).__name__.lstrip("_")


# Numbers


class _Archive:
    """A checkpoint's zip, with names relative to its only folder."""

    def __init__(self, file: BinaryIO) -> None:
        self._zip = StoredZip(file)
        self.length = self._zip.length
        roots = [n.removesuffix("data.pkl") for n in self._zip.names if n.endswith("/data.pkl")]
        if len(roots) != 1:
            raise FormatError("this is a zip, but not a PyTorch checkpoint: it lacks a data.pkl.")
        self._root = roots[0]

    def content(self) -> object:
        return parse(self.read("data.pkl", _MOST_PICKLE_BYTES)).value

    def has(self, name: str) -> bool:
        return self._root + name in self._zip.names

    def size(self, name: str) -> int:
        return self._zip.size(self._root + name)

    def read(self, name: str, most: int) -> bytearray:
        if (size := self.size(name)) > most:
            raise FormatError(f"'{printable(name)}' in its zip has {size} bytes, not up to {most}.")
        return self._zip.read(self._root + name)

    def byte_order(self) -> Literal["<", ">"]:
        if not self.has("byteorder"):
            return "<"  # before torch 2.1 the machine's own, which hardly ever was another
        orders: dict[bytes, Literal["<", ">"]] = {b"little": "<", b"big": ">"}
        order = bytes(self.read("byteorder", 16))
        if order not in orders:
            raise FormatError(f"its byte order is {order!r}, neither little nor big.")
        return orders[order]


class _Numbers:
    """Reads each storage once, and makes the tensors that are views of it."""

    def __init__(self, archive: _Archive | OldCheckpoint) -> None:
        self._archive = archive
        self._order = archive.byte_order()
        self._read: dict[str, NDArray[Any]] = {}
        self._bytes_left = 2 * archive.length + _SPARE_BYTES

    def _storage(self, storage: Storage) -> NDArray[Any]:
        """The storage as a flat array."""
        if storage.key not in self._read:
            if storage.type not in STORAGE_TYPES:
                raise FormatError(f"its numbers are a {storage.type}, which is not read.")
            dtype = np.dtype(STORAGE_TYPES[storage.type]).newbyteorder(self._order)
            size, name = storage.numel * dtype.itemsize, f"data/{storage.key}"
            if size != (actual := self._archive.size(name)):
                raise FormatError(f"'{printable(name)}' should have {size} bytes and has {actual}.")
            data = self._archive.read(name, size)
            if storage.type == "BoolStorage":
                # For NumPy, a bool byte other than 0 and 1 would be neither true nor false.
                flat: NDArray[Any] = np.ndarray(storage.numel, np.uint8, data) != 0
            else:
                read: NDArray[Any] = np.ndarray(storage.numel, dtype, data)
                flat = read.astype(dtype.newbyteorder("="), copy=False)
            if storage.type == "BFloat16Storage":
                flat = (flat.astype(np.uint32) << 16).view(np.float32)
            self._read[storage.key] = flat
        return self._read[storage.key]

    def array(self, tensor: Tensor) -> NDArray[Any]:
        """The tensor's numbers; `unpickling` has checked that its sizes are integers."""
        flat, size, offset = self._storage(tensor.storage), tensor.size, tensor.offset
        if len(size) != len(tensor.stride):
            raise FormatError("its shape and strides do not fit together.")
        if offset < 0 or any(n < 0 for n in size) or any(s < 0 for s in tensor.stride):
            raise FormatError("its shape, strides or offset are negative.")
        if 0 in size:
            # NumPy requires the dimensions even of an empty array to fit into its integers.
            if math.prod(n or 1 for n in size) >= 2**32:
                raise FormatError("its shape is absurd.")
            return np.zeros(size, flat.dtype)
        if offset + sum((n - 1) * s for n, s in zip(size, tensor.stride, strict=True)) >= len(flat):
            raise FormatError("its shape, strides and offset reach beyond its storage.")
        count = math.prod(size)
        self._bytes_left -= count * flat.itemsize
        if self._bytes_left < 0:
            raise FormatError("its tensors are far larger than the file.")
        # The stride of a dimension of size 1 has no meaning and can have any value.
        stride = tuple(0 if n == 1 else s for n, s in zip(size, tensor.stride, strict=True))
        if stride == tuple(0 if n == 1 else s for n, s in zip(size, _strides(size), strict=True)):
            return flat[offset : offset + count].reshape(size)
        in_bytes = tuple(s * flat.itemsize for s in stride)
        view: NDArray[Any] = np.ndarray(size, flat.dtype, flat, offset * flat.itemsize, in_bytes)
        return view.copy(order="C")
