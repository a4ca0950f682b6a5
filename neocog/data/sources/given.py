"""Pictures that are passed as objects: files, the bytes of files, or pixels."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from neocog.arrays import as_array
from neocog.data.picture import turn_of
from neocog.data.picture_kinds import LARGEST_FILE
from neocog.data.pixels import scaled
from neocog.data.sources.pixel_files.batches import as_pixels
from neocog.errors import DataError, printable
from neocog.files import read_bytes, user_path
from neocog.validation import file_path, shown

__all__ = ["GivenStore", "as_given"]

_CHANNELS = (1, 3, 4)


class GivenStore:
    """Pictures in the order in which they were given.

    Args:
        given: results of `as_given`.
    """

    def __init__(self, given: "list[Path | bytes | NDArray[np.uint8]]") -> None:
        self._given = given

    def __len__(self) -> int:
        return len(self._given)

    def name(self, row: int) -> str:
        """The path of a file; the number of anything else."""
        one = self._given[row]
        return str(one) if isinstance(one, Path) else str(row)

    def stamp(self, row: int) -> str:
        """A file's path, length and time; empty if it is in memory or does not exist."""
        one = self._given[row]
        if not isinstance(one, Path):
            return ""
        try:
            status = one.stat()
        except OSError:  # reported when it is read
            return ""
        return f"{one.absolute()}\0{status.st_size}\0{status.st_mtime_ns}"

    def size(self, row: int) -> int:
        """Bytes of a file, or of pixels; 0 if the file does not exist."""
        one = self._given[row]
        if isinstance(one, Path):
            try:
                return one.stat().st_size
            except OSError:
                return 0
        return len(one) if isinstance(one, bytes) else one.nbytes

    def read(self, row: int) -> bytes | NDArray[np.uint8]:
        """A file's content, or pixels."""
        one = self._given[row]
        return read_bytes(one, LARGEST_FILE) if isinstance(one, Path) else one


def as_given(image: Any, layout: str, what: str) -> "Path | bytes | NDArray[np.uint8]":
    """Convert a picture for a store: a path, the bytes of a file, or pixels [h, w, channels].

    Args:
        image: a path, bytes, a Pillow image, or an array or tensor [height, width], or with
            channels in the order of `layout`, of bytes or of numbers from 0 to 1.
        layout: "NHWC" or "NCHW".
        what: what messages call it.

    Raises:
        DataError: it is none of these.
    """
    if isinstance(image, str | os.PathLike):
        return user_path(file_path(what, image, error=DataError))
    if isinstance(image, bytes | bytearray):
        return bytes(image)
    if isinstance(image, Image.Image):
        return _of_pillow(image, what)
    if not hasattr(image, "__array__") and not hasattr(image, "__array_interface__"):
        raise DataError(
            f"{what} (={shown(image)}) must be the path of a picture, the bytes of its file, an "
            "image of Pillow's or an array [height, width, channels]."
        )
    found = as_array(image, what)
    if found.ndim == 2:
        found = found[:, :, None]
    elif found.ndim == 3 and layout == "NCHW":
        found = found.transpose(1, 2, 0)
    if found.ndim != 3 or found.shape[2] not in _CHANNELS or 0 in found.shape:
        order = "[height, width, channels]" if layout == "NHWC" else "[channels, height, width]"
        raise DataError(
            f"{what} must be one picture {order} of 1, 3 or 4 channels, not "
            f"{list(np.shape(image))}."
        )
    return np.ascontiguousarray(as_pixels(found, what))


def _of_pillow(image: Image.Image, what: str) -> NDArray[np.uint8]:
    """Its pixels, as reading its file would give them."""
    try:
        image.load()
        turn = turn_of(image)  # type: ignore[arg-type]  # all of Pillow's images have EXIF data
        size = (image.height, image.width) if turn.sideways else image.size
        mode = "L" if image.mode in ("1", "L", "LA", "La") or image.mode.startswith("I") else "RGB"
        made = scaled(image, image.size, size, mode, turn)
    except Exception as error:  # Pillow's decoders raise nearly anything
        raise DataError(f"{what} cannot be decoded: {printable(str(error))}.") from error
    return np.asarray(made, np.uint8).reshape(size[1], size[0], -1)
