"""Batches from tar shards of which each process reads its own: for sets that no machine holds.

The shards are divided anew in every epoch: they are put in an order that follows from the seed and
the epoch, and process r of R has every R-th of them, from the r-th on. Or they are divided once,
and each machine needs no more than the shards of its processes.

A process goes through its shards one after another, and draws each picture from a *buffer* of those
that come next. What waits there is a picture's place in its shard and not its content, so a buffer
of 100,000 pictures takes some megabytes. Contents are read and decoded by threads, one batch ahead.
"""

import hashlib
import os
import random
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neocog.class_names import class_names
from neocog.data.picture import fit_picture
from neocog.data.quiet import quiet
from neocog.data.reading_ahead import read_ahead
from neocog.data.sources.archives.shard_index import ShardIndex, ShardStore
from neocog.data.sources.archives.shard_paths import shards_of_pattern
from neocog.errors import DataError, printable
from neocog.limits import MOST_THREADS, available_cores
from neocog.preprocessing import Resize
from neocog.validation import choice, flag, whole

__all__ = ["ShardStream", "shards_of_rank"]

_MOST = 1 << 31
_USUAL = Resize()

Batch = tuple[NDArray[np.uint8], NDArray[np.int64]]


class _Waiting(NamedTuple):
    """A picture in its shard, and its class."""

    store: ShardStore
    row: int
    label: int


def shards_of_rank(
    shards: Sequence[Path], rank: int, ranks: int, *, seed: int = 0, epoch: int = 0
) -> list[Path]:
    """The shards that a process reads in an epoch, in the order in which it reads them.

    All processes together have each shard once. It depends on the number of shards, their order,
    and the other arguments alone, on any machine.

    Args:
        shards: all of them, in the same order in all processes.
        rank: the process, from 0.
        ranks: processes.
        seed: by which they are divided.
        epoch: by whose number they are divided.

    Raises:
        DataError: there are fewer shards than processes.
    """
    ranks = whole("ranks", ranks, 1, _MOST)
    rank = whole("rank", rank, 0, ranks - 1)
    if len(shards) < ranks:
        raise DataError(
            f"There are {len(shards)} shards for {ranks} processes, and each reads its own: make "
            f"at least {ranks}, better some times as many."
        )

    def place(number: int) -> bytes:
        text = f"{seed} {epoch} {number}".encode()
        return hashlib.blake2b(text, digest_size=16).digest()

    return [shards[number] for number in sorted(range(len(shards)), key=place)[rank::ranks]]


class ShardStream:
    """Batches of one process of several, from its shards, epoch after epoch.

    ::

        stream = ShardStream(
            "shards/train-{00000..09999}.tar", (3, 224, 224), classes, rank=rank, ranks=ranks
        )
        for images, labels in stream.batches(epoch, count=steps):
            ...

    Args:
        shards: a pattern as `neocog.load_data` takes it, or the paths of the tar files, in the same
            order in all processes. Labels are found as there: in members beside the pictures, else
            the folders' names.
        shape: (channels, height, width) of the images.
        classes: names of all classes, in the order of their numbers. No process sees all shards, so
            they cannot be found.
        batch_size: images of this process in a batch.
        rank, ranks: this process, and how many there are; ``torchrun`` has them in the environment
            as ``RANK`` and ``WORLD_SIZE``.
        seed: by which shards are divided and pictures are drawn.
        divide_anew: in every epoch, which needs shards that every process reaches; else a process
            has those of epoch 0 in all epochs, each time in another order.
        buffer: pictures to draw from. For a good mixture it holds several shards.
        resize: how pictures of other sizes are fitted.
        label_column: field of JSON that has the label; None finds it.
        on_bad: "error" refuses pictures that cannot be read; "skip" leaves them out, and a batch
            then has fewer images.
        threads: that read and decode; the cores there are, if None.

    Attributes:
        skipped: pictures that were left out so far.

    Raises:
        DataError: there are no such shards, or fewer than processes.
        NeocogError: arguments that cannot be.
    """

    def __init__(
        self,
        shards: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        shape: tuple[int, int, int],
        classes: Sequence[str],
        *,
        batch_size: int = 64,
        rank: int = 0,
        ranks: int = 1,
        seed: int = 0,
        divide_anew: bool = True,
        buffer: int = 100_000,
        resize: Resize = _USUAL,
        label_column: str | None = None,
        on_bad: str = "error",
        threads: int | None = None,
    ) -> None:
        if isinstance(shards, str | os.PathLike):
            self._shards = shards_of_pattern(os.fspath(shards))
        else:
            self._shards = [Path(one) for one in shards]
        self._shape = shape
        self._numbers = {name: number for number, name in enumerate(class_names(classes))}
        self._batch_size = whole("batch_size", batch_size, 1, _MOST)
        self._rank, self._ranks, self._seed = rank, ranks, seed
        shards_of_rank(self._shards, rank, ranks)  # refuses what cannot be before an epoch begins
        self._divides_anew = flag("divide_anew", divide_anew)
        self._buffer = whole("buffer", buffer, 1, _MOST)
        self._resize, self._label_column = resize, label_column
        self._skips = choice("on_bad", on_bad, ("error", "skip")) == "skip"
        self._threads = available_cores()
        if threads is not None:
            self._threads = whole("threads", threads, 1, MOST_THREADS)
        self.skipped = 0

    def batches(self, epoch: int, count: int | None = None) -> Iterator[Batch]:
        """The batches of an epoch: uint8 [n, height, width, channels] and int64 [n].

        Args:
            epoch: its number.
            count: of the batches. Processes that train together need equally many, such as all
                pictures // (ranks · batch_size), and their shards may have more or fewer pictures:
                they then end early, or begin again. None is all pictures once; the last batch may
                be smaller.

        Raises:
            DataError: a shard or a picture cannot be read, or is of another class.
        """
        wanted = self._drawn(epoch, once=count is None)
        if count is not None:
            wanted = islice(wanted, whole("count", count, 0, _MOST) * self._batch_size)
        with quiet:
            for some, found in read_ahead(
                wanted, self._read, at_a_time=self._batch_size, threads=self._threads
            ):
                yield self._batch(some, found)

    def _batch(self, some: list[_Waiting], found: list[NDArray[np.uint8] | DataError]) -> Batch:
        images, labels = [], []
        for one, pixels in zip(some, found, strict=True):
            if not isinstance(pixels, DataError):
                images.append(pixels)
                labels.append(one.label)
            elif self._skips:
                self.skipped += 1
            else:
                raise DataError(f"{_name(one)} {pixels}") from pixels
        channels, height, width = self._shape
        stacked = np.array(images, np.uint8).reshape(len(images), height, width, channels)
        return stacked, np.array(labels, np.int64)

    def _read(self, one: _Waiting) -> NDArray[np.uint8]:
        try:
            return fit_picture(one.store.read(one.row), self._shape, self._resize)
        except OSError as error:
            raise DataError(f"cannot be read: {error.strerror or error}.") from error

    def _drawn(self, epoch: int, *, once: bool) -> Iterator[_Waiting]:
        """This process's pictures in their order; once, or all of them again and again."""
        rng = random.Random(f"{self._seed} {epoch} {self._rank}")  # noqa: S311 - no secret
        division = epoch if self._divides_anew else 0
        shards = shards_of_rank(
            self._shards, self._rank, self._ranks, seed=self._seed, epoch=division
        )
        if not self._divides_anew:
            rng.shuffle(shards)
        while True:
            found = False
            for one in _mixed(self._in_order(shards), self._buffer, rng):
                found = True
                yield one
            if not found:
                raise DataError(f"{printable(str(shards[0]), 300)} and others have no pictures.")
            if once:
                return

    def _in_order(self, shards: Sequence[Path]) -> Iterator[_Waiting]:
        for path in shards:
            yield from self._in_shard(path)

    def _in_shard(self, path: Path) -> Iterator[_Waiting]:
        """The pictures of a shard, from the headers in it."""
        try:
            index = ShardIndex([path], [path.name], self._label_column)
        except OSError as error:
            shown = printable(str(path), 300)
            raise DataError(f"{shown} cannot be read: {error.strerror}.") from error
        store, labels = index.store, index.labels
        for row in range(len(store)):
            if index.classes and labels[row] < 0:
                continue  # as `load_data` does with pictures that have no label where others have
            folder = PurePosixPath(store.names[row]).parent.name
            name = index.classes[labels[row]] if index.classes else folder
            if (number := self._numbers.get(name)) is None:
                raise DataError(
                    f"{printable(str(path), 300)} has a picture of the class "
                    f"{printable(name, 100)!r}, which is not among the classes that were given."
                )
            yield _Waiting(store, row, number)


def _mixed(pictures: Iterator[_Waiting], buffer: int, rng: random.Random) -> Iterator[_Waiting]:
    """Each of them once, drawn from so many that come next."""
    waiting: list[_Waiting] = []
    for one in pictures:
        if len(waiting) < buffer:
            waiting.append(one)
            continue
        place = int(rng.random() * buffer)
        yield waiting[place]
        waiting[place] = one
    rng.shuffle(waiting)
    yield from waiting


def _name(one: _Waiting) -> str:
    return printable(f"{one.store.shard_names[0]}/{one.store.name(one.row)}", 300)
