"""Reads the central directory of a zip without trusting it.

The format: APPNOTE.TXT of PKWARE, sections 4.3 (records) and 4.5.3 (zip64). Python's zipfile first
makes an object of several hundred bytes for each entry, however many a file claims, and reads
overlapping members, by which a few megabytes become petabytes
(https://www.bamsoftware.com/hacks/zipbomb/).
"""

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from neocog.limits import require_memory
from neocog.zip_records import END, END_64, LOCAL, LOCATOR, LONGEST_COMMENT, widened

__all__ = ["DEFLATED", "STORED", "ZipError", "ZipMember", "zip_directory"]

#: Supported compression methods.
STORED, DEFLATED = 0, 8

# Largest directory, which is held in memory while it is read: over a million members.
_LARGEST = 2**27
_ENTRY = struct.Struct("<4sxBxxHH4xLLLHHH4xLL")
_ENCRYPTED, _UTF8 = 1 << 0 | 1 << 6 | 1 << 13, 1 << 11
_UNIX = (3, 19)  # systems that store Unix modes; 19 is macOS


class ZipError(Exception):
    """What is wrong with a zip, as part of a sentence."""


class ZipMember(NamedTuple):
    """A member, as listed in the directory.

    Attributes:
        name: its path, with slashes.
        at: offset of its header.
        packed: compressed bytes.
        size: uncompressed bytes.
        crc: its CRC-32.
        method: compression method.
        encrypted: whether a password is needed.
        mode: the Unix mode, 0 if the zip was made by another system.
        least: smallest possible number of bytes of its header and content.
    """

    name: str
    at: int
    packed: int
    size: int
    crc: int
    method: int
    encrypted: bool
    mode: int
    least: int


def zip_directory(
    read: Callable[[int, int], bytes], length: int
) -> tuple[int, Iterator[ZipMember]]:
    """The offset of the directory, at which the members end; and the members in its order.

    Args:
        read: reads bytes of the zip, from an offset and a number of bytes.
        length: bytes of the zip.

    Raises:
        ZipError: it is damaged or too long; also raised during the iteration.
        NeocogError: there is not enough memory.
    """
    count, size, offset = _end(read, length)
    if size > _LARGEST:
        raise ZipError(f"its list of members has {size:,} bytes, more than {_LARGEST:,}")
    require_memory(size, "The list of the zip's members", "Unpack it, and name the folder.")
    directory = read(offset, size)
    if len(directory) != size or count * _ENTRY.size > size:
        raise ZipError("it is damaged or cut short")
    return offset, _members(directory, count)


def _end(read: Callable[[int, int], bytes], length: int) -> tuple[int, int, int]:
    """The number of members, and the size and the offset of the directory."""
    tail_at = max(0, length - END.size - LONGEST_COMMENT)
    tail = read(tail_at, length - tail_at)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < END.size:
        raise ZipError("it is damaged or cut short: it has no end")
    _, _, count, size, offset, comment = END.unpack_from(tail, at)
    if at + END.size + comment != len(tail):
        raise ZipError("something follows its end")
    end = tail_at + at
    locator = read(end - LOCATOR.size, LOCATOR.size) if end >= LOCATOR.size else b""
    if locator.startswith(b"PK\x06\x07"):
        place = LOCATOR.unpack(locator)[1]
        record = read(place, END_64.size) if place < end else b""
        if len(record) < END_64.size or not record.startswith(b"PK\x06\x06"):
            raise ZipError("it is damaged or cut short: it has no end")
        _, _, count, size, offset = END_64.unpack(record)
        end = place
    if offset + size != end:
        raise ZipError(
            "its list is not where it should be; something may stand before the zip, as a program "
            "that unpacks it"
        )
    return count, size, offset


def _members(directory: bytes, count: int) -> Iterator[ZipMember]:
    at = 0
    for _ in range(count):
        try:
            entry = _ENTRY.unpack_from(directory, at)
        except struct.error:
            raise ZipError("its list of members is too short") from None
        signature, system, flags, method, crc, packed, size = entry[:7]
        name_length, extra_length, comment, attributes, offset = entry[7:]
        name_at = at + _ENTRY.size
        extra_at = name_at + name_length
        at = extra_at + extra_length + comment
        if signature != b"PK\x01\x02" or at > len(directory):
            raise ZipError("its list of members is damaged")
        raw = directory[name_at:extra_at]
        extra = directory[extra_at : extra_at + extra_length]
        size, packed, offset = widened(extra, size, packed, offset)
        yield ZipMember(
            _name(raw, flags),
            offset,
            packed,
            size,
            crc,
            method,
            bool(flags & _ENCRYPTED),
            attributes >> 16 if system in _UNIX else 0,
            LOCAL.size + name_length + packed,
        )


def _name(raw: bytes, flags: int) -> str:
    """Decode a name: programs on Windows write backslashes, macOS UTF-8 without declaring it."""
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError:
        name = raw.decode("utf-8", "surrogateescape") if flags & _UTF8 else raw.decode("cp437")
    return name.replace("\\", "/")
