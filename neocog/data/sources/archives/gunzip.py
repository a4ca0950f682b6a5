"""Reads gzip files a piece at a time, without trusting them."""

import zlib
from collections.abc import Iterator
from typing import BinaryIO

__all__ = ["ArchiveError", "Unpacked"]

_PIECE = 1 << 18


class ArchiveError(Exception):
    """What is wrong with an archive, as part of a sentence."""


class Unpacked:
    """The uncompressed bytes of a gzip file, which may have several members (RFC 1952).

    Args:
        file: the file, at its beginning.
        most: limit of uncompressed bytes.
        most_parts: limit of members.
    """

    def __init__(self, file: BinaryIO, most: int, most_parts: int) -> None:
        self._file = file
        self._unzip = zlib.decompressobj(31)
        self._packed = b""
        self._parts_left = most_parts
        self._most = most
        #: Bytes that are left of the limit.
        self.left = most

    def read(self, size: int) -> bytes:
        """At least one byte and at most `size`; empty at the end."""
        while True:
            if not self._packed:
                self._packed = self._file.read(_PIECE)
            ended = not self._packed
            if self._unzip.eof:
                self._packed = self._packed.lstrip(b"\0")  # padding, as on tapes
                if ended:
                    return b""
                if self._packed:
                    self._next_part()
                continue
            data = self._unzip.decompress(self._packed, size)
            self._packed = self._unzip.unused_data or self._unzip.unconsumed_tail
            if data:
                self.left -= len(data)
                return data
            if ended:
                raise ArchiveError("it ends too soon")

    def _next_part(self) -> None:
        self._parts_left -= 1
        if self._parts_left < 0:
            raise ArchiveError("it has too many parts")
        self._unzip = zlib.decompressobj(31)

    def pieces(self, size: int) -> Iterator[bytes]:
        """The next `size` bytes, in pieces."""
        if size > self.left:
            raise ArchiveError(f"it unpacks to more than {self._most:,} bytes")
        while size:
            piece = self.read(min(size, _PIECE))
            if not piece:
                raise ArchiveError("it ends too soon")
            size -= len(piece)
            yield piece

    def finish(self) -> None:
        """Read to the end, so that every checksum is verified."""
        while self.read(_PIECE):
            if self.left < 0:
                raise ArchiveError(f"it unpacks to more than {self._most:,} bytes")
