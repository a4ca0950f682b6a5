"""Features of pictures, computed once and kept on the disk.

A *bank* is one entry of the cache that also has decoded pictures (`neocog.data.cache.cache_room`:
its bounds, locks and private folders). It holds what one lower part gives for one view of some of
the pictures: those whose keys end in the same four bits, so that a bank is small. Its key is a hash
of everything that the numbers depend on besides the picture: the part's layers and weights, the
preprocessing, the view and the kernels. A row of it is

    16 bytes    BLAKE2b of the picture's pixels
    16 bytes    BLAKE2b of those 16 bytes and of the numbers
    the rest    the numbers, little-endian float16 or float32

Pictures that have no intact row are computed, and the bank is written anew with the rows that it
had. A picture more in a folder so costs its own features only, wherever it lies and whatever it is
called. Of other pictures a bank keeps as many rows as it has of those that are asked for, and at
least what fits into `_SPARE` bytes.

`FeatureCache.of_batches` is for more pictures than fit into memory: banks are read first, and each
is written anew when all pictures have been seen.
"""

import hashlib
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.data.cache.cache_entry import FEATURES, About, EntryWriter
from neocog.data.cache.cache_room import NotKeptError, kept, let_go, opened
from neocog.data.cache.decoders import decoders
from neocog.engine.trainer import check_images
from neocog.limits import require_memory
from neocog.transfer.features import Features
from neocog.transfer.large_arrays import forget_pages, large_array
from neocog.transfer.views import seen

__all__ = ["FeatureCache", "picture_keys"]

Bytes = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]

_KEY, _CHECK = 16, 16
_BANKS = 16
# Bytes of other pictures' rows that a bank keeps in any case. Those held out come after those that
# are trained on, which so stay.
_SPARE = 16 * 2**20
# Pictures that are computed at a time.
_AT_A_TIME = 64

_log = logging.getLogger("neocog")


def picture_keys(images: Bytes) -> list[bytes]:
    """A hash of the pixels of each picture, and of their shape: 16 bytes."""
    shape = repr(images.shape[1:]).encode()
    keys = []
    for n, image in enumerate(images, 1):
        pixels = np.ascontiguousarray(image).data
        keys.append(hashlib.blake2b(pixels, digest_size=_KEY, key=shape).digest())
        if n % _AT_A_TIME == 0:
            let_go(images)
    return keys


@dataclass
class FeatureCache:
    """Features of pictures' views, by way of the disk.

    Args:
        features: the part that computes.
        keeps: whether anything is kept, or read.
        on_progress: called after some pictures are done.

    Attributes:
        computed: how many pictures' features were computed so far; the others were there.
        done: how many pictures were computed or were there.
        again: how many of those that `done` counts were computed once more.
        why_not_kept: for the user, why nothing is kept on the disk; empty if that is no news.
    """

    features: Features
    keeps: bool = True
    on_progress: Callable[[], None] | None = None
    computed: int = 0
    done: int = 0
    again: int = 0
    why_not_kept: str = ""

    def __post_init__(self) -> None:
        self._asked = set[tuple[str, bytes]]()
        self._mark = self.features.mark() if self.keeps else ""
        self._numbers = math.prod(self.features.shape)
        self._dtype = np.dtype(self.features.dtype).newbyteorder("<")
        self._row = _KEY + _CHECK + self._numbers * self._dtype.itemsize

    def of(self, images: Bytes, view: str = "whole", keys: Sequence[bytes] = ()) -> Floats:
        """The features of a view of pictures, [n, *shape], as a `large_array`.

        Args:
            images: uint8 [n, height, width, channels] of the network's input shape.
            view: one of a set in `neocog.transfer.views`.
            keys: `picture_keys` of the images, if they are known.

        Raises:
            DataError: pictures of another shape.
            NeocogError: there is no room for the features.
        """
        shape = len(images), *self.features.shape
        found = large_array(shape, self.features.dtype, "The features")
        for places, numbers in self.each(images, view, keys):
            found[places] = numbers
            forget_pages(found)
        return found

    def each(
        self, images: Bytes, view: str = "whole", keys: Sequence[bytes] = ()
    ) -> Iterator[tuple[NDArray[np.int64], Floats]]:
        """The features of a view of pictures, some at a time, in an order that the keys decide.

        Yields:
            The pictures' indices, and their numbers [some, *shape].
        """
        check_images(self.features.input_shape, images)
        keys = keys or picture_keys(images)
        of_bank = np.array([key[-1] % _BANKS for key in keys], np.int64)
        for bank in range(_BANKS):
            places = np.flatnonzero(of_bank == bank)
            if len(places):
                yield places, self._of_bank(bank, _Images(places, keys, images), view)

    def of_batches(self, batches: Iterable[Bytes], most: int, view: str = "whole") -> Floats:
        """The features of pictures that come some at a time, [n, *shape], in their order.

        What has been computed is kept at the end, also where the end is an error.

        Args:
            batches: as `images` of `of`; each is forgotten before the next is asked for.
            most: how many pictures may come.
            view: as in `of`.

        Raises:
            DataError, NeocogError: as `of` does.
        """
        found, keys = self._empty(most), list[bytes]()
        known, new = _KnownRows(self, view), set[int]()
        try:
            for images in batches:
                check_images(self.features.input_shape, images)
                some = picture_keys(images)
                into = found[len(keys) : len(keys) + len(images)]
                has = np.array([known.read(*one) for one in zip(some, into, strict=True)], np.bool_)
                new.update(
                    key[-1] % _BANKS for key, there in zip(some, has, strict=True) if not there
                )
                wanted = _Images(np.arange(len(images)), some, images)
                self._compute(wanted, view, has, into, self._counting(wanted, view, has))
                keys += some
        finally:
            known.close()
            of_bank = np.array([key[-1] % _BANKS for key in keys], np.int64)
            for bank in sorted(new if self.keeps else ()):
                places = np.flatnonzero(of_bank == bank)
                self._of_bank(bank, _Numbers(places, keys, found), view)
        return found[: len(keys)]

    def _empty(self, n: int) -> Floats:
        size = n * self._numbers * self._dtype.itemsize
        require_memory(size, f"The features of {n:,} pictures", "Take fewer pictures.")
        return np.empty((n, *self.features.shape), self.features.dtype)

    def _of_bank(self, bank: int, wanted: "_Images | _Numbers", view: str) -> Floats:
        n = len(wanted.places)
        found, has = self._empty(n), np.zeros(n, np.bool_)
        count = self._counting(wanted, view, has)
        if not self.keeps:
            self._compute(wanted, view, has, found, count)
            return found
        key = self.key_of(bank, view)
        others: list[Bytes] = []

        def fits(_about: About, array: Bytes) -> bool:
            others[:] = self._read(array, wanted, has, found)
            return bool(has.all())

        def make(writer: EntryWriter) -> None:
            self._compute(wanted, view, has, found, count)
            for one, rows in wanted.by_key().items():
                writer.add(self._as_row(one, found[rows[0]])[None])
            for row in others:
                writer.add(row[None])
            writer.finish(
                key=key,
                kind=FEATURES,
                name=f"{self.features.place}, {view}",
                item_shape=(self._row,),
                maker=decoders(),
            )

        try:
            if opened(key, fits) is None:  # read first: its rows say how large it becomes
                kept(key, (n + len(others)) * self._row, make, fits)
        except NotKeptError as error:
            self.why_not_kept = str(error)
            self._compute(wanted, view, has, found, count)
        count()
        return found

    def _counting(self, wanted: "_Wanted", view: str, has: NDArray[np.bool_]) -> Callable[[], None]:
        """A function that counts the pictures that there are meanwhile, and tells of them."""
        asked = view, wanted.keys[wanted.places[0]] if len(wanted.places) else b""
        again = asked in self._asked
        self._asked.add(asked)
        before = self.computed if again else 0

        def count() -> None:
            nonlocal before
            now = self.computed if again else int(has.sum())
            new, before = now - before, now
            if again:
                self.again += new
            else:
                self.done += new
            if new and self.on_progress is not None:
                self.on_progress()

        return count

    def key_of(self, bank: int, view: str) -> str:
        """The key of a bank's entry in the cache."""
        name = f"{FEATURES} 1 {self._mark} {view} {bank}"
        return hashlib.sha256(name.encode()).hexdigest()[:32]

    def numbers_of(self, row: bytes) -> Floats | None:
        """The numbers of a row; None if it is damaged."""
        key, check, data = row[:_KEY], row[_KEY : _KEY + _CHECK], row[_KEY + _CHECK :]
        if len(row) != self._row or _check(key, data) != check:
            _log.debug("A damaged row of features is computed again.")
            return None
        return np.frombuffer(data, self._dtype).reshape(self.features.shape)

    def _as_row(self, key: bytes, numbers: Floats) -> Bytes:
        data = np.ascontiguousarray(numbers, self._dtype).tobytes()
        return np.frombuffer(key + _check(key, data) + data, np.uint8)

    def _read(
        self, array: Bytes, wanted: "_Wanted", has: NDArray[np.bool_], into: Floats
    ) -> list[Bytes]:
        """Take out the rows that are wanted; gives the intact others that may stay."""
        if array.shape[1:] != (self._row,):
            return []
        by_key = wanted.by_key()
        most = max(len(by_key), _SPARE // self._row)
        others: list[Bytes] = []
        for row in array:
            data = row.tobytes()
            rows = by_key.get(data[:_KEY])
            if rows is None and len(others) >= most:
                continue
            if (numbers := self.numbers_of(data)) is None:
                continue
            if rows is None:
                others.append(row)
            else:
                into[rows] = numbers
                has[rows] = True
        return others

    def _compute(
        self,
        wanted: "_Images | _Numbers",
        view: str,
        has: NDArray[np.bool_],
        into: Floats,
        count: Callable[[], None],
    ) -> None:
        """Compute what is not there yet."""
        if isinstance(wanted, _Numbers):
            into[~has] = wanted.numbers[wanted.places[~has]]
            has[:] = True
            return
        missing = np.flatnonzero(~has)
        for first in range(0, len(missing), _AT_A_TIME):
            rows = missing[first : first + _AT_A_TIME]
            images = wanted.images[wanted.places[rows]]
            let_go(wanted.images)
            into[rows] = self.features.of(seen(images, view))
            has[rows] = True
            self.computed += len(rows)
            count()


@dataclass(frozen=True, eq=False)
class _Wanted:
    """Pictures of one bank: those at some places among others."""

    places: NDArray[np.int64]
    keys: Sequence[bytes]

    def by_key(self) -> dict[bytes, list[int]]:
        """The numbers, among the places, of the pictures with each key; equal ones have one."""
        found: dict[bytes, list[int]] = {}
        for n, place in enumerate(self.places.tolist()):
            found.setdefault(self.keys[place], []).append(n)
        return found


@dataclass(frozen=True, eq=False)
class _Images(_Wanted):
    """Those whose features are to be computed of their pixels."""

    images: Bytes


@dataclass(frozen=True, eq=False)
class _Numbers(_Wanted):
    """Those whose features have been computed."""

    numbers: Floats


class _KnownRows:
    """The rows of all banks, each of which is opened when a picture of it comes."""

    def __init__(self, cache: FeatureCache, view: str) -> None:
        self._cache, self._view = cache, view
        self._banks: dict[int, tuple[Bytes, dict[bytes, int]]] = {}

    def read(self, key: bytes, into: Floats) -> bool:
        """Copy a picture's numbers; returns whether there are any."""
        if not self._cache.keeps:
            return False
        bank = key[-1] % _BANKS
        if bank not in self._banks:
            self._banks[bank] = self._opened(bank)
        array, rows = self._banks[bank]
        row = rows.get(key)
        numbers = None if row is None else self._cache.numbers_of(array[row].tobytes())
        if numbers is not None:
            into[...] = numbers
        return numbers is not None

    def _opened(self, bank: int) -> tuple[Bytes, dict[bytes, int]]:
        try:
            found = opened(self._cache.key_of(bank, self._view), lambda _about, a: a.ndim == 2)
        except NotKeptError as error:
            self._cache.why_not_kept = str(error)
            found = None
        array = np.empty((0, _KEY), np.uint8) if found is None else found[1]
        return array, {row[:_KEY].tobytes(): n for n, row in enumerate(array)}

    def close(self) -> None:
        """Let go of the entries, which may then be written anew."""
        self._banks.clear()


def _check(key: bytes, data: bytes) -> bytes:
    return hashlib.blake2b(key + data, digest_size=_CHECK).digest()
