"""Decodes small, plain PNGs sooner, with identical pixels and identical refusals.

Pillow reads each chunk through Python objects, which takes several times as long as decoding a
picture of 32 × 32. The chunks of plain files are therefore found here, and only their pixels are
decoded by Pillow. What has any other chunk, or is damaged, is left to Pillow as a whole.
"""

import struct
import zlib

from PIL import Image

from neocog.data.picture_kinds import PictureFile

__all__ = ["decode_plain_png"]

# Larger pictures take so long to decode that their header does not matter.
_LARGEST, _LONGEST_SIDE = 2**22, 1024

_SIGNATURE = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR"
_END = b"\0\0\0\0IEND\xaeB`\x82"
# Pillow's modes by depth and color type, and what follows: deflate, no interlacing,
# https://www.w3.org/TR/png-3/#11IHDR.
_MODES = {
    b"\x08\0\0\0\0": "L",
    b"\x08\x02\0\0\0": "RGB",
    b"\x08\x04\0\0\0": "LA",
    b"\x08\x06\0\0\0": "RGBA",
}
# Chunks that change no pixel, and their lengths.
_PLAIN = {b"sRGB": 1, b"gAMA": 4, b"pHYs": 9}
_FIRST = 33  # where the chunk after IHDR begins
_MOST_PARTS = 64


def decode_plain_png(file: PictureFile) -> Image.Image | None:
    """The decoded picture if it is small and plain; otherwise None.

    The mode is L, LA, RGB or RGBA, as in the file.
    """
    if file.size > _LARGEST or file.peek(16)[:16] != _SIGNATURE:
        return None
    content = file.content()
    if len(content) < _FIRST or content[-12:] != _END or not _is_whole(content, 8, 13):
        return None
    width, height = struct.unpack_from(">II", content, 16)
    mode = _MODES.get(content[24:29])
    if mode is None or not 0 < width <= _LONGEST_SIDE or not 0 < height <= _LONGEST_SIDE:
        return None
    data = _compressed(content)
    if data is None:
        return None
    try:
        return Image.frombytes(mode, (width, height), data, "zip", mode, 0)
    except Exception:  # of any type; Pillow decodes again and reports it
        return None


def _compressed(content: bytes) -> bytes | None:
    """The compressed pixels; None if there are chunks that are not plain."""
    at, parts = _FIRST, []
    for _ in range(_MOST_PARTS):
        if at > len(content) - 12:
            return None
        length, name = struct.unpack_from(">I4s", content, at)
        end = at + 12 + length
        if name == b"IDAT":
            parts.append(content[at + 8 : end - 4])
        elif name == b"IEND":
            # It was seen at the end of the file; behind another one Pillow does not look.
            return b"".join(parts) if parts and end == len(content) else None
        elif parts or _PLAIN.get(name) != length or not _is_whole(content, at, length):
            return None
        at = end
    return None


def _is_whole(content: bytes, at: int, length: int) -> bool:
    """Whether the checksum of a chunk is right; Pillow checks those before the pixels."""
    end = at + 8 + length
    return end + 4 <= len(content) and content[end : end + 4] == struct.pack(
        ">I", zlib.crc32(content[at + 4 : end])
    )
