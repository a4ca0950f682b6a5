"""Picture files made by hand, for tests."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

SHAPE = (3, 32, 32)


def chunk(kind: bytes, data: bytes) -> bytes:
    """A part of a PNG."""
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def two_halves(mode="RGB", left=(200, 40, 60), right=(10, 90, 250), size=(64, 48)) -> Image.Image:
    image = Image.new(mode, size, left)
    image.paste(right, (size[0] // 2, 0, *size))
    return image


def saved(tmp_path, image, name, **options) -> Path:
    image.save(tmp_path / name, **options)
    return tmp_path / name


def encoded(image: Image.Image, format_: str, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, format_, **options)
    return out.getvalue()


def assert_halves(pixels, left, right, tolerance=0, side=32):
    """Both halves, but for the columns in the middle that scaling mixes."""
    assert pixels.dtype == np.uint8
    assert pixels.shape[:2] == (side, side)
    for part, color in ((pixels[:, : side // 2 - 3], left), (pixels[:, side // 2 + 3 :], right)):
        difference = np.abs(part.astype(int) - np.array(color))
        assert difference.max() <= tolerance


def textured(width, height) -> Image.Image:
    """Noise of some pixels' size beside sharp edges, the last one at the picture's right edge."""
    rng = np.random.default_rng(width)
    small = rng.integers(0, 256, (height // 5 + 1, width // 5 + 1, 3), np.uint8)
    image = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    image.paste((250, 0, 0), (0, height // 3, width, height // 3 + max(1, height // 9)))
    image.paste((255, 255, 255), (width - 2, 0, width, height))
    return image


def is_clear(pixels: int, n: int, begin: float, end: float) -> bool:
    """Whether no pixel lies on the edge of a box filter, where rounding says if it counts."""
    scale = (end - begin) / n
    centers = begin + (np.arange(n) + 0.5) * scale
    away = (np.arange(pixels) + 0.5 - centers[:, None]) / max(scale, 1.0)
    return bool((np.abs(np.abs(away) - 0.5) > 1e-4).all())


def as_png(jpeg: bytes) -> bytes:
    """What is in a JPEG, without loss."""
    return encoded(Image.open(io.BytesIO(jpeg)), "PNG")


def png(width: int, height: int, rows: bytes) -> bytes:
    """A grayscale PNG that claims a size, whatever its data are."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    image = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + image
