"""PyTorch's checkpoints from before version 1.6: pickles followed by numbers.

Many published weights are such files. They have five pickles: a magic number, the version of the
format, facts about the machine, the saved object, and the keys of the storages; then, in the order
of these keys, the size and the numbers of each storage. The pickles are read by `unpickling`, and
so run no code.

The format: ``_legacy_save`` in ``torch.serialization``.
"""

import struct
from typing import BinaryIO, Literal

import numpy as np

from neocog.errors import FormatError, printable
from neocog.formats.tensor_pickle import STORAGE_TYPES
from neocog.formats.unpickling import Parsed, parse

__all__ = ["OldCheckpoint"]

_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001
_MOST_PICKLE_BYTES = 4 * 2**20
_MOST_STORAGES = 30_000
# Item sizes of the types that are only skipped.
_OTHER_BYTES = {
    "ComplexDoubleStorage": 16, "ComplexFloatStorage": 8, "QInt32Storage": 4, "QInt8Storage": 1,
    "QUInt8Storage": 1, "UntypedStorage": 1,
}  # fmt: skip


class OldCheckpoint:
    """The content of such a file.

    Raises:
        FormatError: it is damaged, or another kind of file that begins like a pickle.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        #: Bytes of the file.
        self.length = file.seek(0, 2)
        file.seek(0)
        head = file.read(_MOST_PICKLE_BYTES)
        saved = parse(head, _end_of_preamble(head))
        self._content = saved.value
        keys = parse(head, saved.end, most_instructions=3 * _MOST_STORAGES)
        self._places = self._find(saved, keys)

    def _find(self, saved: Parsed, keys: Parsed) -> dict[str, tuple[int, int]]:
        """The offset and the size in bytes of each storage's numbers."""
        if not isinstance(keys.value, list):
            raise FormatError("its list of storages is damaged.")
        places: dict[str, tuple[int, int]] = {}
        at = keys.end
        for key in keys.value:
            storage = saved.storages.get(key) if isinstance(key, str) else None
            if storage is None or f"data/{key}" in places:
                raise FormatError("its list of storages is damaged.")
            size = storage.numel * _bytes_of(storage.type)
            self._file.seek(at)
            counted = self._file.read(8) == struct.pack("<q", storage.numel)
            if not counted or at + 8 + size > self.length:
                raise FormatError(f"it is damaged or cut short at the storage {printable(key)}.")
            places[f"data/{key}"] = at + 8, size
            at += 8 + size
        return places

    def content(self) -> object:
        """The saved object."""
        return self._content

    def byte_order(self) -> Literal["<"]:
        """Byte order of all numbers."""
        return "<"

    def size(self, name: str) -> int:
        """Bytes of a storage, whose name is ``data/{key}``."""
        if name not in self._places:
            raise FormatError(f"'{printable(name)}' is missing.")
        return self._places[name][1]

    def read(self, name: str, most: int) -> bytearray:
        """The bytes of a storage, of which there may be at most `most`."""
        at, size = self._places[name]
        if size > most:
            raise FormatError(f"'{printable(name)}' has {size} bytes, not up to {most}.")
        data = bytearray(size)
        self._file.seek(at)
        if self._file.readinto(data) != size:  # type: ignore[attr-defined]
            raise FormatError(f"'{printable(name)}' is cut short.")
        return data


def _end_of_preamble(head: bytes) -> int:
    """The offset of the end of the pickles that identify the file."""
    end = 0
    for expected in (_MAGIC, _VERSION, None):
        try:
            parsed = parse(head, end, most_instructions=100)
        except FormatError:
            parsed = None
        if parsed is None or expected not in (None, parsed.value):
            raise FormatError(
                "this is a bare pickle, not a PyTorch checkpoint. Such a file can run code, so it "
                "is not read; where you trust it, load it and save its weights with torch.save."
            )
        end = parsed.end
    return end


def _bytes_of(kind: str) -> int:
    if kind in STORAGE_TYPES:
        return np.dtype(STORAGE_TYPES[kind]).itemsize
    if kind not in _OTHER_BYTES:
        raise FormatError(f"it has a {kind}, whose length is not known.")
    return _OTHER_BYTES[kind]
