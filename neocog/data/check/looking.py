"""Reads one picture completely: its format, and digests that tell it from others."""

import hashlib
import io
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neocog.data.check.perceptual_hash import SIDE
from neocog.data.picture import fit_picture
from neocog.data.picture_kinds import PictureFile, open_picture
from neocog.data.quiet import quiet
from neocog.data.turning import seen_size
from neocog.errors import DataError, printable
from neocog.preprocessing import Resize

__all__ = [
    "KINDS",
    "LARGEST_SIDE",
    "MODES",
    "Head",
    "Look",
    "head",
    "kind_by_name",
    "look",
    "within",
]

#: Pictures are compared pixel by pixel up to this side; larger ones are scaled down to it first, so
#: that checking takes hardly more memory than training.
LARGEST_SIDE = 1024

#: Names of the ways to store pixels.
MODES = (
    "gray",
    "gray + alpha",
    "RGB",
    "RGB + alpha",
    "palette",
    "palette + alpha",
    "black and white",
    "CMYK",
    "16-bit gray",
    "16-bit RGB",
    "16-bit RGB + alpha",
    "other",
)
_MODES = {
    "L": "gray",
    "LA": "gray + alpha",
    "La": "gray + alpha",
    "RGB": "RGB",
    "RGBA": "RGB + alpha",
    "RGBa": "RGB + alpha",
    "P": "palette",
    "PA": "palette + alpha",
    "1": "black and white",
    "CMYK": "CMYK",
    "I": "16-bit gray",
}
_OF_CHANNELS = {1: "gray", 3: "RGB", 4: "RGB + alpha"}

#: Formats of files; "pixels" is for pictures in memory.
KINDS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "AVIF", "pixels")
_ENDINGS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG"),
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    **dict.fromkeys((".ppm", ".pgm", ".pbm", ".pnm"), "PPM"),
    **dict.fromkeys((".bmp", ".dib"), "BMP"),
    ".png": "PNG",
    ".gif": "GIF",
    ".webp": "WEBP",
    ".avif": "AVIF",
}

_EXACT, _SMALL = Resize("stretch", "box"), Resize("stretch", "bilinear")


class Head(NamedTuple):
    """Properties of a picture that are known before it is decoded.

    Attributes:
        kind: one of `KINDS`.
        mode: one of `MODES`.
        size: width and height, after EXIF rotation.
        turned: whether its EXIF data rotate or mirror it.
    """

    kind: str
    mode: str
    size: tuple[int, int]
    turned: bool


@dataclass(frozen=True)
class Look:
    """Properties of a decoded picture.

    Attributes:
        head: properties from before decoding.
        content: digest of its bytes, or of its pixels if it is in memory.
        pixels: digest of its size and its pixels, as RGB on white.
        thumbnail: uint8 [32, 32, 3], the whole picture.
    """

    head: Head
    content: bytes
    pixels: bytes
    thumbnail: NDArray[np.uint8]


def kind_by_name(name: str) -> str | None:
    """The format that a file name's ending stands for; None if unknown."""
    return _ENDINGS.get(PurePath(name).suffix.lower())


def look(content: bytes | NDArray[np.uint8]) -> Look:
    """Decode a whole picture.

    Args:
        content: the bytes of a picture file, or pixels [height, width, channels].

    Raises:
        DataError: it cannot be decoded; the message continues the picture's name.
    """
    found = head(content)
    try:
        pixels = _fitted(content, within(found.size, LARGEST_SIDE))
    except DataError:
        # It may still be usable for training, whose smaller size takes a little less memory.
        pixels = _fitted(content, within(found.size, SIDE))
    thumbnail = fit_picture(pixels, (3, SIDE, SIDE), _SMALL)
    data = content if isinstance(content, bytes) else np.ascontiguousarray(content).data
    return Look(found, _digest(data), _digest(pixels.data, found.size), thumbnail)


def _fitted(content: bytes | NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(fit_picture(content, (3, size[1], size[0]), _EXACT))


def within(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Scale a width and height down until neither is larger than `side`."""
    larger = max(size)
    if larger <= side:
        return size
    return max(1, size[0] * side // larger), max(1, size[1] * side // larger)


def _digest(data: Any, size: tuple[int, int] | None = None) -> bytes:
    found = hashlib.blake2b(repr(size).encode(), digest_size=16)
    found.update(data)
    return found.digest()


def head(content: bytes | NDArray[np.uint8]) -> Head:
    """Properties of a picture, without decoding it; arguments and errors as in `look`."""
    if not isinstance(content, bytes):
        height, width, channels = content.shape
        return Head("pixels", _OF_CHANNELS.get(channels, "other"), (width, height), False)
    try:
        with quiet, PictureFile(io.BytesIO(content)) as file:  # type: ignore[arg-type]
            kind, picture = open_picture(file)
            size, turned = seen_size(kind, picture, file)
            return Head(kind.name, _mode(picture), size, turned)
    except DataError:
        raise
    except Exception as error:  # Pillow's decoders raise nearly anything
        raise DataError(f"cannot be decoded: {printable(str(error))}.") from error


def _mode(picture: Any) -> str:
    if picture.mode.startswith("I;16"):
        return "16-bit gray"
    found = _MODES.get(picture.mode, "other")
    # Pillow keeps eight bits per channel, and knows about more only while it unpacks them.
    if found.startswith("RGB") and any(";16" in repr(tile[3]) for tile in picture.tile):
        return f"16-bit {found}"
    if "transparency" in picture.info and not found.endswith("alpha"):
        return {"gray": "gray + alpha", "RGB": "RGB + alpha", "palette": "palette + alpha"}.get(
            found, found
        )
    return found
