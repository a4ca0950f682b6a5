"""Lists the members of an uncompressed tar archive by their headers.

A member is a header of 512 bytes and its content, padded to a multiple of 512
(https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html). What is too long for the
header is in a member before it: pax records of type x, or GNU's type L. Those are read up to a
limit; Python's tarfile reads them whatever their length, and a damaged one can keep it busy for
hours (CVE-2024-6232). Contents are skipped.
"""

import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

__all__ = ["RECORD", "TarError", "TarMember", "is_header", "tar_members"]

#: Bytes of a header.
RECORD = 512
# Limit of such records: a name has at most 4096 bytes, and some programs add attributes.
_MOST_AHEAD = 1 << 16
_SPARSE = b"S"


class TarError(Exception):
    """What is wrong with an archive, as part of a sentence."""


class TarMember(NamedTuple):
    """A member of an archive.

    Attributes:
        name: its path in the archive.
        at: offset of its content.
        size: bytes of its content.
        kind: "file", "folder", "link" or "special".
    """

    name: str
    at: int
    size: int
    kind: str


def is_header(record: bytes) -> bool:
    """Whether these 512 bytes are a member's header, by the checksum."""
    return len(record) == RECORD and any(record) and _sum_fits(record)


def tar_members(read: Callable[[int, int], bytes], length: int) -> Iterator[TarMember]:
    """The members of an archive in order.

    Args:
        read: reads bytes of the archive, from an offset and a number of bytes.
        length: bytes of the archive.

    Raises:
        TarError: it is damaged.
    """
    at, long_name, records = 0, "", dict[str, bytes]()
    while at < length:
        header = read(at, RECORD)
        if len(header) < RECORD:
            raise TarError("it ends too soon")
        if not any(header):  # the end; some programs leave it out
            return
        if not _sum_fits(header):
            raise TarError(f"the header at byte {at:,} is damaged")
        kind = header[156:157]
        # Links, devices, folders and pipes have no content, although some have another file's size.
        size = 0 if kind in b"123456" else _number(header[124:136])
        if kind not in b"xgLK" and "size" in records and kind not in b"123456":
            size = _decimal(records["size"])
        content = at + RECORD
        at = content + size + -size % RECORD
        if content + size > length:
            raise TarError("it ends too soon")
        if kind in b"xL":
            if size > _MOST_AHEAD:
                raise TarError(f"a name in it has {size:,} bytes, more than {_MOST_AHEAD:,}")
            if kind == b"L":
                long_name = _text(read(content, size))
            else:
                records = _records(read(content, size))
            continue
        if kind in b"gK":  # of all that follow, or of a link
            continue
        if kind == _SPARSE or any(key.startswith("GNU.sparse") for key in records):
            raise TarError("it has a sparse file; make it anew without tar's --sparse")
        name = long_name or _name(header)
        if "path" in records:
            name = records["path"].decode("utf-8", "surrogateescape")
        long_name, records = "", {}
        yield TarMember(name, content, size, _KINDS.get(kind, "special"))


_KINDS = {
    **dict.fromkeys((b"0", b"\0", b"7"), "file"),
    b"5": "folder",
    **dict.fromkeys((b"1", b"2"), "link"),
}


def _sum_fits(header: bytes) -> bool:
    # The sum of all bytes, with spaces in place of the checksum itself. The lower half of an
    # Adler-32 is this sum plus 1, modulo 65,521, in a tenth of the time of Python's `sum`.
    try:
        found = zlib.adler32(header[:148] + b"        " + header[156:]) & 0xFFFF
        return found == (_number(header[148:156]) + 1) % 65_521
    except TarError:
        return False


def _name(header: bytes) -> str:
    name = _text(header[:100])
    if header[257:263] == b"ustar\0" and header[345]:
        name = f"{_text(header[345:500])}/{name}"
    return name


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _number(field: bytes) -> int:
    if field[0] == 0x80:  # GNU's format of numbers with more than eleven digits
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    if digits.strip(b"01234567"):
        raise TarError("a header in it is damaged")
    return int(digits or b"0", 8)


def _decimal(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > 20:
        raise TarError("a header in it is damaged")
    return int(digits)


def _records(data: bytes) -> dict[str, bytes]:
    """Pax records: each is its own length, a space, a key, an equals sign, a value, a newline."""
    found, at = {}, 0
    while at < len(data) and data[at]:
        length, space, _rest = data[at : at + 8].partition(b" ")
        end = at + _decimal(length)
        key, equals, value = data[at + len(length) + 1 : end - 1].partition(b"=")
        if not space or not equals or end > len(data) or data[end - 1 : end] != b"\n":
            raise TarError("a header in it is damaged")
        found[key.decode("utf-8", "replace")] = value
        at = end
    return found
