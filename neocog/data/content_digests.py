"""What the contents of pictures are told apart by, read once and kept."""

import hashlib
from collections.abc import Sequence

import numpy as np

from neocog.data.cache_entry import About, EntryWriter
from neocog.data.cache_room import NotKeptError, kept
from neocog.data.decoded_cache import key_of, stamps_of
from neocog.data.decoders import decoders
from neocog.data.sources.base import Pictures
from neocog.errors import DataError

__all__ = ["content_digests"]

_BYTES = 16


class _UnreadableError(Exception):
    """Some cannot be read, which is not kept: it may be a matter of rights."""


def content_digests(pictures: Pictures, place: str = "") -> Sequence[bytes | None]:
    """A digest of each picture's content, which only those of the same content share.

    They are kept on disk, if there is room, until a picture changes its stamp.

    Args:
        pictures: which.
        place: where the source lies.

    Returns:
        For each picture 16 bytes; None for one that cannot be read.
    """
    stamps = stamps_of(pictures)
    if not stamps:
        return _read(pictures)
    key = key_of("contents", place, stamps)
    found: list[bytes | None] = []

    def make(writer: EntryWriter) -> None:
        found[:] = _read(pictures)
        whole = b"".join(one for one in found if one is not None)
        if len(whole) < len(found) * _BYTES:
            raise _UnreadableError
        writer.add(np.frombuffer(whole, np.uint8).reshape(-1, _BYTES))
        writer.finish(key=key, kind="contents", name=place, item_shape=(_BYTES,), maker=decoders())

    def fits(about: About) -> bool:
        return about.shape == (len(pictures), _BYTES)

    try:
        _about, array = kept(key, len(pictures) * _BYTES, make, fits)
    except (NotKeptError, _UnreadableError):
        return found or _read(pictures)
    whole = array.tobytes()
    return [whole[n : n + _BYTES] for n in range(0, len(whole), _BYTES)]


def _read(pictures: Pictures) -> list[bytes | None]:
    return [_digest(pictures, n) for n in range(len(pictures))]


def _digest(pictures: Pictures, index: int) -> bytes | None:
    try:
        content = pictures.read(index)
    except (OSError, DataError):
        return None
    data = content if isinstance(content, bytes) else np.ascontiguousarray(content).data
    return hashlib.blake2b(data, digest_size=_BYTES).digest()
