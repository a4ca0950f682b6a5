"""Picture formats that are read, and the memory that decoding a file would take.

Only formats in common use are read, of the forty or so that Pillow knows, since a file could attack
each decoder. A file of a few bytes may claim any size, so the memory is computed from its header
before anything is decoded.
"""

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
from PIL.ImageFile import ImageFile

from neocog.errors import DataError
from neocog.limits import available_memory

try:
    from PIL import AvifImagePlugin  # only newer versions of Pillow have it
except ImportError:  # pragma: no cover
    AvifImagePlugin = None  # type: ignore[assignment]

__all__ = [
    "KINDS",
    "LARGEST_FILE",
    "Kind",
    "PictureFile",
    "check_cost",
    "open_picture",
    "takes_little",
]

#: Largest picture file in bytes; one of a hundred megapixels without compression has 400 million.
LARGEST_FILE = 2**30

# Memory in bytes that any picture may take, and that no picture may exceed. In between, a file may
# take a multiple of its own size (`Kind.ratio`): a photograph of 100 megapixels is read, and the
# same size compressed to a few kilobytes is not.
_ANY, _NONE = 2**26, 2**30
# Largest number of pixels; more for a JPEG, which can be decoded at a fraction of its size.
_MOST_PIXELS, _MOST_JPEG = 100_000_000, 400_000_000
# JPEGs of more pixels than this are decoded at a fraction of their size if that is still this many
# times as large as the result: then no pixel is off by more than 2. At 20 times, and with sizes
# that are not multiples of 8 pixels, sharp edges were off by 4.
_WHOLE_JPEG = 64_000_000
_LARGER = 40
# Values of one TIFF tag, such as strip offsets: Pillow makes an object of each.
_MOST_VALUES = 100_000
_MOST_TAGS = 1_000
# Scans of a progressive JPEG times its pixels: each scan visits all pixels, however short it is.
_MOST_SCANNED = 5_000_000_000
# Pixels of a compressed BMP of any length, and how many more for each of its bytes: Pillow unpacks
# them in Python, one by one where a row ends early.
_MOST_UNPACKED, _UNPACKED_A_BYTE = 4_000_000, 8


@dataclass(frozen=True)
class Kind:
    """A picture format.

    Attributes:
        name: name for people.
        begins: signatures of its files, each (offset, bytes).
        open: reads the header.
        ratio: bytes of memory per byte of the file that are usual, with a margin.
        pixel: bytes per pixel that decoding takes besides Pillow's own pixels.
        reads: number of reads that the decoder may do per byte of the file.
    """

    name: str
    begins: tuple[tuple[int, bytes], ...]
    open: Callable[["PictureFile"], ImageFile]
    ratio: int = 100
    pixel: int = 0
    reads: float = 1 / 256


# Lossy formats compress photographs more. WebP's decoder has two canvases and returns copies,
# AVIF's has planes and a copy. Pillow reads each byte of a compressed BMP by itself, and each pixel
# of a PPM whose maximum is not 255.
KINDS = (
    Kind("PNG", ((0, b"\x89PNG\r\n\x1a\n"),), PngImagePlugin.PngImageFile),
    Kind("JPEG", ((0, b"\xff\xd8\xff"),), JpegImagePlugin.JpegImageFile, ratio=400),
    Kind("GIF", ((0, b"GIF87a"), (0, b"GIF89a")), GifImagePlugin.GifImageFile),
    Kind("BMP", ((0, b"BM"),), BmpImagePlugin.BmpImageFile, pixel=4, reads=1),
    Kind("WEBP", ((8, b"WEBP"),), WebPImagePlugin.WebPImageFile, ratio=1000, pixel=16),
    Kind(
        "TIFF",
        ((0, b"II*\0"), (0, b"MM\0*"), (0, b"II+\0")),
        TiffImagePlugin.TiffImageFile,
    ),
    Kind(
        "PPM",
        tuple((0, b"P%d%c" % (n, space)) for n in range(1, 7) for space in b" \t\r\n"),
        PpmImagePlugin.PpmImageFile,
        reads=1,
    ),
    *(
        (
            Kind(
                "AVIF",
                tuple((4, b"ftyp" + brand) for brand in (b"avif", b"avis", b"mif1", b"msf1")),
                AvifImagePlugin.AvifImageFile,
                ratio=1000,
                pixel=16,
            ),
        )
        if AvifImagePlugin is not None
        else ()
    ),
)

_UNKNOWN = "is not an image that Pillow knows."
# Other common formats, so that the message can say what to do.
_OTHERS = {
    "drawing (EPS)": ((0, b"%!PS"), (0, b"\xc5\xd0\xd3\xc6")),  # programs that draw a picture
    "drawing (WMF)": ((0, b"\xd7\xcd\xc6\x9a"),),
    "HEIC photograph": ((4, b"ftyphei"), (4, b"ftyphev")),
    "JPEG 2000 file": ((4, b"jP  "), (0, b"\xff\x4f\xff\x51")),
    "Photoshop file": ((0, b"8BPS"),),
    "texture (BLP)": ((0, b"BLP"),),
    "texture (DDS)": ((0, b"DDS "),),
}


class PictureFile(io.BufferedReader):
    """A picture file that limits how many parts may be read.

    Files can be cut into millions of empty parts, each of which Pillow would handle in Python.
    """

    def __init__(self, raw: io.RawIOBase) -> None:
        super().__init__(raw)
        self.size = self.seek(0, io.SEEK_END)
        #: Number of reads allowed per byte; see `Kind`.
        self.reads = Kind.reads
        self.rewind()

    def rewind(self) -> None:
        """Go to the beginning, and reset the number of reads."""
        self.seek(0)
        self._left = 10_000 + int(self.reads * self.size)

    def read(self, size: int | None = -1, /) -> bytes:
        """As for any file."""
        self._left -= 1
        if self._left < 0:
            raise DataError("is cut into too many parts.")
        return super().read(size)

    def content(self) -> bytes:
        """All of it."""
        if isinstance(self.raw, io.BytesIO):
            return self.raw.getvalue()  # no copy
        self.seek(0)
        content = super().read()
        self.seek(0)
        return content

    def count(self, mark: bytes) -> int:
        """Number of occurrences of some bytes in the file."""
        self.seek(0)
        found, before = 0, b""
        while block := super().read(1 << 20):
            found += (before + block).count(mark)
            before = block[1 - len(mark) :]
        self.seek(0)
        return found


def open_picture(file: PictureFile) -> tuple[Kind, ImageFile]:
    """The format of a file by its first bytes, and the picture, not decoded.

    Raises:
        DataError: the format is not read; the message continues the file's name.
        Exception: nearly any type, from Pillow, for a damaged file.
    """
    head = file.read(16)
    file.rewind()
    if not head:
        raise DataError("is not an image that Pillow knows: it is empty.")

    def begins(marks: tuple[tuple[int, bytes], ...]) -> bool:
        return any(head[at : at + len(mark)] == mark for at, mark in marks)

    for kind in KINDS:
        if begins(kind.begins):
            if kind.name == "TIFF":
                _check_tags(file)
            try:
                picture = kind.open(file)
            except SyntaxError as error:  # Pillow raises it if the format is another after all
                raise DataError(_UNKNOWN) from error
            file.reads = kind.reads  # a limit for decoding only: no header has that many parts
            return kind, picture
    for name, marks in _OTHERS.items():
        if begins(marks):
            raise DataError(f"is a {name}: save it as PNG first.")
    raise DataError(_UNKNOWN)


def check_cost(kind: Kind, picture: ImageFile, file: PictureFile, size: tuple[int, int]) -> int:
    """The divisor of a JPEG's width and height when it is decoded: 1, 2, 4 or 8.

    Args:
        kind: format of the file.
        picture: the picture, opened but not decoded.
        file: its file.
        size: width and height of the result.

    Raises:
        DataError: it would take too much memory or time; the message continues the file's name.
    """
    width, height = picture.size
    most = _MOST_JPEG if kind.name == "JPEG" else _MOST_PIXELS
    if width * height > most:
        raise DataError(
            f"is {width} × {height} pixels, more than the {most:,} that are read; it "
            "is too large. Scale it down first."
        )
    allowed = min(_NONE, _ANY + kind.ratio * file.size)
    divisors: tuple[int, ...] = (1,)
    if kind.name == "JPEG":
        close = min(width, height) < 2 * _LARGER * max(size)
        divisors = tuple(
            k for k in (1, 2, 4, 8) if close or k == 8 or width * height <= _WHOLE_JPEG * k * k
        )
    fixed, pixel = _beside(kind, picture, file), kind.pixel + _pixel_bytes(picture.mode)
    needed = 0
    for k in divisors:
        w, h = -(-width // k), -(-height // k)
        # The scaled rows, and the weights of a row's and a column's pixels.
        needed = fixed + pixel * w * h + 4 * size[0] * h + 50 * (w + h)
        if needed <= allowed and (needed <= _ANY or _is_free(needed)):
            return k
    raise DataError(
        f"is {width} × {height} pixels, whose decoding takes {needed / 2**20:,.0f} MiB of memory: "
        f"more than {min(allowed, available_memory() or allowed) / 2**20:,.0f}, what a {kind.name} "
        "of its size in bytes may take here. Scale it down first, or save it as JPEG."
    )


def _is_free(size: int) -> bool:
    free = available_memory()
    return free is None or size <= free


def _pixel_bytes(mode: str) -> int:
    """Bytes that Pillow stores per pixel."""
    return 1 if mode in ("1", "L", "P") else 2 if mode.startswith("I;16") else 4


def _beside(kind: Kind, picture: Any, file: PictureFile) -> int:
    """Bytes that decoding takes besides the pixels, at whatever size they are decoded."""
    width, height = picture.size
    match kind.name:
        case "JPEG":
            return _jpeg_bytes(picture, file)
        case "TIFF":
            return _tiff_bytes(picture)
        case "WEBP" | "AVIF":
            return 2 * file.size  # read as a whole
        case "BMP" if picture.tile and picture.tile[0][0] == "bmp_rle":
            if width * height > _MOST_UNPACKED + _UNPACKED_A_BYTE * file.size:
                raise DataError(f"is a packed BMP of {width} × {height} pixels: save it as PNG.")
        case "PNG" if isinstance(picture.info.get("transparency"), tuple):
            return int(4 * width * height)  # for the lower bytes of 16-bit colors
    return 0


def takes_little(width: int, height: int, size: int) -> bool:
    """Whether a JPEG of so many bytes takes little time and memory, whatever its content.

    A scan has at least six bytes.
    """
    pixels = width * height
    return pixels <= _ANY // 64 and size // 6 * pixels <= _MOST_SCANNED


def _jpeg_bytes(picture: Any, file: PictureFile) -> int:
    """Bytes for the coefficients of the whole picture, if it has several scans."""
    width, height = picture.size
    if takes_little(width, height, file.size):
        return int(8 * width * height)
    # Scans of an embedded thumbnail count too; at worst the picture is taken for a larger one.
    scans = file.count(b"\xff\xda")
    if scans < 2:
        return 0
    if picture.info.get("progressive") and scans * width * height > _MOST_SCANNED:
        raise DataError(f"has {scans:,} scans of {width} × {height} pixels. Save it as PNG first.")
    most = max((across * down for _, across, down, _ in picture.layer), default=1)
    samples = sum(across * down / max(1, most) for _, across, down, _ in picture.layer)
    return int(2 * samples * width * height)


# TIFF, whose reader trusts numbers and sizes in the file


def _check_tags(file: PictureFile) -> None:
    """Refuse a first directory whose tags have more values than any picture's.

    https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf, page 14.
    """
    head = file.read(16)
    order, large = "<" if head[:2] == b"II" else ">", head[2] == ord("+")
    try:
        (at,) = struct.unpack_from(order + ("Q" if large else "L"), head, 8 if large else 4)
        file.seek(at)
        (tags,) = struct.unpack(order + ("Q" if large else "H"), file.read(8 if large else 2))
        if tags > _MOST_TAGS:
            raise DataError(f"has a TIFF directory of {tags:,} tags.")
        for _ in range(tags):
            entry = file.read(20 if large else 12)
            tag, type_, values = struct.unpack_from(order + ("HHQ" if large else "HHL"), entry)
            # Bytes, text and undefined data stay as they are, except offsets and sizes of parts.
            whole = type_ in (1, 2, 6, 7) and tag not in (273, 279, 324, 325)
            if values > _MOST_VALUES and not whole:
                raise DataError(f"has a TIFF tag ({tag}) of {values:,} values.")
    except (struct.error, OSError, ValueError, OverflowError) as error:
        raise DataError("cannot be decoded: its TIFF directory is damaged.") from error
    file.rewind()


def _tiff_bytes(picture: Any) -> int:
    """Bytes for a strip or tile, and for its rotated copy."""
    tags, (width, height) = picture.tag_v2, picture.size
    bits = tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,))
    sample = max(bits) / 8 * tags.get(TiffImagePlugin.SAMPLESPERPIXEL, 1)
    rows = min(height, tags.get(TiffImagePlugin.ROWSPERSTRIP, height))
    across = tags.get(TiffImagePlugin.TILEWIDTH, width)
    down = tags.get(TiffImagePlugin.TILELENGTH, rows)
    turned = _pixel_bytes(picture.mode) * width * height if tags.get(_ORIENTATION, 1) != 1 else 0
    return int(sample * across * down) + turned


_ORIENTATION = 0x0112
