"""Decodes color JPEGs faster, with identical pixels and identical refusals.

simplejpeg decodes if it is installed. It uses libjpeg-turbo, as Pillow does, but without copying
through Pillow's own rows of pixels. If it finds anything wrong with a file, even a missing end, the
file is left to Pillow, so that the same files are refused with the same messages.

Reading a header in Pillow takes four times as long as decoding a picture of 32 × 32. The headers of
small, ordinary JPEGs are therefore parsed here, without Pillow.
"""

import io

from PIL import Image, features
from PIL.JpegImagePlugin import JpegImageFile

from neocog.data.picture_kinds import PictureFile, takes_little

try:
    import simplejpeg
except ImportError:  # it is an extra: pip install 'neocog[fast-jpeg]'
    simplejpeg = None

__all__ = ["IS_HERE", "decode_jpeg", "decode_plain_jpeg"]

#: Whether simplejpeg is used; not if Pillow has another libjpeg, whose pixels may differ.
IS_HERE = simplejpeg is not None and bool(features.check("libjpeg_turbo"))
# Largest file that is read as a whole; Pillow reads one part at a time.
_LARGEST = 2**25

# Segments of a file, https://www.w3.org/Graphics/JPEG/itu-t81.pdf, table B.1: those that may
# precede the pixels of a plain JPEG. With any other, such as EXIF data, Pillow reads the header.
_BEFORE = frozenset((0xE0, 0xDB, 0xC4, 0xDD, 0xFE))  # JFIF, tables, restarts, a comment
_FRAMES = frozenset((0xC0, 0xC2))  # baseline, progressive
_SCAN = 0xDA
_MOST_PARTS = 64


def decode_jpeg(file: PictureFile, size: tuple[int, int]) -> Image.Image | None:
    """The decoded picture, of mode RGBX; None if Pillow must decode it.

    Args:
        file: a JPEG of three channels that Pillow has opened and whose size was checked.
        size: its width and height.
    """
    if not IS_HERE or file.size > _LARGEST:
        return None
    try:
        pixels = simplejpeg.decode_jpeg(file.content(), "RGBX")
    except ValueError:
        return None
    if pixels.shape[:2] != size[::-1]:
        return None
    return Image.frombuffer("RGBX", size, pixels, "raw", "RGBX", 0, 1)


def decode_plain_jpeg(file: PictureFile) -> Image.Image | None:
    """The decoded picture if its header is plain; otherwise None.

    The mode is RGB or RGBX.
    """
    if file.size > _LARGEST or file.peek(2)[:2] != b"\xff\xd8":
        return None
    content = file.content()
    size = _plain_size(content)
    if size is None or not takes_little(*size, file.size):
        return None
    found = decode_jpeg(file, size)
    if found is None:
        try:
            found = JpegImageFile(io.BytesIO(content))
            found.load()
        except Exception:  # of any type; Pillow decodes again and reports it
            return None
    return found if found.mode in ("RGB", "RGBX") else None


def _plain_size(content: bytes) -> tuple[int, int] | None:
    """Width and height of a plain JPEG of three channels and eight bits; None for any other."""
    at, size = 2, None
    for _ in range(_MOST_PARTS):
        if at + 10 > len(content) or content[at] != 0xFF:
            return None
        kind, length = content[at + 1], content[at + 2] << 8 | content[at + 3]
        if kind in _FRAMES and size is None:
            if content[at + 4] != 8 or content[at + 9] != 3:
                return None
            size = (
                content[at + 7] << 8 | content[at + 8],
                content[at + 5] << 8 | content[at + 6],
            )
        elif kind == _SCAN:
            return size
        elif kind not in _BEFORE:
            return None
        at += 2 + length
    return None
