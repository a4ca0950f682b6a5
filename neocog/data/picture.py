"""One picture file, as the network's input size wants it."""

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL.ImageFile import ImageFile
from PIL.PngImagePlugin import PngImageFile

from neocog.data.picture_kinds import LARGEST_FILE, PictureFile, check_cost, open_picture
from neocog.data.pixels import TURNS, ColorKey, Turn, scaled
from neocog.errors import DataError
from neocog.files import open_regular, user_path

__all__ = ["read_picture"]

_ORIENTATION = 0x0112  # the EXIF tag


def read_picture(path: str | Path | bytes, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Read an image file, scaled to `shape`, (channels, height, width).

    Read are PNG, JPEG, GIF, BMP, WEBP, TIFF, PPM (also PGM and PBM) and, if Pillow has it, AVIF.
    The whole picture is scaled, not cropped, and turned as its EXIF data say; of several frames
    the first is taken. 1 channel is gray, 3 are RGB, transparency lies on white, 16 bits become 8.
    The same picture gives the same pixels whatever its kind, but for what a JPEG of more than 64
    megapixels loses by being decoded at half its size or less, a level or two.

    The size is looked at before anything is decoded: decoding may take 1 GiB at most, and much
    less for a small file.

    Args:
        path: of the file, or the bytes that such a file holds.
        shape: of the network's input.

    Returns:
        uint8 [height, width, channels].

    Raises:
        DataError: no such file, not an image, damaged, or absurdly large.
    """
    name = "The picture" if isinstance(path, bytes) else str(path)
    channels = shape[0]
    if channels not in (1, 3):
        raise DataError(f"The network takes {channels} channels; pictures have 1 or 3.")
    try:
        with warnings.catch_warnings(), _opened(path) as file:
            warnings.simplefilter("ignore")  # Pillow's own about size and metadata
            if file.size > LARGEST_FILE:
                raise DataError(f"has {file.size:,} bytes: too large for a picture.")
            return _read(file, shape)
    except DataError as error:
        raise DataError(f"{name} {error}") from error
    except OSError as error:
        if error.strerror and error.filename is not None:
            raise DataError(f"{name}: {error.strerror}.") from error
        raise DataError(f"{name} cannot be decoded: {error}.") from error
    except MemoryError as error:
        raise DataError(f"{name} takes more memory than there is. Scale it down first.") from error
    except Exception as error:  # Pillow's decoders raise nearly anything
        raise DataError(f"{name} cannot be decoded: {error}.") from error


def _opened(path: str | Path | bytes) -> PictureFile:
    if isinstance(path, bytes):
        return PictureFile(io.BytesIO(path))  # type: ignore[arg-type]
    return PictureFile(open_regular(user_path(path)).detach())  # type: ignore[attr-defined]


def _read(file: PictureFile, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    channels, height, width = shape
    kind, picture = open_picture(file)
    if picture.mode == "F":
        raise DataError("has floating-point pixels of no known range: save it as PNG first.")
    side = max(width, height)
    divisor = check_cost(kind, picture, file, (side, side))
    box = picture.width / divisor, picture.height / divisor
    if divisor > 1:
        picture.draft("RGB", (picture.width // divisor, picture.height // divisor))
    key = _color_key(picture, file) if kind.name == "PNG" else None
    file.rewind()
    picture.load()
    mode = "L" if channels == 1 else "RGB"
    small = scaled(picture, box, (width, height), mode, _turn(picture), key)
    return np.asarray(small, dtype=np.uint8).reshape(height, width, channels)


def _turn(picture: ImageFile) -> Turn:
    """What its EXIF data say; those that are damaged say nothing, as to every viewer."""
    try:
        return TURNS.get(picture.getexif().get(_ORIENTATION, 1), Turn())
    except Exception:  # they are read by the same decoders
        return Turn()


def _color_key(picture: ImageFile, file: PictureFile) -> ColorKey | None:
    """The transparent color of a PNG that has one beside its colors; a palette has its own."""
    found = picture.info.get("transparency")
    if found is None or picture.mode == "P":
        return None
    color = found if isinstance(found, tuple) else (found,)
    file.rewind()
    depth = file.read(25)[24]  # in IHDR, which comes first
    file.rewind()
    if depth < 16 or picture.mode != "RGB":
        return ColorKey(color, depth)
    # Pillow's name for taking the second of two bytes is that of the other byte order.
    low = PngImageFile(file)
    low.tile = [_with_mode(tile, "RGB;16L") for tile in low.tile]
    file.rewind()
    low.load()
    return ColorKey(color, depth, low)


def _with_mode(tile: Any, mode: str) -> Any:
    """What Pillow decodes next, by another raw mode; a named tuple since Pillow 11.1."""
    parts = (*tile[:3], mode)
    return parts if type(tile) is tuple else type(tile)(*parts)
