"""Decodes the pictures of requests: quick ones at once, others by threads, small and large apart.

So a large photograph, or a file that is made to take long, delays only others of its kind.
"""

import asyncio
import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from neocog.data.picture import fit_picture
from neocog.data.picture_kinds import PictureFile, open_picture
from neocog.data.quiet import quiet
from neocog.errors import DataError, printable
from neocog.http.refusal import RefusedError, overloaded
from neocog.preprocessing import Resize
from neocog.serving.headers import Head, head_of
from neocog.serving.limits import Limits
from neocog.serving.payload import Payload

__all__ = ["Decoded", "Decoding"]

#: The pixels of a picture, [height, width, channels], or why there are none.
Decoded = NDArray[np.uint8] | str

# Quick pictures of one request that are decoded without a thread.
_AT_ONCE = 8
# Pixels of a request that goes to the threads for small ones.
_SMALL = 4_000_000
# Pixels of requests that wait for a lane; about two seconds of work.
_MOST_WAITING = 200_000_000
# Scans of a JPEG times its pixels, per pixel that is accepted: each scan visits all pixels. A
# photograph has some ten.
_SCANS = 20
# What a picture is taken for whose head is in no common place.
_UNKNOWN = _SMALL + 1


class _Lane:
    """A thread, and the pixels that wait for it."""

    def __init__(self, name: str) -> None:
        self.thread = ThreadPoolExecutor(1, thread_name_prefix=f"neocog {name} pictures")
        self.pixels = 0


class Decoding:
    """The decoders of a worker.

    Args:
        limits: `pixels` of a request.
    """

    def __init__(self, limits: Limits) -> None:
        self._most = limits.pixels
        self._small, self._large = _Lane("small"), _Lane("large")

    async def decode(
        self, pictures: list[Payload], shape: tuple[int, int, int], resize: Resize
    ) -> list[Decoded]:
        """The pixels of pictures, fitted to `shape`; those of one request.

        Raises:
            RefusedError: they have more pixels than are accepted, or too many wait already.
        """
        heads = [head_of(picture.content or b"") for picture in pictures]
        if len(pictures) <= _AT_ONCE and all(head is not None and head.is_quick for head in heads):
            return [_decoded(picture, shape, resize) for picture in pictures]
        pixels = sum(_UNKNOWN if head is None else head.pixels for head in heads)
        if sum(head.pixels for head in heads if head is not None) > self._most:
            raise self._too_large()
        lane = self._small if pixels <= _SMALL else self._large
        if lane.pixels and lane.pixels + pixels > _MOST_WAITING:
            raise overloaded("Too many large pictures are waiting.")
        lane.pixels += pixels
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(
                lane.thread, self._decode_all, pictures, heads, shape, resize
            )
        finally:
            lane.pixels -= pixels

    def _decode_all(
        self,
        pictures: list[Payload],
        heads: list[Head | None],
        shape: tuple[int, int, int],
        resize: Resize,
    ) -> list[Decoded]:
        left = self._most - sum(head.pixels for head in heads if head is not None)
        scanned = 0
        for picture, head in zip(pictures, heads, strict=True):
            content = picture.content or b""
            if head is None:
                left -= _measured(content)
            elif content[:2] == b"\xff\xd8":
                scanned += head.pixels * content.count(b"\xff\xda")
        if left < 0 or scanned > _SCANS * self._most:
            raise self._too_large()
        return [_decoded(picture, shape, resize) for picture in pictures]

    def _too_large(self) -> RefusedError:
        return RefusedError(
            f"The pictures have more than the {self._most:,} pixels that are accepted in a "
            "request. Scale them down first.",
            413,
        )


def _measured(content: bytes) -> int:
    """Pixels by the header; 0 for a file that cannot be read, as decoding it will say why."""
    try:
        with quiet, PictureFile(io.BytesIO(content)) as file:  # type: ignore[arg-type]
            _kind, picture = open_picture(file)
            return int(picture.width) * int(picture.height)
    except MemoryError:
        raise RefusedError("The picture takes more memory than there is.", 413) from None
    except Exception:  # Pillow raises nearly anything
        return 0


def _decoded(picture: Payload, shape: tuple[int, int, int], resize: Resize) -> Decoded:
    if picture.content is None:
        return "is not base64."
    try:
        return fit_picture(picture.content, shape, resize)
    except DataError as error:
        return printable(str(error), 1000)
