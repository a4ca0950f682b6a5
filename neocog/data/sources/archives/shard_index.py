"""Index of the pictures in tar files, with their labels, in a few bytes per picture."""

from array import array
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neocog.data.sources.archives.name_table import NameTable
from neocog.data.sources.archives.open_files import OpenFiles
from neocog.data.sources.archives.shard_labels import LABEL_ENDINGS, LONGEST_LABEL_FILE, label_in
from neocog.data.sources.archives.tar_headers import TarError, TarMember, tar_members
from neocog.data.sources.passed_over import PassedOver
from neocog.data.sources.tree import PICTURE_SUFFIXES, check_length, path_within, suffix_of
from neocog.errors import DataError, printable

__all__ = ["ShardIndex", "ShardStore"]


class ShardStore:
    """Pictures in tar files, in the order of the files and of their members.

    Args:
        paths: of the tar files.
        names: their names for people.

    Raises:
        OSError: one of them cannot be read.
    """

    def __init__(self, paths: Sequence[Path], names: Sequence[str]) -> None:
        self.files = OpenFiles(paths)
        self.shard_names = names
        #: The pictures' paths in their shards.
        self.names = NameTable()
        #: The number of each picture's shard.
        self.shards = array("i")
        self._places, self._sizes = array("q"), array("q")

    def __len__(self) -> int:
        return len(self.shards)

    def append(self, shard: int, member: TarMember, name: str) -> None:
        """Add a picture."""
        self.names.append(name)
        self.shards.append(shard)
        self._places.append(member.at)
        self._sizes.append(member.size)

    def name(self, row: int) -> str:
        """The path in its shard, after the shard's name if there are several."""
        name = self.names[row]
        return name if len(self.shard_names) == 1 else f"{self._shard_name(row)}/{name}"

    def stamp(self, row: int) -> str:
        """Its name, offset and length, and the time of its shard."""
        time = self.files.times[self.shards[row]]
        place = f"{self._places[row]}\0{self._sizes[row]}\0{time}"
        return f"{self._shard_name(row)}\0{self.names[row]}\0{place}"

    def size(self, row: int) -> int:
        """Its length."""
        return self._sizes[row]

    def read(self, row: int) -> bytes:
        """Its content."""
        size = self._sizes[row]
        check_length(size)
        content = self.files.read(self.shards[row], self._places[row], size)
        if len(content) != size:
            raise DataError("cannot be read: its tar file ends too soon.")
        return content

    def _shard_name(self, row: int) -> str:
        return self.shard_names[self.shards[row]]


class ShardIndex:
    """The pictures and labels in tar files, from headers and the small members that are labels.

    Members whose names are equal up to the first dot after the last slash are one sample, as in
    WebDataset (https://github.com/webdataset/webdataset). Its label is that of the first of
    `LABEL_ENDINGS`. Of several pictures in a labeled sample the first is used.

    Args:
        paths: of the tar files.
        names: their names for people.
        field: field of JSON that has the label; None finds it.

    Raises:
        DataError: one of them is damaged.
        OSError: one of them cannot be read.

    Attributes:
        store: the pictures.
        classes: the labels, in no particular order.
        passed_over: members that are neither pictures nor labels.
        further: number of pictures that are ignored because their sample has one already.
    """

    def __init__(self, paths: Sequence[Path], names: Sequence[str], field: str | None) -> None:
        self.store = ShardStore(paths, names)
        self.classes: list[str] = []
        self.passed_over = PassedOver()
        self.further = 0
        self._field = field
        self._numbers: dict[str, int] = {}
        self._labels = array("i")
        for shard, path in enumerate(paths):
            try:
                self._add(shard)
            except TarError as error:
                shown = printable(str(path), 300)
                raise DataError(f"{shown} is no sound tar file: {error}.") from None

    @property
    def labels(self) -> NDArray[np.int32]:
        """The index of each picture's label in `classes`, -1 if it has none: int32 [n]."""
        return np.array(self._labels, np.int32)

    def _add(self, shard: int) -> None:
        files, begin = self.store.files, len(self.store)

        def read(at: int, size: int) -> bytes:
            return files.read(shard, at, size)

        strays: dict[str, int] = {}  # labels that are not next to their pictures
        sample = _Sample("")
        for member in tar_members(read, files.sizes[shard]):
            if (name := self._wanted(member)) is None:
                continue
            key, ending = _parted(name)
            if key != sample.key:
                self._finish(shard, sample, strays)
                sample = _Sample(key)
            if suffix_of(name) in PICTURE_SUFFIXES:
                sample.pictures.append((member, name))
            elif ending in LABEL_ENDINGS and member.size <= LONGEST_LABEL_FILE:
                self._take_label(sample, member, ending, read)
            else:
                self.passed_over.others[suffix_of(name)] += 1
        self._finish(shard, sample, strays)
        if strays:
            self._join(begin, strays)

    def _wanted(self, member: TarMember) -> str | None:
        if member.kind == "file":
            return path_within(member.name, self.passed_over)
        if member.kind == "link":
            self.passed_over.links += 1
        elif member.kind == "special":
            self.passed_over.specials += 1
        return None

    def _take_label(
        self, sample: "_Sample", member: TarMember, ending: str, read: Callable[[int, int], bytes]
    ) -> None:
        rank = LABEL_ENDINGS.index(ending)
        if rank >= sample.rank:
            return
        label = label_in(read(member.at, member.size), ending, self._field)
        if label is None:
            self.passed_over.others[f".{ending}"] += 1
            return
        number = self._numbers.setdefault(label, len(self.classes))
        if number == len(self.classes):
            self.classes.append(label)
        sample.label, sample.rank = number, rank

    def _finish(self, shard: int, sample: "_Sample", strays: dict[str, int]) -> None:
        if sample.label >= 0 and not sample.pictures:
            strays[sample.key] = sample.label
        wanted = sample.pictures[:1] if sample.label >= 0 else sample.pictures
        self.further += len(sample.pictures) - len(wanted)
        for member, name in wanted:
            self.store.append(shard, member, name)
            self._labels.append(sample.label)

    def _join(self, begin: int, strays: dict[str, int]) -> None:
        """Labels for the pictures from `begin` on, in an unsorted archive."""
        for row in range(begin, len(self.store)):
            if self._labels[row] < 0:
                self._labels[row] = strays.get(_parted(self.store.names[row])[0], -1)


class _Sample:
    """Consecutive members with the same key."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.pictures: list[tuple[TarMember, str]] = []
        self.label, self.rank = -1, len(LABEL_ENDINGS)


def _parted(name: str) -> tuple[str, str]:
    """The key of a sample, and the ending in lower case."""
    folder, slash, last = name.rpartition("/")
    stem, _dot, ending = last.partition(".")
    return folder + slash + stem, ending.lower()
