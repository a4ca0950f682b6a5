"""Reads the files in a `.tar.gz` one after another, in the plain format of 1988.

A member is a header of 512 bytes and its content, padded to a multiple of 512
(https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html, "ustar Interchange Format").
Newer programs add members that describe the next one, in text of any length (pax, GNU): they are
skipped like any other that is not a regular file. Python's own tarfile reads them, and a few
hundred bytes can keep it busy for hours (CVE-2024-6232) or take all memory.
"""

from collections.abc import Iterator
from typing import BinaryIO

from neocog.data.sources.archives.gunzip import ArchiveError, Unpacked

__all__ = ["ArchiveError", "Member", "members"]

_RECORD = 512


class Member:
    """One member of an archive.

    Attributes:
        name: its path in the archive.
        size: bytes of its content.
        is_file: whether it is a regular file.
    """

    def __init__(self, header: bytes, unpacked: Unpacked) -> None:
        # The sum of all bytes, with spaces in place of the checksum itself.
        if sum(header) - sum(header[148:156]) + 8 * ord(" ") != _octal(header[148:156]):
            raise ArchiveError("a header in it is damaged")
        name = _text(header[:100])
        if header[257:263] == b"ustar\0" and header[345]:
            name = f"{_text(header[345:500])}/{name}"
        self.name = name.removeprefix("./").rstrip("/")
        kind = header[156:157]
        self.is_file = kind in (b"0", b"\0")
        # Links, devices, folders and pipes have no content, although some have another file's size.
        self.size = 0 if kind in b"123456" else _octal(header[124:136])
        self._unpacked = unpacked
        self._unread = True

    def content(self) -> Iterator[bytes]:
        """The content in pieces; can be read once, before the next member."""
        self._unread = False
        yield from self._unpacked.pieces(self.size)
        self._fill()

    def skip(self) -> None:
        """Go to the next member, unless the content was read."""
        if self._unread:
            for _ in self.content():
                pass

    def _fill(self) -> None:
        for _ in self._unpacked.pieces(-self.size % _RECORD):
            pass


def members(file: BinaryIO, *, most_bytes: int, most_members: int) -> Iterator[Member]:
    """The members of an archive in order; contents that are not read are skipped.

    Args:
        file: a gzipped tar file.
        most_bytes: limit of uncompressed bytes.
        most_members: limit of members.

    Raises:
        ArchiveError: it is damaged, or has more than it may.
        OSError: it cannot be read.
        zlib.error: it is damaged, or no gzip file.
    """
    unpacked = Unpacked(file, most_bytes, most_members)
    for _ in range(most_members):
        header = b""
        while len(header) < _RECORD:
            more = unpacked.read(_RECORD - len(header))
            if not more:
                if header:
                    raise ArchiveError("it ends too soon")
                return
            header += more
        if not any(header):  # the end of the archive; gzip's checksums follow it
            unpacked.finish()
            return
        member = Member(header, unpacked)
        yield member
        member.skip()
    raise ArchiveError(f"it has more than {most_members} members")


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "replace")


def _octal(field: bytes) -> int:
    digits = field.strip(b" \0")
    if not digits.isdigit() or digits.strip(b"01234567"):
        raise ArchiveError("a header in it is damaged")
    return int(digits, 8)
