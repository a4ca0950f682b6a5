"""Decode once: the pixels of pictures are cached on disk and memory-mapped from then on.

There is one entry per part of a source, shape and way of resizing. Its key is a hash of everything
that the pixels depend on: where the source is, the pictures' stamps in order, the shape, the
resizing, and the code that decodes (`decoders`). So no entry is ever wrong.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.data.cache.cache_entry import About, EntryWriter
from neocog.data.cache.cache_room import NotKeptError, kept
from neocog.data.cache.decoders import decoders
from neocog.data.decoding import BadPicture, decode
from neocog.data.progress import Progress
from neocog.data.sources.base import Pictures
from neocog.limits import require_memory
from neocog.preprocessing import Resize

__all__ = ["Decoded", "Decoding", "key_of", "stamps_of"]

# Bytes that are decoded before they are written, while the next ones are decoded.
_CHUNK = 2**26
# Bad pictures that are tried again together.
_FEW = 64


@dataclass(frozen=True, eq=False)
class Decoded:
    """The pictures of a part that could be read.

    Attributes:
        images: uint8 [n, height, width, channels], mapped from a file or in memory.
        bad: the pictures that could not be read.
        digest: SHA-256 of `images`, if it is known.
        why_not_kept: for the user, why the images are not cached; empty if that is no news.
    """

    images: NDArray[np.uint8]
    bad: list[BadPicture]
    digest: str | None = None
    why_not_kept: str = ""


@dataclass(frozen=True)
class Decoding:
    """How the parts of one source are decoded.

    Attributes:
        shape: (channels, height, width) of each image.
        resize: how pictures of other sizes are made to fit.
        threads: how many decode at once.
        kind: kind of the source, for people.
        name: name of the data, for people.
        place: where the source is.
    """

    shape: tuple[int, int, int]
    resize: Resize
    threads: int
    kind: str = ""
    name: str = ""
    place: str = ""

    def decoded(
        self, pictures: Pictures, progress: Progress | None = None, before: int = 0, of: int = 0
    ) -> Decoded:
        """The pictures, from the cache if they are there; otherwise decoded and cached.

        If the cache has no folder or space for them, or they are pixels in memory already, they are
        decoded into memory.

        Args:
            pictures: those of one part.
            progress: called as pictures are decoded, by this process or another.
            before: number of pictures of other parts that are done.
            of: number of pictures in all parts.

        Raises:
            NeocogError: there is not enough memory.
        """

        def decoding(done: int) -> None:
            if progress is not None:
                progress("decoding", before + done, of)

        stamps = stamps_of(pictures)
        if not stamps:
            return self._in_memory(pictures, decoding, "")
        settings = ["pixels", self.shape, self.resize.to_dict()]
        key = key_of(settings, self.place, stamps)
        bad: list[BadPicture] = []

        def make(writer: EntryWriter) -> None:
            bad[:] = self._write(key, pictures, writer, decoding)

        def fits(about: About, _array: NDArray[np.uint8]) -> bool:
            if about.shape != (len(pictures) - len(about.bad), *self._image_shape):
                return False
            # A picture that could not be read may be readable now, if permissions were the reason.
            bad[:] = self._tried_again(pictures, about.bad)
            return len(bad) == len(about.bad)

        def waiting(written: int) -> None:
            if progress is not None:
                done = min(written // self._image_bytes, len(pictures))
                progress("waiting for another run", before + done, of)

        try:
            about, images = kept(key, len(pictures) * self._image_bytes, make, fits, waiting)
        except NotKeptError as error:
            return self._in_memory(pictures, decoding, str(error))
        return Decoded(images, bad, about.digest)

    @property
    def _image_shape(self) -> tuple[int, int, int]:
        channels, height, width = self.shape
        return height, width, channels

    @property
    def _image_bytes(self) -> int:
        height, width, channels = self._image_shape
        return height * width * channels

    def _some(
        self,
        pictures: Pictures,
        into: NDArray[np.uint8],
        first: int,
        progress: Callable[[int], None] | None = None,
    ) -> list[BadPicture]:
        """Decode pictures from index `first` on; returns the bad ones, with indices into all."""
        places = np.arange(first, first + len(into))

        def counted(done: int, _of: int) -> None:
            if progress is not None:
                progress(first + done)

        part = pictures.take(places)
        bad = decode(part, into, self.resize, threads=self.threads, progress=counted)
        return [one._replace(place=first + one.place) for one in bad]

    def _write(
        self, key: str, pictures: Pictures, writer: EntryWriter, progress: Callable[[int], None]
    ) -> list[BadPicture]:
        """Decode into an entry, in which bad pictures leave no gaps; returns the bad ones."""
        rows = max(1, min(_CHUNK // self._image_bytes, len(pictures)))
        require_memory(2 * rows * self._image_bytes, f"{rows:,} images", "Choose a smaller size.")
        # One buffer is written while the other is filled.
        buffers = [np.empty((rows, *self._image_shape), np.uint8) for _ in range(2)]
        found: list[BadPicture] = []
        with ThreadPoolExecutor(1) as writing:
            written: Future[None] | None = None
            for first in range(0, len(pictures), rows):
                images = buffers[first // rows % 2][: len(pictures) - first]
                bad = self._some(pictures, images, first, progress)
                found += bad
                if written is not None:
                    written.result()
                written = writing.submit(
                    writer.add, _without(images, [one.place - first for one in bad])
                )
            if written is not None:
                written.result()
        writer.finish(
            key=key,
            kind=self.kind,
            name=self.name,
            item_shape=self._image_shape,
            bad=tuple(one.place for one in found),
            maker=decoders(),
        )
        return found

    def _tried_again(self, pictures: Pictures, places: Sequence[int]) -> list[BadPicture]:
        if places and not places[-1] < len(pictures):
            return []
        found: list[BadPicture] = []
        scratch = np.empty((min(_FEW, len(places)), *self._image_shape), np.uint8)
        for first in range(0, len(places), _FEW):
            some = places[first : first + _FEW]
            part = pictures.take(np.array(some, np.int64))
            bad = decode(part, scratch[: len(some)], self.resize, threads=self.threads)
            found += [one._replace(place=some[one.place]) for one in bad]
        return found

    def _in_memory(self, pictures: Pictures, progress: Callable[[int], None], why: str) -> Decoded:
        size = len(pictures) * self._image_bytes
        purpose, remedy = f"{len(pictures):,} images", "Choose a smaller size."
        if why:
            purpose += f", which cannot be kept on the disk ({why}),"
            remedy = (
                "Choose a smaller size, free space on the disk, name a cache folder on another "
                "disk with NEOCOG_CACHE_DIR, or let the cache take more with NEOCOG_CACHE_SHARE."
            )
        require_memory(size, purpose, remedy)
        images = np.empty((len(pictures), *self._image_shape), np.uint8)
        bad = self._some(pictures, images, 0, progress)
        return Decoded(_without(images, [one.place for one in bad]), bad, why_not_kept=why)


def _without(images: NDArray[np.uint8], places: list[int]) -> NDArray[np.uint8]:
    """The images without those at some indices; later ones move up in place."""
    if not places:
        return images
    keep = np.ones(len(images), np.bool_)
    keep[places] = False
    for to, place in enumerate(np.flatnonzero(keep)):
        if to != place:
            images[to] = images[place]
    return images[: len(images) - len(places)]


def stamps_of(pictures: Pictures) -> list[str]:
    """The stamps of the pictures; empty if any is unknown, as for pixels in memory."""
    if hasattr(pictures.store, "pixels"):
        return []
    stamps = [pictures.store.stamp(row) for row in pictures.rows.tolist()]
    return stamps if all(stamps) else []


def key_of(settings: Any, place: str, stamps: Sequence[str]) -> str:
    """The cache key of something made from pictures: 32 hex digits.

    Args:
        settings: what is made, and how, as plain data.
        place: where the source is.
        stamps: the pictures' stamps, in order.
    """
    text = json.dumps([settings, decoders(), place, stamps])  # JSON keeps the parts distinct
    return hashlib.sha256(text.encode()).hexdigest()[:32]
