"""JPEGs of colors decoded sooner: the same pixels, and the same files that are refused.

Where simplejpeg is installed, it decodes. It is libjpeg-turbo, as in Pillow, without the way
through Pillow's own lines of pixels. Whatever it finds amiss in a file, if only a missing end, is
left to Pillow, so that the same files are refused, in the same words.

Reading a header in Pillow takes four times as long as decoding a picture of 32 × 32. What is a JPEG
like most, and small, is seen here, and needs none of the looks at its header that others do.
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

#: Whether it is used: where Pillow has another libjpeg, its pixels may be others.
IS_HERE = simplejpeg is not None and bool(features.check("libjpeg_turbo"))
# Bytes of a file that is read as a whole; Pillow reads a part at a time.
_LARGEST = 2**25

# Parts of a file, https://www.w3.org/Graphics/JPEG/itu-t81.pdf, table B.1: what stands before the
# pixels of a plain JPEG. Where there is more, as how a camera was held, Pillow has a look.
_BEFORE = frozenset((0xE0, 0xDB, 0xC4, 0xDD, 0xFE))  # JFIF, tables, restarts, a comment
_FRAMES = frozenset((0xC0, 0xC2))  # baseline, progressive
_SCAN = 0xDA
_MOST_PARTS = 64


def decode_jpeg(file: PictureFile, size: tuple[int, int]) -> Image.Image | None:
    """The decoded picture, of mode RGBX; None where Pillow must do it.

    Args:
        file: a JPEG of three channels that Pillow has opened, and that is not too large.
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
    """The decoded picture, if it is a JPEG of which nothing else must be known; else None.

    Of mode RGB or RGBX.
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
        except Exception:  # Pillow's may be any; once more, where it becomes a message
            return None
    return found if found.mode in ("RGB", "RGBX") else None


def _plain_size(content: bytes) -> tuple[int, int] | None:
    """Width and height of a JPEG of three channels and eight bits; None if it is no plain one."""
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
