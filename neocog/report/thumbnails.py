"""Many small pictures in one image file, embedded in a page as a data URL.

Pictures of up to `PIXELATED` pixels per side are stored losslessly unless that is too large; others
are scaled down and stored as JPEG, aligned so that no two pictures share a block of 8 × 8 pixels.
"""

import base64
import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["PIXELATED", "most_that_fit", "sheet"]

#: Largest side of a picture that is shown enlarged, with square pixels.
PIXELATED = 64
_BLOCK = 8
# At the last quality noise takes 0.4 bytes per pixel, which photographs take at the second.
_QUALITIES = (90, 75, 50, 25, 10)
_COLUMNS = 24
# PNG is slow, and hardly ever makes photographs this many times smaller.
_HOPEFUL = 2

Images = NDArray[np.uint8]


def most_that_fit(shape: Sequence[int], most_side: int, most_pixels: int) -> int:
    """How many pictures [height, width, …] fit a sheet of this many pixels; at least one."""
    height, width = _fitted(shape, most_side)
    return max(1, most_pixels // (_whole_blocks(height) * _whole_blocks(width)))


def sheet(
    images: Images, indices: Sequence[int], most_side: int, most_bytes: int
) -> dict[str, Any]:
    """Make a sheet of some images, scaled down to `most_side` and placed side by side.

    Args:
        images: uint8 [n, height, width, channels]; if there are not 3 channels, the first is shown
            in gray.
        indices: indices of the images, at least one.
        most_side: longer side of a picture, in pixels.
        most_bytes: largest size of the image file, as far as JPEG can reach it.

    Returns:
        ``src``, a data URL of the sheet, which has rows of ``columns`` pictures; ``height`` and
        ``width`` of a picture in pixels; ``down`` and ``across``, the distances between pictures;
        and whether they are to be shown ``pixelated``.
    """
    height, width = _fitted(images.shape[1:], most_side)
    down, across = _whole_blocks(height), _whole_blocks(width)
    columns = min(_COLUMNS, len(indices))
    rows = -(-len(indices) // columns)
    channels = (3,) if images.shape[3] == 3 else ()
    whole = np.zeros((rows * down, columns * across, *channels), np.uint8)
    for place, index in enumerate(indices):
        top, left = place // columns * down, place % columns * across
        picture = _scaled(images[index], (height, width))
        # The edge is extended to the next picture, or JPEG would blur it with black.
        if (height, width) != (down, across):
            padding = [(0, down - height), (0, across - width), (0, 0)][: picture.ndim]
            picture = np.pad(picture, padding, "edge")
        whole[top : top + down, left : left + across] = picture
    pixelated = max(images.shape[1:3]) <= PIXELATED
    kind, content = _encoded(Image.fromarray(whole), most_bytes, lossless=pixelated)
    return {
        "src": f"data:image/{kind};base64,{base64.b64encode(content).decode()}",
        "columns": columns,
        "height": height,
        "width": width,
        "down": down,
        "across": across,
        "pixelated": pixelated,
    }


def _fitted(shape: Sequence[int], most_side: int) -> tuple[int, int]:
    """Height and width in pixels, within `most_side`."""
    height, width = shape[:2]
    scale = min(1.0, most_side / max(height, width))
    return max(1, round(scale * height)), max(1, round(scale * width))


def _whole_blocks(side: int) -> int:
    return -(-side // _BLOCK) * _BLOCK


def _scaled(image: Images, size: tuple[int, int]) -> Images:
    shown = image if image.shape[2] == 3 else image[:, :, 0]
    if shown.shape[:2] == size:
        return shown
    picture = Image.fromarray(np.ascontiguousarray(shown))
    return np.asarray(picture.resize(size[::-1], Image.Resampling.LANCZOS, reducing_gap=2.0))


def _encoded(picture: Image.Image, most_bytes: int, *, lossless: bool) -> tuple[str, bytes]:
    """The first encoding that is small enough, or the smallest of all."""
    ways: list[tuple[str, dict[str, int]]] = [
        ("jpeg", {"quality": quality, "subsampling": 0}) for quality in _QUALITIES
    ]
    if lossless and math.prod(picture.size) * len(picture.getbands()) <= _HOPEFUL * most_bytes:
        ways.insert(0, ("png", {}))
    kept = "", b""
    for kind, options in ways:
        out = io.BytesIO()
        picture.save(out, kind, **options)
        kept = kind, out.getvalue()
        if len(kept[1]) <= most_bytes:
            break
    return kept
