"""One picture file, as the network's input size wants it."""

import io
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from neocog.errors import DataError

__all__ = ["read_picture"]

# More pixels than any camera's; a file may claim any size in a few bytes.
_MOST_PIXELS = 100_000_000
# Not pictures but programs that draw one, which Pillow leaves to an interpreter.
_DRAWN = ("EPS", "WMF")


def read_picture(path: str | Path | bytes, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Read an image file that Pillow knows, scaled to `shape`, (channels, height, width).

    The whole picture is scaled, not cropped, and turned as its EXIF data say; of several frames
    the first is taken. 1 channel is grey, 3 are RGB, transparency lies on white, 16 bits become 8.
    The size is looked at before anything is decoded.

    Args:
        path: of the file, or the bytes that such a file holds.
        shape: of the network's input.

    Returns:
        uint8 [height, width, channels].

    Raises:
        DataError: no such file, not an image, damaged, or absurdly large.
    """
    name = "The picture" if isinstance(path, bytes) else path
    channels, height, width = shape
    if channels not in (1, 3):
        raise DataError(f"The network takes {channels} channels; pictures have 1 or 3.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own about size and metadata
            with Image.open(io.BytesIO(path) if isinstance(path, bytes) else path) as picture:
                w, h = picture.size
                if w * h > _MOST_PIXELS:
                    raise DataError(
                        f"{name} is {w} × {h} pixels, more than the {_MOST_PIXELS:,} that are "
                        "read. Scale it down first."
                    )
                if picture.format in _DRAWN:
                    raise DataError(
                        f"{name} is a drawing ({picture.format}): save it as PNG first."
                    )
                side = max(width, height)
                picture.draft("RGB", (side, side))  # lets a JPEG decode small at once
                flat = _flat(ImageOps.exif_transpose(picture), name)
                mode = "L" if channels == 1 else "RGB"
                small = flat.convert(mode).resize((width, height), Image.Resampling.LANCZOS)
    except DataError:
        raise
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise DataError(f"{name}: {error.strerror}.") from error
    except UnidentifiedImageError as error:
        raise DataError(f"{name} is not an image that Pillow knows.") from error
    except Image.DecompressionBombError as error:
        raise DataError(f"{name} is too large: {error}. Scale it down first.") from error
    except Exception as error:  # Pillow's decoders raise nearly anything
        raise DataError(f"{name} cannot be decoded: {error}.") from error
    return np.asarray(small, dtype=np.uint8).reshape(height, width, channels)


def _flat(picture: Image.Image, name: str | Path) -> Image.Image:
    """Eight bits a channel, on white."""
    if picture.mode == "F":
        raise DataError(
            f"{name} has floating-point pixels of no known range: save it as PNG first."
        )
    if picture.mode.startswith("I"):
        # Pillow's own conversion cuts all above 255 off.
        wide = np.asarray(picture, dtype=np.int64)
        return Image.fromarray((wide >> 8).clip(0, 255).astype(np.uint8))
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture.convert("RGBA"))
    return picture
