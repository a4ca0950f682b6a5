"""The size of a PNG or JPEG by its first bytes, and whether decoding it takes next to no time.

A quick picture is decoded where requests are read, because handing it to another thread would take
longer. So it must be small, and have none of the parts that can make a small file slow to decode,
such as compressed text or many scans.
"""

import struct
from typing import NamedTuple

__all__ = ["Head", "head_of"]

# The largest quick picture: bytes of its file, and pixels; decoding one takes a millisecond or two.
_QUICK_BYTES, _QUICK_PIXELS = 2**17, 2**16
_MOST_PARTS = 64

_PNG = b"\x89PNG\r\n\x1a\n"
# Chunks without compressed text or profiles, https://www.w3.org/TR/png-3/#11Chunks
_PLAIN_CHUNKS = frozenset(
    (b"IHDR", b"PLTE", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"bKGD", b"pHYs", b"tIME")
)

# Segments, https://www.w3.org/Graphics/JPEG/itu-t81.pdf, table B.1.
_PLAIN_SEGMENTS = frozenset((0xE0, 0xDB, 0xC4, 0xDD, 0xFE))  # JFIF, tables, restarts, a comment
_FRAMES = frozenset((0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF))
_BASELINE, _SCAN = 0xC0, 0xDA


class Head(NamedTuple):
    """What the first bytes of a picture say.

    Attributes:
        pixels: width · height.
        is_quick: whether it can be decoded at once.
    """

    pixels: int
    is_quick: bool


def head_of(content: bytes) -> Head | None:
    """The head of a PNG or JPEG; None for other formats, and where it is not among the first parts.

    Nothing but sizes is checked: whoever decodes finds out what is damaged.
    """
    if content[:8] == _PNG:
        return _png(content)
    if content[:2] == b"\xff\xd8":
        return _jpeg(content)
    return None


def _png(content: bytes) -> Head | None:
    if len(content) < 24:
        return None
    width, height = struct.unpack_from(">II", content, 16)
    return Head(width * height, _is_small(content, width * height) and _is_plain_png(content))


def _is_plain_png(content: bytes) -> bool:
    at = 8
    for _ in range(_MOST_PARTS):
        if at + 8 > len(content):
            return False
        length, name = struct.unpack_from(">I4s", content, at)
        if name == b"IDAT":
            return True
        if name not in _PLAIN_CHUNKS:
            return False
        at += 12 + length
    return False


def _jpeg(content: bytes) -> Head | None:
    at, pixels, is_plain = 2, None, True
    for _ in range(_MOST_PARTS):
        if at + 10 > len(content) or content[at] != 0xFF:
            return None
        kind, length = content[at + 1], content[at + 2] << 8 | content[at + 3]
        if kind in _FRAMES:
            height, width = struct.unpack_from(">HH", content, at + 5)
            pixels = width * height
            is_plain = is_plain and kind == _BASELINE
        elif kind == _SCAN:
            break
        elif kind not in _PLAIN_SEGMENTS:
            is_plain = False
        at += 2 + length
    if pixels is None:
        return None
    quick = is_plain and _is_small(content, pixels) and content.count(b"\xff\xda") == 1
    return Head(pixels, quick)


def _is_small(content: bytes, pixels: int) -> bool:
    return pixels <= _QUICK_PIXELS and len(content) <= _QUICK_BYTES
