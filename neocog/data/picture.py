"""Reads one picture file and fits it to a network's input."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.PngImagePlugin import PngImageFile

from neocog.data.fast_jpeg import decode_jpeg, decode_plain_jpeg
from neocog.data.fast_png import decode_plain_png
from neocog.data.picture_kinds import LARGEST_FILE, PictureFile, check_cost, open_picture
from neocog.data.pixels import TURNS, ColorKey, Turn, scaled
from neocog.data.quiet import quiet
from neocog.data.resizing import leaves_alone, placed
from neocog.errors import DataError, printable
from neocog.files import open_regular, user_path
from neocog.preprocessing import Resize

__all__ = ["fit_picture", "read_picture", "turn_of"]

_USUAL = Resize()
# Pillow's modes by number of channels.
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
# Characters of a file's name that are shown.
_LONGEST = 300
_ORIENTATION = 0x0112  # the EXIF tag


def read_picture(
    path: str | Path | bytes, shape: tuple[int, int, int], resize: Resize = _USUAL
) -> NDArray[np.uint8]:
    """Read an image file and fit it to `shape`, (channels, height, width).

    PNG, JPEG, GIF, BMP, WEBP, TIFF, PPM (also PGM and PBM) and, if Pillow supports it, AVIF are
    read. The picture is rotated as its EXIF data say; of several frames the first is used. 1
    channel is gray, 3 are RGB. Transparency is shown on white, and of 16 bits the upper 8 are used.
    Color profiles are ignored: colors are used as they are stored. The same picture gives the same
    pixels in any format, except that a JPEG of more than 64 megapixels is decoded at half its size
    or less: this costs at most 2 levels, and more only if memory is too short to decode the whole.

    The size is checked before anything is decoded: decoding may take at most 1 GiB, and much less
    for a small file.

    Args:
        path: of the file, or the bytes of such a file.
        shape: shape of the network's input.
        resize: how a picture of another size is fitted; a network's is in its preprocessing.

    Returns:
        uint8 [height, width, channels].

    Raises:
        DataError: there is no such file, it is not an image, damaged, or absurdly large.
    """
    name = "The picture" if isinstance(path, bytes) else printable(str(path), _LONGEST)
    try:
        with _opened(path) as file:
            return _decoded(file, shape, resize)
    except DataError as error:
        raise DataError(f"{name} {error}") from error
    except OSError as error:
        raise DataError(f"{name}: {error.strerror or error}.") from error


def fit_picture(
    content: bytes | NDArray[np.uint8], shape: tuple[int, int, int], resize: Resize = _USUAL
) -> NDArray[np.uint8]:
    """As `read_picture`, for the content of a file, or for pixels [height, width, channels].

    Raises:
        DataError: the message continues the picture's name.
    """
    if isinstance(content, bytes):
        with _opened(content) as file:
            return _decoded(file, shape, resize)
    channels, height, width = shape
    if content.shape == (height, width, channels) and leaves_alone(resize):
        return content
    if content.shape[2] not in _MODES:
        raise DataError(
            f"has {content.shape[2]} channels and cannot be scaled; pictures have 1, 3 or 4."
        )
    pixels = content[:, :, 0] if content.shape[2] == 1 else content
    picture = Image.fromarray(np.ascontiguousarray(pixels), _MODES[content.shape[2]])
    return _fitted(picture, picture.size, shape, resize, Turn(), None)


def _opened(path: str | Path | bytes) -> PictureFile:
    if isinstance(path, bytes):
        return PictureFile(io.BytesIO(path))  # type: ignore[arg-type]
    return PictureFile(open_regular(user_path(path)).detach())


def _decoded(file: PictureFile, shape: tuple[int, int, int], resize: Resize) -> NDArray[np.uint8]:
    """As `read_picture`; messages of `DataError` continue the picture's name."""
    if file.size > LARGEST_FILE:
        raise DataError(f"has {file.size:,} bytes: too large for a picture.")
    try:
        with quiet:
            return _read(file, shape, resize)
    except DataError:
        raise
    except MemoryError as error:
        raise DataError("takes more memory than there is. Scale it down first.") from error
    except Exception as error:  # Pillow's decoders raise nearly anything
        raise DataError(f"cannot be decoded: {printable(str(error))}.") from error


def _read(file: PictureFile, shape: tuple[int, int, int], resize: Resize) -> NDArray[np.uint8]:
    if (plain := decode_plain_jpeg(file) or decode_plain_png(file)) is not None:
        return _fitted(plain, plain.size, shape, resize, Turn(), None)
    kind, picture = open_picture(file)
    if picture.mode == "F":
        raise DataError("has floating-point pixels of no known range: save it as PNG first.")
    side = max(shape[1:])
    divisor = check_cost(kind, picture, file, (side, side))
    whole = picture.width / divisor, picture.height / divisor
    if divisor > 1:
        picture.draft("RGB", (picture.width // divisor, picture.height // divisor))
    key = _color_key(picture, file) if kind.name == "PNG" else None
    decoded: Image.Image | None = None
    if kind.name == "JPEG" and picture.mode == "RGB" and divisor == 1:
        decoded = decode_jpeg(file, picture.size)
    if decoded is None:
        file.rewind()
        picture.load()
        decoded = picture
    # Older versions of Pillow find out only now that a TIFF is rotated.
    box = whole if divisor > 1 else picture.size
    return _fitted(decoded, box, shape, resize, turn_of(picture), key)


def _fitted(
    picture: Image.Image,
    box: tuple[float, float],
    shape: tuple[int, int, int],
    resize: Resize,
    turn: Turn,
    key: ColorKey | None,
) -> NDArray[np.uint8]:
    """Fit the decoded picture to `shape`; arguments as in `scaled`."""
    channels, height, width = shape
    if channels not in (1, 3):
        raise DataError(f"cannot fit: the network takes {channels} channels, pictures have 1 or 3.")
    mode = "L" if channels == 1 else "RGB"
    across, down = reversed(box) if turn.sideways else box
    place = placed(resize, (across, down), (width, height))
    pixels = scaled(picture, box, place.size, mode, turn, key, place.region, resize.interpolation)
    if place.size == (width, height):
        return pixels
    whole: NDArray[np.uint8] = np.full((height, width, channels), resize.fill, np.uint8)
    whole[place.rows, place.columns] = pixels
    return whole


def turn_of(picture: ImageFile) -> Turn:
    """The rotation in its EXIF data; damaged data are ignored, as every viewer does."""
    try:
        return TURNS.get(picture.getexif().get(_ORIENTATION, 1), Turn())
    except Exception:  # the same decoders read them, which raise nearly anything
        return Turn()


def _color_key(picture: ImageFile, file: PictureFile) -> ColorKey | None:
    """The transparent color of a PNG without a palette, if it has one (tRNS)."""
    found = picture.info.get("transparency")
    if found is None or picture.mode == "P":
        return None
    color = found if isinstance(found, tuple) else (found,)
    file.rewind()
    depth = file.read(25)[24]  # in IHDR, the first chunk
    file.rewind()
    if depth < 16 or picture.mode != "RGB":
        return ColorKey(color, depth)
    # Pillow's mode for taking the second of two bytes is that of the other byte order.
    low = PngImageFile(file)
    low.tile = [_with_mode(tile, "RGB;16L") for tile in low.tile]
    file.rewind()
    low.load()
    return ColorKey(color, depth, low)


def _with_mode(tile: Any, mode: str) -> Any:
    """The next tile for Pillow to decode, in another raw mode; a named tuple since Pillow 11.1."""
    parts = (*tile[:3], mode)
    return parts if type(tile) is tuple else type(tile)(*parts)
