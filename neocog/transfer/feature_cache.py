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
least `_SPARE`.
"""

import hashlib
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.data.cache.cache_entry import About, EntryWriter
from neocog.data.cache.cache_room import NotKeptError, kept
from neocog.data.cache.decoders import decoders
from neocog.engine.trainer import check_images
from neocog.limits import require_memory
from neocog.transfer.features import Features
from neocog.transfer.views import seen

__all__ = ["FEATURES", "FeatureCache", "picture_keys"]

#: Kind of these cache entries; those of pixels have their source's kind.
FEATURES = "features"

Bytes = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]

_KEY, _CHECK = 16, 16
_BANKS = 16
# Rows of other pictures that a bank keeps in any case.
_SPARE = 64
# Pictures that are computed at a time.
_AT_A_TIME = 64

_log = logging.getLogger("neocog")


def picture_keys(images: Bytes) -> list[bytes]:
    """A hash of the pixels of each picture, and of their shape: 16 bytes."""
    shape = repr(images.shape[1:]).encode()
    return [
        hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=_KEY, key=shape).digest()
        for image in images
    ]


@dataclass
class FeatureCache:
    """Features of pictures' views, by way of the disk.

    Args:
        features: the part that computes.
        keeps: whether anything is kept, or read.
        on_progress: called after some pictures were computed.

    Attributes:
        computed: how many pictures' features were computed so far; the others were there.
        why_not_kept: for the user, why nothing is kept on the disk; empty if that is no news.
    """

    features: Features
    keeps: bool = True
    on_progress: Callable[[], None] | None = None
    computed: int = 0
    why_not_kept: str = ""

    def __post_init__(self) -> None:
        self._mark = self.features.mark() if self.keeps else ""
        self._numbers = math.prod(self.features.shape)
        self._dtype = np.dtype(self.features.dtype).newbyteorder("<")
        self._row = _KEY + _CHECK + self._numbers * self._dtype.itemsize

    def of(self, images: Bytes, view: str = "whole", keys: Sequence[bytes] = ()) -> Floats:
        """The features of a view of pictures, [n, *shape], in memory.

        Args:
            images: uint8 [n, height, width, channels] of the network's input shape.
            view: one of a set in `neocog.transfer.views`.
            keys: `picture_keys` of the images, if they are known.

        Raises:
            DataError: pictures of another shape.
            NeocogError: the features do not fit into memory.
        """
        found = self._empty(len(images))
        for places, numbers in self.each(images, view, keys):
            found[places] = numbers
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
                yield places, self._of_bank(bank, _Wanted(images, places, keys), view)

    def _empty(self, n: int) -> Floats:
        size = n * self._numbers * self._dtype.itemsize
        require_memory(size, f"The features of {n:,} pictures", "Take fewer pictures.")
        return np.empty((n, *self.features.shape), self.features.dtype)

    def _of_bank(self, bank: int, wanted: "_Wanted", view: str) -> Floats:
        n = len(wanted.places)
        found, has = self._empty(n), np.zeros(n, np.bool_)
        if not self.keeps:
            self._compute(wanted, view, has, found)
            return found
        name = f"{FEATURES} 1 {self._mark} {view} {bank}"
        key = hashlib.sha256(name.encode()).hexdigest()[:32]
        others: list[Bytes] = []

        def fits(_about: About, array: Bytes) -> bool:
            others[:] = self._read(array, wanted, has, found)
            return bool(has.all())

        def make(writer: EntryWriter) -> None:
            self._compute(wanted, view, has, found)
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
            kept(key, (n + max(n, _SPARE)) * self._row, make, fits)
        except NotKeptError as error:
            self.why_not_kept = str(error)
            self._compute(wanted, view, has, found)
        return found

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
        others: list[Bytes] = []
        for row in array:
            data = row.tobytes()
            key, check = data[:_KEY], data[_KEY : _KEY + _CHECK]
            rows = by_key.get(key)
            if rows is None and len(others) >= max(len(by_key), _SPARE):
                continue
            if _check(key, data[_KEY + _CHECK :]) != check:
                _log.debug("A damaged row of features is computed again.")
            elif rows is None:
                others.append(row)
            else:
                numbers = np.frombuffer(data, self._dtype, offset=_KEY + _CHECK)
                into[rows] = numbers.reshape(self.features.shape)
                has[rows] = True
        return others

    def _compute(self, wanted: "_Wanted", view: str, has: NDArray[np.bool_], into: Floats) -> None:
        """Compute what is not there yet."""
        missing = np.flatnonzero(~has)
        for first in range(0, len(missing), _AT_A_TIME):
            rows = missing[first : first + _AT_A_TIME]
            images = wanted.images[wanted.places[rows]]
            into[rows] = self.features.of(seen(images, view))
            has[rows] = True
            self.computed += len(rows)
            if self.on_progress is not None:
                self.on_progress()


@dataclass(frozen=True, eq=False)
class _Wanted:
    """Pictures of one bank: those at some places among others."""

    images: Bytes
    places: NDArray[np.int64]
    keys: Sequence[bytes]

    def by_key(self) -> dict[bytes, list[int]]:
        """The numbers, among the places, of the pictures with each key; equal ones have one."""
        found: dict[bytes, list[int]] = {}
        for n, place in enumerate(self.places.tolist()):
            found.setdefault(self.keys[place], []).append(n)
        return found


def _check(key: bytes, data: bytes) -> bytes:
    return hashlib.blake2b(key + data, digest_size=_CHECK).digest()
