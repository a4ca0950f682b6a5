"""Files that hold weights alone, from any program: ``.safetensors`` and PyTorch's checkpoints."""

import math
from pathlib import Path
from typing import Any, BinaryIO, TypeGuard

import numpy as np
from numpy.typing import NDArray

from neocog.errors import FormatError, NeocogError, is_plain, printable
from neocog.files import open_regular
from neocog.formats.model_file import read_header
from neocog.formats.pth import load_pth
from neocog.limits import require_memory

__all__ = ["read_weights"]

_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
_MOST_TENSORS = 20_000
_MOST_DIMENSIONS = 8
_LONGEST_NAME = 1000
_TYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4",
    "I16": "<i2", "I8": "<i1", "U8": "<u1",
}  # fmt: skip


def read_weights(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays by name of a file with weights; its suffix says how they are stored.

    ``.pth``, ``.pt`` and ``.bin`` are PyTorch's (see `load_pth`). Of a ``.safetensors`` only the
    tensors are read, and its bfloat16 become float32. No code is run, and the time and the memory
    it takes are in proportion to the file's length.

    Raises:
        FormatError: the file is missing, damaged, or of another kind.
        NeocogError: there is not enough memory.
    """
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        raise FormatError(f"{path}: weights are read from {', '.join(_SUFFIXES)}.")
    if suffix != ".safetensors":
        return load_pth(path)
    try:
        with open_regular(path) as file:
            return _read_tensors(file)
    except FormatError as error:
        raise FormatError(f"{path}: {printable(str(error), 1000)}") from None
    except NeocogError as error:
        raise NeocogError(f"{path}: {error}") from None
    except OSError as error:
        raise FormatError(f"{path}: {error.strerror or error}.") from None


def _read_tensors(file: BinaryIO) -> dict[str, NDArray[Any]]:
    header, length = read_header(file)
    header.pop("__metadata__", None)
    if len(header) > _MOST_TENSORS:
        raise FormatError(f"it has {len(header):,} tensors; up to {_MOST_TENSORS:,} are read.")
    places = {name: _place(name, spec, length) for name, spec in header.items()}
    if sum(end - begin for _dtype, _shape, begin, end in places.values()) > length:
        raise FormatError("its tensors overlap.")
    # The file, and its arrays, some of which are converted.
    require_memory(3 * length, "Reading this file", "Close other programs.")
    file.seek(-length, 2)
    data = file.read(length)
    arrays = {}
    for name, (kind, shape, begin, end) in places.items():
        flat: NDArray[Any] = np.frombuffer(data[begin:end], _TYPES[kind])
        if kind == "BF16":
            flat = (flat.astype(np.uint32) << 16).view(np.float32)
        arrays[name] = flat.reshape(shape)
    return arrays


def _place(name: str, spec: object, length: int) -> tuple[str, tuple[int, ...], int, int]:
    """Type, shape, begin and end of a tensor, which fit together and lie in the file."""
    if not is_plain(name) or len(name) > _LONGEST_NAME:
        raise FormatError(f"'{printable(name)}' is not the name of a tensor.")
    values = spec if isinstance(spec, dict) else {}
    kind, shape, offsets = (values.get(key) for key in ("dtype", "shape", "data_offsets"))
    if not (_are_whole(shape, 1) and len(shape) <= _MOST_DIMENSIONS):
        raise FormatError(f"'{name}' has no sensible shape.")
    if not (_are_whole(offsets, 0) and len(offsets) == 2):
        raise FormatError(f"'{name}' has no place in it.")
    if not isinstance(kind, str) or kind not in _TYPES:
        raise FormatError(f"'{name}' is of {printable(str(kind), 20)}; such numbers are not read.")
    begin, end = offsets
    if end > length or end - begin != np.dtype(_TYPES[kind]).itemsize * math.prod(shape):
        raise FormatError(f"'{name}' does not fit its place, or the file is cut short.")
    return kind, tuple(shape), begin, end


def _are_whole(value: object, least: int) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(n) is int and n >= least for n in value)
