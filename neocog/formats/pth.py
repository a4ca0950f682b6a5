"""PyTorch's checkpoint files (``.pth``) without PyTorch: dicts of tensors, and nothing else.

A checkpoint is an uncompressed zip: ``data.pkl`` describes the tensors (see `tensor_pickle`) and
``data/0``, ``data/1``, … hold their numbers. Reading one never runs anything that it contains, and
never allocates much more than the file is long.
"""

import math
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from neocog.errors import FormatError
from neocog.files import writing
from neocog.formats.tensor_pickle import STORAGE_TYPES, Storage, Tensor, dump, parse

__all__ = ["load_pth", "save_pth"]

_TYPE_OF = {np.dtype(d): t for t, d in STORAGE_TYPES.items() if t != "BFloat16Storage"}
_MOST_PICKLE_BYTES = 4 * 2**20
_MOST_DIMENSIONS = 32
_LONGEST_NAME = 1000
# What copies of overlapping or expanded tensors may take beyond the file's own length.
_SPARE_BYTES = 64 * 2**20
_WRAPPERS = ("state_dict", "model_state_dict", "model")
_PREFIXES = ("module.", "_orig_mod.")
# What zipfile raises for damaged files, found by fuzzing it.
_ZIP_ERRORS = (
    zipfile.BadZipFile, EOFError, OSError, OverflowError, RuntimeError, ValueError, struct.error,
)  # fmt: skip


# Writing


def save_pth(state: Mapping[str, NDArray[Any]], path: str | Path) -> None:
    """Write arrays by name so that ``torch.load(path, weights_only=True)`` gives them as tensors.

    The same arrays give the same bytes, whatever the path; the file is written whole or not at all.

    Args:
        state: arrays of float16, 32 or 64, int8 to 64, uint8 or bool, of any shape.
        path: where to.

    Raises:
        FormatError: naming the array whose type a ``.pth`` cannot hold.
        OSError: if `path` cannot be written.
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


def _strides(size: tuple[int, ...]) -> tuple[int, ...]:
    """How many numbers apart neighbours are along each dimension of a contiguous tensor."""
    return tuple(math.prod(size[i + 1 :]) for i in range(len(size)))


def _add(archive: zipfile.ZipFile, file: BinaryIO, name: str, data: bytes) -> None:
    """Add a file whose bytes start at a multiple of 64, as PyTorch's do, so it can map them."""
    entry = zipfile.ZipInfo(f"archive/{name}", date_time=(1980, 1, 1, 0, 0, 0))
    entry.create_system = 3  # else it would say which system wrote it
    padding = -(file.tell() + 30 + len(entry.filename) + 4) % 64
    entry.extra = b"FB" + struct.pack("<H", padding) + b"Z" * padding
    archive.writestr(entry, data)


# Reading


def load_pth(path: str | Path) -> dict[str, NDArray[Any]]:
    """The arrays by name of a state dict that PyTorch saved.

    The state dict may be inside a checkpoint under ``state_dict``, ``model_state_dict`` or
    ``model``. The prefixes ``module.`` and ``_orig_mod.``, which wrappers put before every name,
    are taken off, unless that left a name without a dot.

    Returns:
        C-contiguous arrays of the tensors' own types, but float32 for bfloat16. Tensors that share
        numbers in the file share them here too where they can.

    Raises:
        FormatError: if the file is missing, damaged, of another kind, or holds anything but
            tensors of numbers.
    """
    try:
        with Path(path).open("rb") as file:
            return _without_prefixes(_load(file))
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from None
    except OSError as error:
        raise FormatError(f"{path}: {error.strerror or error}.") from None


def _load(file: BinaryIO) -> dict[str, NDArray[Any]]:
    start = file.read(4)
    if start.startswith(b"\x80"):
        raise FormatError(
            "this is a bare pickle, as torch wrote before 1.6. Such a file can run code, so it is "
            "not read; where you trust it, load it with torch and save it again with 1.6 or newer."
        )
    if start != b"PK\x03\x04":
        raise FormatError("this is not a PyTorch checkpoint.")
    archive = _Archive(file)
    content = parse(archive.read("data.pkl", _MOST_PICKLE_BYTES))
    if isinstance(content, dict):
        wrapped = (content[key] for key in _WRAPPERS if isinstance(content.get(key), dict))
        content = next(wrapped, content)
    if not isinstance(content, dict):
        raise FormatError(f"it holds a {type(content).__name__}, not a dict of tensors.")
    numbers = _Numbers(archive)
    arrays: dict[str, NDArray[Any]] = {}
    for name, tensor in content.items():
        # Names are printed; those of tensors never hold control characters.
        if not isinstance(name, str) or not name.isprintable() or len(name) > _LONGEST_NAME:
            raise FormatError(f"{str(name)[:100]!r} is not the name of a tensor.")
        if not isinstance(tensor, Tensor):
            raise FormatError(f"{name!r} is a {type(tensor).__name__}, not a tensor of numbers.")
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


class _Archive:
    """The zip file: only plain, uncompressed entries that together are no longer than the file."""

    def __init__(self, file: BinaryIO) -> None:
        try:
            self._zip = zipfile.ZipFile(file)
        except _ZIP_ERRORS as error:
            raise FormatError(f"the file is damaged or cut short: {error}.") from None
        entries = self._zip.infolist()
        self.length = file.seek(0, 2)
        self.sizes = {entry.filename: entry.file_size for entry in entries}
        if len(self.sizes) < len(entries):
            raise FormatError("two entries of its zip have the same name.")
        for entry in entries:
            if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
                raise FormatError(f"{entry.filename!r} in its zip is compressed or encrypted.")
            if entry.file_size != entry.compress_size:
                raise FormatError(f"{entry.filename!r} in its zip has two sizes.")
        if sum(self.sizes.values()) > self.length:
            raise FormatError("the entries of its zip are larger than the file.")
        roots = [n.removesuffix("data.pkl") for n in self.sizes if n.endswith("/data.pkl")]
        if len(roots) != 1:
            raise FormatError("this is a zip, but not a PyTorch checkpoint: it lacks a data.pkl.")
        self._root = roots[0]

    def size(self, name: str) -> int:
        if self._root + name not in self.sizes:
            raise FormatError(f"{name!r} is missing from its zip.")
        return self.sizes[self._root + name]

    def read(self, name: str, most: int) -> bytes:
        if self.size(name) > most:
            raise FormatError(f"{name!r} in its zip has {self.size(name)} bytes, not up to {most}.")
        try:
            return self._zip.read(self._root + name)
        except _ZIP_ERRORS as error:
            raise FormatError(f"{name!r} in its zip is damaged: {error}.") from None

    def byte_order(self) -> Literal["<", ">"]:
        if self._root + "byteorder" not in self.sizes:
            return "<"  # before torch 2.1 the machine's own, and hardly any was other
        orders: dict[bytes, Literal["<", ">"]] = {b"little": "<", b"big": ">"}
        order = self.read("byteorder", 16)
        if order not in orders:
            raise FormatError(f"its byte order is {order!r}, neither little nor big.")
        return orders[order]


class _Numbers:
    """Storages read from the archive, each once, and the tensors that show them."""

    def __init__(self, archive: _Archive) -> None:
        self._archive = archive
        self._order = archive.byte_order()
        self._read: dict[str, tuple[Storage, NDArray[Any]]] = {}
        self._copies_left = archive.length + _SPARE_BYTES

    def _storage(self, storage: Storage) -> NDArray[Any]:
        """The storage as a flat array."""
        if storage.key not in self._read:
            dtype = np.dtype(STORAGE_TYPES[storage.type]).newbyteorder(self._order)
            size, name = storage.numel * dtype.itemsize, f"data/{storage.key}"
            if size != self._archive.size(name):
                raise FormatError(
                    f"{name!r} should have {size} bytes and has {self._archive.size(name)}."
                )
            data = bytearray(self._archive.read(name, size))
            if storage.type == "BoolStorage":
                # Read as NumPy's bool, a byte other than 0 and 1 would be neither true nor false.
                flat: NDArray[Any] = np.ndarray(storage.numel, np.uint8, data) != 0
            else:
                read: NDArray[Any] = np.ndarray(storage.numel, dtype, data)
                flat = read.astype(dtype.newbyteorder("="), copy=False)
            if storage.type == "BFloat16Storage":
                flat = (flat.astype(np.uint32) << 16).view(np.float32)
            self._read[storage.key] = storage, flat
        first, flat = self._read[storage.key]
        if first != storage:
            raise FormatError(f"'data/{storage.key}' is used as two types of numbers.")
        return flat

    def array(self, tensor: Tensor) -> NDArray[Any]:
        flat, size, offset = self._storage(tensor.storage), tensor.size, tensor.offset
        if len(size) != len(tensor.stride) or len(size) > _MOST_DIMENSIONS:
            raise FormatError("its shape and strides do not fit together.")
        if offset < 0 or any(n < 0 for n in size) or any(s < 0 for s in tensor.stride):
            raise FormatError("its shape, strides or offset are negative.")
        if 0 in size:
            # NumPy wants even the dimensions of nothing to fit into its integers.
            if math.prod(n or 1 for n in size) >= 2**32:
                raise FormatError("its shape is absurd.")
            return np.zeros(size, flat.dtype)
        if offset + sum((n - 1) * s for n, s in zip(size, tensor.stride, strict=True)) >= len(flat):
            raise FormatError("its shape, strides and offset reach beyond its storage.")
        count = math.prod(size)
        # The stride of a dimension of 1 says nothing, and may be anything.
        stride = tuple(0 if n == 1 else s for n, s in zip(size, tensor.stride, strict=True))
        if stride == tuple(0 if n == 1 else s for n, s in zip(size, _strides(size), strict=True)):
            return flat[offset : offset + count].reshape(size)
        self._copies_left -= count * flat.itemsize
        if self._copies_left < 0:
            raise FormatError("its tensors are far larger than the file.")
        in_bytes = tuple(s * flat.itemsize for s in stride)
        view: NDArray[Any] = np.ndarray(size, flat.dtype, flat, offset * flat.itemsize, in_bytes)
        return view.copy(order="C")
