"""The size of a picture after EXIF rotation, without decoding it."""

import struct

from PIL.ImageFile import ImageFile

from neocog.data.picture import turn_of
from neocog.data.picture_kinds import Kind, PictureFile
from neocog.data.pixels import Turn
from neocog.errors import DataError

__all__ = ["seen_size"]

# More EXIF data, in bytes, than any camera writes.
_MOST_EXIF = 1 << 20


def seen_size(kind: Kind, picture: ImageFile, file: PictureFile) -> tuple[tuple[int, int], bool]:
    """The width and height of an opened picture, and whether its EXIF data rotate it.

    Nothing is decoded. The EXIF data of a PNG may follow its pixels, and Pillow would decode all of
    those to get there, however many they are. Here the chunks are skipped instead
    (https://www.w3.org/TR/png-3/, sections 5.3 and 11.3.4.5). The file is rewound.
    """
    if kind.name == "PNG" and "exif" not in picture.info:
        picture.info["exif"] = _exif(file)
    turn = turn_of(picture)
    width, height = picture.size
    # For a TIFF, Pillow reports the rotated size from the start.
    sideways = turn.sideways and kind.name != "TIFF"
    return ((height, width) if sideways else (width, height)), turn != Turn()


def _exif(file: PictureFile) -> bytes:
    """The EXIF data of a PNG; empty if it is damaged or has too many parts."""
    try:
        file.rewind()
        at = 8
        while at < file.size:
            file.seek(at)
            length, kind = struct.unpack(">L4s", file.read(8))
            if kind == b"eXIf" and length <= _MOST_EXIF:
                return b"Exif\0\0" + file.read(length)
            at += 12 + length
    except (struct.error, OSError, DataError):
        return b""
    finally:
        file.rewind()
    return b""
