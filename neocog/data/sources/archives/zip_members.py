"""The pictures in a zip, which any thread can read."""

import stat
import zlib
from array import array
from collections.abc import Container
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neocog.data.picture_kinds import LARGEST_FILE
from neocog.data.sources.archives.name_table import NameTable
from neocog.data.sources.archives.open_files import OpenFiles
from neocog.data.sources.archives.zip_directory import (
    DEFLATED,
    STORED,
    ZipError,
    ZipMember,
    zip_directory,
)
from neocog.data.sources.passed_over import PassedOver
from neocog.data.sources.tree import PICTURE_SUFFIXES, check_length, path_within, suffix_of
from neocog.errors import DataError, printable
from neocog.zip_records import LOCAL

__all__ = ["ZipStore", "zip_stores"]

# Limits of uncompressed bytes, like those of decoding pictures: this many, and beyond that, this
# many times the compressed size.
_ANY, _RATIO = 2**26, 100


class ZipStore:
    """Pictures in a zip, and small files that describe them.

    Args:
        files: the zip, as the only file.
        end: offset at which its members end.

    Attributes:
        names: the pictures' paths.
    """

    def __init__(self, files: OpenFiles, end: int) -> None:
        self.names = NameTable()
        self._files = files
        self._end = end
        self._places, self._packed, self._sizes = array("q"), array("q"), array("q")
        self._crcs, self._methods = array("L"), array("H")

    def append(self, name: str, member: ZipMember) -> None:
        """One more."""
        self.names.append(name)
        self._places.append(member.at)
        self._packed.append(member.packed)
        self._sizes.append(member.size)
        self._crcs.append(member.crc)
        self._methods.append(member.method)

    def name(self, row: int) -> str:
        """Its path in the zip."""
        return self.names[row]

    def stamp(self, row: int) -> str:
        """Its path, length and CRC-32, and the time of the zip."""
        content = f"{self._sizes[row]}\0{self._crcs[row]}\0{self._files.times[0]}"
        return f"{self.names[row]}\0{content}"

    def size(self, row: int) -> int:
        """Its uncompressed length."""
        return self._sizes[row]

    def read(self, row: int) -> bytes:
        """Its content."""
        size, packed = self._sizes[row], self._packed[row]
        check_length(max(size, packed))
        if size > min(LARGEST_FILE, _ANY + _RATIO * packed):
            raise DataError(f"unpacks to {size:,} bytes from {packed:,}, as no picture does.")
        header = self._files.read(0, self._places[row], LOCAL.size)
        if len(header) != LOCAL.size or not header.startswith(b"PK\x03\x04"):
            raise DataError("cannot be read: its zip is damaged.")
        _signature, name, extra = LOCAL.unpack(header)
        begin = self._places[row] + LOCAL.size + name + extra
        # A local header that differs from the directory may lead into the next member.
        if begin + packed > self._end:
            raise DataError("cannot be read: its zip is damaged.")
        content = self._files.read(0, begin, packed)
        if self._methods[row] == DEFLATED:
            content = _unpacked(content, size)
        elif self._methods[row] != STORED:
            raise DataError(
                f"is packed by method {self._methods[row]}, which is not read. Make the zip anew "
                "with the usual one, deflate."
            )
        if len(content) != size or zlib.crc32(content) != self._crcs[row]:
            raise DataError("is damaged in its zip: its length or CRC-32 is another.")
        return content


def _unpacked(packed: bytes, size: int) -> bytes:
    unzip = zlib.decompressobj(-15)
    try:
        content = unzip.decompress(packed, size + 1)
    except zlib.error:
        raise DataError("is damaged in its zip.") from None
    if not unzip.eof and len(content) <= size:
        raise DataError("is damaged in its zip: it is cut short.")
    return content


def zip_stores(
    path: Path, passed_over: PassedOver, texts: Container[str]
) -> tuple[ZipStore, ZipStore]:
    """The pictures in a zip, and some of its other files.

    Args:
        path: of the zip.
        passed_over: collects everything else in the zip.
        texts: names, without folders, of other files that are wanted.

    Raises:
        ZipError: it is damaged, encrypted, or malicious.
        OSError: it cannot be read.
    """
    files = OpenFiles([path])
    end, members = zip_directory(lambda at, size: files.read(0, at, size), files.sizes[0])
    pictures, others = ZipStore(files, end), ZipStore(files, end)
    places, least, unpacked = array("q"), array("q"), 0
    known = set[int]()
    for member in members:
        if max(member.at, member.least, member.size) > 2**62:
            raise ZipError("its list of members is damaged")
        places.append(member.at)
        least.append(member.least)
        unpacked += member.size
        if member.name.endswith("/") or not (name := _wanted(member, texts, passed_over)):
            continue
        store = others if name.rpartition("/")[2] in texts else pictures
        if member.encrypted:
            raise ZipError(
                f"{printable(name, 100)} in it is encrypted. Unpack it with its password, and name "
                "the folder that comes out"
            )
        if (key := hash(name)) in known and name in set(store.names):
            raise ZipError(f"{printable(name, 100)} is in it twice")
        known.add(key)
        store.append(name, member)
    _check_places(np.array(places, np.int64), np.array(least, np.int64), end)
    if unpacked > LARGEST_FILE + _RATIO * files.sizes[0]:
        raise ZipError(
            f"it says that it unpacks to {unpacked:,} bytes, {unpacked // files.sizes[0]:,} times "
            "its own, as no pictures do"
        )
    return pictures, others


def _wanted(member: ZipMember, texts: Container[str], passed_over: PassedOver) -> str | None:
    """The path of a picture or a text; None for everything else."""
    if (name := path_within(member.name, passed_over)) is None:
        return None
    kind = stat.S_IFMT(member.mode)
    if kind == stat.S_IFLNK:
        passed_over.links += 1
    elif kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        passed_over.specials += 1
    else:
        last = name.rpartition("/")[2]
        if last in texts or suffix_of(last) in PICTURE_SUFFIXES:
            return name
        passed_over.others[suffix_of(last)] += 1
    return None


def _check_places(places: NDArray[np.int64], least: NDArray[np.int64], end: int) -> None:
    """Raise `ZipError` if members overlap, as in a zip bomb, or extend beyond the end."""
    order = np.argsort(places, kind="stable")
    begins = np.append(places[order], end)
    if (begins[:-1] + least[order] > begins[1:]).any():
        raise ZipError("it is damaged, or made to do harm: members in it lie over each other")
