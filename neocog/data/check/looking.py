"""One picture, read from the first byte to the last: what it is, and what tells it from others."""

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

#: Pictures are compared pixel by pixel up to this side, and larger ones scaled down to it, so that
#: hardly more memory is taken than training takes.
LARGEST_SIDE = 1024

#: What is said of how pixels are stored.
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

#: Kinds of files, "pixels" for what is in memory.
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
    """What is known of a picture before it is decoded.

    Attributes:
        kind: one of `KINDS`.
        mode: one of `MODES`.
        size: width and height as it is seen.
        turned: whether its EXIF data turn it.
    """

    kind: str
    mode: str
    size: tuple[int, int]
    turned: bool


@dataclass(frozen=True)
class Look:
    """What was seen of a picture.

    Attributes:
        head: what was known before.
        content: digest of its bytes, or of its pixels where it has no bytes.
        pixels: digest of its size and its pixels, as RGB on white.
        thumbnail: uint8 [32, 32, 3], all of it.
    """

    head: Head
    content: bytes
    pixels: bytes
    thumbnail: NDArray[np.uint8]


def kind_by_name(name: str) -> str | None:
    """The kind of file that a name's ending says; None if it says none."""
    return _ENDINGS.get(PurePath(name).suffix.lower())


def look(content: bytes | NDArray[np.uint8]) -> Look:
    """Decode a picture whole.

    Args:
        content: of a picture's file, or pixels [height, width, channels].

    Raises:
        DataError: it cannot be decoded; in words that follow its name.
    """
    found = head(content)
    try:
        pixels = _fitted(content, within(found.size, LARGEST_SIDE))
    except DataError:
        # It may still train, at a smaller size, which takes a little less memory.
        pixels = _fitted(content, within(found.size, SIDE))
    thumbnail = fit_picture(pixels, (3, SIDE, SIDE), _SMALL)
    data = content if isinstance(content, bytes) else np.ascontiguousarray(content).data
    return Look(found, _digest(data), _digest(pixels.data, found.size), thumbnail)


def _fitted(content: bytes | NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(fit_picture(content, (3, size[1], size[0]), _EXACT))


def within(size: tuple[int, int], side: int) -> tuple[int, int]:
    """A width and height, scaled down until none is larger than `side`."""
    larger = max(size)
    if larger <= side:
        return size
    return max(1, size[0] * side // larger), max(1, size[1] * side // larger)


def _digest(data: Any, size: tuple[int, int] | None = None) -> bytes:
    found = hashlib.blake2b(repr(size).encode(), digest_size=16)
    found.update(data)
    return found.digest()


def head(content: bytes | NDArray[np.uint8]) -> Head:
    """What a picture is, without decoding it; arguments and errors as of `look`."""
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
    # Pillow keeps eight bits of colors, and knows of more only while it unpacks them.
    if found.startswith("RGB") and any(";16" in repr(tile[3]) for tile in picture.tile):
        return f"16-bit {found}"
    if "transparency" in picture.info and not found.endswith("alpha"):
        return {"gray": "gray + alpha", "RGB": "RGB + alpha", "palette": "palette + alpha"}.get(
            found, found
        )
    return found
