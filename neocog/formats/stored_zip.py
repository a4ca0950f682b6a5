"""Reads a zip of uncompressed entries without trusting it.

It is for ``.pth``: entries are not compressed, do not overlap, and together are no longer than the
file. Time and memory are proportional to the number of entries, which is limited before any of them
is read. Python's zipfile would first make a list of everything that a file claims.

The format: APPNOTE.TXT of PKWARE, sections 4.3 (records) and 4.5.3 (zip64).
"""

import struct
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from neocog.errors import FormatError, printable
from neocog.zip_records import END, END_64, LOCAL, LOCATOR, LONGEST_COMMENT, widened

__all__ = ["StoredZip"]

_MOST_ENTRIES = 30_000
_MOST_DIRECTORY_BYTES = 4 * 2**20

_ENTRY = struct.Struct("<4s4xHH4xLLLHHH8xL")
_ENCRYPTED, _UTF8 = 1 << 0, 1 << 11


@dataclass(frozen=True)
class _Entry:
    at: int
    size: int
    crc: int


class StoredZip:
    """The entries of a zip by name.

    Raises:
        FormatError: the zip is damaged, compressed or encrypted, or its entries overlap.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        #: Bytes of the file.
        self.length = file.seek(0, 2)
        self._entries: dict[str, _Entry] = {}
        directory, count, self._end = self._directory()
        at = 0
        for _ in range(count):
            name, entry, at = _read_entry(directory, at)
            if name in self._entries:
                raise FormatError("two entries of its zip have the same name.")
            self._entries[name] = entry
        if sum(entry.size for entry in self._entries.values()) > self.length:
            raise FormatError("the entries of its zip are larger than the file.")
        in_order = sorted((entry.at, entry.size) for entry in self._entries.values())
        ends = [*(start for start, _size in in_order[1:]), self._end]
        for (start, size), end in zip(in_order, ends, strict=True):
            if start + LOCAL.size + size > end:
                raise FormatError("the file is damaged or cut short: entries of its zip overlap.")

    @property
    def names(self) -> list[str]:
        """The entries' names, in their order."""
        return list(self._entries)

    def size(self, name: str) -> int:
        """Bytes of an entry."""
        if name not in self._entries:
            raise FormatError(f"'{printable(name)}' is missing from its zip.")
        return self._entries[name].size

    def read(self, name: str) -> bytearray:
        """The content of an entry. A checksum of 0 means that none was written."""
        size, entry = self.size(name), self._entries[name]
        signature, name_length, extra = LOCAL.unpack(self._at(entry.at, LOCAL.size))
        start = entry.at + LOCAL.size + name_length + extra
        if signature != b"PK\x03\x04" or start + size > self._end:
            raise FormatError(f"'{printable(name)}' in its zip is damaged.")
        data = bytearray(size)
        self._file.seek(start)
        if self._file.readinto(data) != size:  # type: ignore[attr-defined]
            raise FormatError(f"'{printable(name)}' in its zip is cut short.")
        if entry.crc and zlib.crc32(data) != entry.crc:
            raise FormatError(f"'{printable(name)}' in its zip is damaged: its CRC-32 is another.")
        return data

    def _directory(self) -> tuple[bytes, int, int]:
        """The central directory, the number of entries that it claims, and its offset."""
        tail_at = max(0, self.length - END.size - LONGEST_COMMENT)
        tail = self._at(tail_at, self.length - tail_at)
        at = tail.rfind(b"PK\x05\x06")
        if at < 0 or len(tail) - at < END.size:
            raise FormatError("the file is damaged or cut short: its zip has no end.")
        _, _, count, size, offset, comment = END.unpack_from(tail, at)
        if at + END.size + comment != len(tail):
            raise FormatError("the file is damaged: something follows the end of its zip.")
        end = tail_at + at
        locator = self._at(end - LOCATOR.size, LOCATOR.size) if end >= LOCATOR.size else b""
        if locator.startswith(b"PK\x06\x07"):
            place = LOCATOR.unpack(locator)[1]
            if place > end - LOCATOR.size - END_64.size:
                raise FormatError("the file is damaged or cut short: its zip has no end.")
            signature, _, count, size, offset = END_64.unpack(self._at(place, END_64.size))
            if signature != b"PK\x06\x06":
                raise FormatError("the file is damaged or cut short: its zip has no end.")
            end = place
        if count > _MOST_ENTRIES or size > _MOST_DIRECTORY_BYTES:
            raise FormatError(
                f"its zip has {count:,} entries, listed in {size:,} bytes; up to {_MOST_ENTRIES:,} "
                f"in {_MOST_DIRECTORY_BYTES:,} bytes are read."
            )
        if offset + size > end:
            raise FormatError("the file is damaged or cut short: its zip lacks its list.")
        return self._at(offset, size), count, offset

    def _at(self, offset: int, size: int) -> bytes:
        self._file.seek(offset)
        data = self._file.read(size)
        if len(data) != size:
            raise FormatError("the file is damaged or cut short.")
        return data


def _read_entry(directory: bytes, at: int) -> tuple[str, _Entry, int]:
    """The name and the location of the entry listed at `at`, and the offset of the next one."""
    try:
        fields = _ENTRY.unpack_from(directory, at)
    except struct.error:
        raise FormatError("the file is damaged: the list of its zip is too short.") from None
    signature, flags, method, crc, packed, size, name_length, extra_length, comment, offset = fields
    name_at = at + _ENTRY.size
    extra_at = name_at + name_length
    following = extra_at + extra_length + comment
    if signature != b"PK\x01\x02" or following > len(directory):
        raise FormatError("the file is damaged: the list of its zip is none.")
    raw = directory[name_at:extra_at]
    name = raw.decode("utf-8", "replace") if flags & _UTF8 else raw.decode("cp437")
    if method != 0 or flags & _ENCRYPTED:
        raise FormatError(f"'{printable(name)}' in its zip is compressed or encrypted.")
    extra = directory[extra_at : extra_at + extra_length]
    size, packed, offset = widened(extra, size, packed, offset)
    if size != packed:
        raise FormatError(f"'{printable(name)}' in its zip has two sizes.")
    return name, _Entry(offset, size, crc), following
