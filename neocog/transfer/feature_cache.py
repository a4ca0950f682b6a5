"""Features of pictures, computed once and kept on the disk.

A *bank* is one entry of the cache that also has decoded pictures (`neocog.data.cache.cache_room`:
its bounds, locks and private folders). It holds what one lower part gives for one view. Its key is a
hash of everything that the numbers depend on besides the picture: the part's layers and weights, the
preprocessing, the view and the kernels. A row of it is

    16 bytes    BLAKE2b of the picture's pixels
    16 bytes    BLAKE2b of those 16 bytes and of the numbers
    the rest    the numbers, little-endian float16 or float32

Pictures that have no intact row are computed, and the bank is written anew with the rows that it
had. A picture more in a folder so costs its own features only, wherever it lies and whatever it is
called. When a bank has more rows of other pictures than of those that are asked for, the others go.
"""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.data.cache.cache_entry import About, EntryWriter
from neocog.data.cache.cache_room import NotKeptError, kept
from neocog.limits import require_memory
from neocog.transfer.features import Features
from neocog.transfer.views import seen

__all__ = ["FEATURES", "FeatureCache", "picture_keys"]

#: Kind of these cache entries; those of pixels have their source's kind.
FEATURES = "features"

Bytes = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]

_KEY, _CHECK = 16, 16
# Pictures that are computed, hashed or written at a time.
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
        on_progress: told how many pictures are computed, and how many have to be.

    Attributes:
        computed: how many pictures' features were computed so far; the others were there.
        why_not_kept: for the user, why nothing is kept on the disk; empty if that is no news.
    """

    features: Features
    keeps: bool = True
    on_progress: Callable[[int, int], None] | None = None
    computed: int = 0
    why_not_kept: str = ""

    def __post_init__(self) -> None:
        self._mark = self.features.mark() if self.keeps else ""
        self._numbers = int(np.prod(self.features.shape))
        self._dtype = np.dtype(self.features.dtype).newbyteorder("<")
        self._row = _KEY + _CHECK + self._numbers * self._dtype.itemsize

    def of(self, images: Bytes, view: str = "whole", keys: list[bytes] | None = None) -> Floats:
        """The features of a view of pictures, [n, *shape], in memory.

        Args:
            images: uint8 [n, height, width, channels] of the network's input shape.
            view: one of a set in `neocog.transfer.views`.
            keys: `picture_keys` of the images, if they are known.

        Raises:
            DataError: pictures of another shape.
            NeocogError: the features do not fit into memory.
        """
        size = len(images) * self._numbers * self._dtype.itemsize
        require_memory(size, f"The features of {len(images):,} pictures", "Take fewer pictures.")
        found = np.empty((len(images), *self.features.shape), self.features.dtype)
        if not self.keeps:
            self._compute(images, view, np.arange(len(images)), found)
            return found
        keys = picture_keys(images) if keys is None else keys
        self._by_bank(images, view, keys, found)
        return found

    def _by_bank(self, images: Bytes, view: str, keys: list[bytes], found: Floats) -> None:
        bank = hashlib.sha256(f"{FEATURES} 1 {self._mark} {view}".encode()).hexdigest()[:32]
        has = np.zeros(len(images), np.bool_)
        others: list[Bytes] = []

        def fits(about: About, array: Bytes) -> bool:
            others[:] = self._read(array, keys, has, found)
            return bool(has.all())

        def make(writer: EntryWriter) -> None:
            self._compute(images, view, np.flatnonzero(~has), found)
            has[:] = True
            written = set()
            for n, key in enumerate(keys):
                if key not in written:
                    written.add(key)
                    writer.add(self._as_row(key, found[n])[None])
            for rows in others:
                writer.add(rows)
            writer.finish(
                key=bank,
                kind=FEATURES,
                name=f"{self.features.place}, {view}",
                item_shape=(self._row,),
                maker=self._mark,
            )

        try:
            kept(bank, (len(images) + len(others)) * self._row, make, fits)
        except NotKeptError as error:
            self.why_not_kept = str(error)
            self._compute(images, view, np.flatnonzero(~has), found)

    def _as_row(self, key: bytes, numbers: Floats) -> Bytes:
        data = np.ascontiguousarray(numbers, self._dtype).tobytes()
        return np.frombuffer(key + _check(key, data) + data, np.uint8)

    def _read(
        self, array: Bytes, keys: list[bytes], has: NDArray[np.bool_], into: Floats
    ) -> list[Bytes]:
        """Take the rows that are wanted out of a bank; gives the intact others, if they may stay."""
        wanted: dict[bytes, list[int]] = {}
        for n, key in enumerate(keys):
            wanted.setdefault(key, []).append(n)
        if array.shape[1:] != (self._row,):
            return []
        others: list[Bytes] = []
        for row in array:
            data = row.tobytes()
            key, check = data[:_KEY], data[_KEY : _KEY + _CHECK]
            places = wanted.get(key)
            if places is None and len(others) >= len(wanted):
                continue
            if _check(key, data[_KEY + _CHECK :]) != check:
                _log.debug("A damaged row of features is computed again.")
                continue
            if places is None:
                others.append(row[None])
                continue
            numbers = np.frombuffer(data, self._dtype, offset=_KEY + _CHECK)
            for n in places:
                into[n] = numbers.reshape(self.features.shape)
                has[n] = True
        return others

    def _compute(self, images: Bytes, view: str, places: NDArray[np.int64], into: Floats) -> None:
        for first in range(0, len(places), _AT_A_TIME):
            some = places[first : first + _AT_A_TIME]
            into[some] = self.features.of(seen(images[some], view))
            self.computed += len(some)
            if self.on_progress is not None:
                self.on_progress(first + len(some), len(places))


def _check(key: bytes, data: bytes) -> bytes:
    return hashlib.blake2b(key + data, digest_size=_CHECK).digest()
