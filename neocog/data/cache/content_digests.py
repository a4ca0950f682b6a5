"""Digests of the contents of pictures, computed once and cached."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neocog.data.cache.cache_entry import About, EntryWriter
from neocog.data.cache.cache_room import NotKeptError, kept
from neocog.data.cache.decoded_cache import key_of, stamps_of
from neocog.data.cache.decoders import decoders
from neocog.data.sources.base import Pictures
from neocog.errors import DataError
from neocog.limits import available_cores

__all__ = ["CONTENTS", "UNREADABLE", "content_digests"]

#: Kind of these cache entries; those of pixels have their source's kind.
CONTENTS = "contents"
#: Digest of a picture that cannot be read.
UNREADABLE = 0
# Bytes of a digest. If two contents have the same one by chance, they are on the same side of a
# split, which does no harm.
_BYTES = 8
# Pictures that a thread reads at a time.
_AT_A_TIME = 500


def content_digests(
    pictures: Pictures, place: str = "", threads: int | None = None
) -> NDArray[np.uint64]:
    """A digest of each picture's content, uint64 [n]; equal contents have equal digests.

    Digests are cached on disk, if there is space, until the stamp of a picture changes.

    Args:
        pictures: the pictures.
        place: where the source is.
        threads: number of threads that read; None uses as many as this process may use.
    """
    stamps = stamps_of(pictures)
    if not stamps:
        return _read(pictures, threads)
    key = key_of("contents", place, stamps)
    found: list[NDArray[np.uint64]] = []

    def make(writer: EntryWriter) -> None:
        found.append(_read(pictures, threads))
        if (found[0] == UNREADABLE).any():  # permissions may be the reason, so try again next time
            raise NotKeptError
        writer.add(found[0].view(np.uint8).reshape(-1, _BYTES))
        writer.finish(
            key=key, kind=CONTENTS, name=Path(place).name, item_shape=(_BYTES,), maker=decoders()
        )

    def fits(about: About, _array: NDArray[np.uint8]) -> bool:
        return about.shape == (len(pictures), _BYTES)

    try:
        _about, array = kept(key, len(pictures) * _BYTES, make, fits)
    except NotKeptError:
        return found[0] if found else _read(pictures, threads)
    return array.view("<u8").reshape(-1)


def _read(pictures: Pictures, threads: int | None) -> NDArray[np.uint64]:
    """The digests, as bytes in the same order on every machine."""

    def some(begin: int) -> list[int]:
        end = min(begin + _AT_A_TIME, len(pictures))
        return [_digest(pictures, n) for n in range(begin, end)]

    begins = range(0, len(pictures), _AT_A_TIME)
    with ThreadPoolExecutor(threads or available_cores()) as pool:
        try:
            # A pool starts its threads on demand, so none is started if nothing is read.
            ask = pool.map if len(begins) > 1 else map
            return np.array(list(chain.from_iterable(ask(some, begins))), "<u8")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _digest(pictures: Pictures, index: int) -> int:
    try:
        content = pictures.read(index)
    except (OSError, DataError):
        return UNREADABLE
    data = content if isinstance(content, bytes) else np.ascontiguousarray(content).data
    return int.from_bytes(hashlib.blake2b(data, digest_size=_BYTES).digest(), "little")
