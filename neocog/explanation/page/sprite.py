"""Images as a PNG or JPEG in a data URL, one or many side by side."""

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from neocog.explanation.page.bounds import SPRITE_BYTES, SPRITE_SIDE

__all__ = ["jpeg", "png", "sprite", "sprite_of"]

_QUALITY, _QUALITIES = 85, (85, 70, 50, 30, 10)

Images = NDArray[np.uint8]


def png(image: Images) -> str:
    """An image, uint8 [height, width, channels], as a data URL.

    Unless it has three channels, the first is shown in gray.
    """
    return _encoded(image, "png")


def jpeg(image: Images) -> str:
    """As `png`; of a photograph it has a tenth of the size, and is not exact."""
    return _encoded(image, "jpeg", quality=_QUALITY)


def _small(image: Images) -> str:
    """A JPEG of at most `SPRITE_BYTES`, or the smallest that there is."""
    found = ""
    for quality in _QUALITIES:
        found = _encoded(image, "jpeg", quality=quality)
        if len(found) <= 4 / 3 * SPRITE_BYTES:
            break
    return found


def _encoded(image: Images, kind: str, **options: int) -> str:
    content = io.BytesIO()
    _picture(image).save(content, kind, **options)
    return f"data:image/{kind};base64," + base64.b64encode(content.getvalue()).decode()


def _picture(image: Images) -> Image.Image:
    shown = image if image.shape[2] == 3 else image[:, :, 0]
    return Image.fromarray(np.ascontiguousarray(shown))


def sprite(images: Images, columns: int) -> dict[str, Any]:
    """Images, uint8 [n, height, width, channels], in rows of `columns` in one picture.

    Returns:
        ``columns``, the ``height`` and ``width`` of one image, and ``png``, the picture's data URL.
    """
    _count, height, width, _channels = images.shape
    return {
        "columns": columns,
        "height": height,
        "width": width,
        "png": png(_grid(images, columns)),
    }


def sprite_of(images: Sequence[Images], columns: int) -> dict[str, Any]:
    """Images of several sizes in rows of `columns` in one picture, all scaled to one size.

    Returns:
        ``columns``, the ``height`` and ``width`` of one image, and ``src``, the picture's data URL:
        exact unless images had to be scaled.
    """
    height, width = (max(image.shape[side] for image in images) for side in (0, 1))
    scale = min(1.0, SPRITE_SIDE / max(height, width))
    size = max(1, round(scale * height)), max(1, round(scale * width))
    exact = all(image.shape[:2] == size for image in images)
    grid = _grid(np.stack([_scaled(image, size) for image in images]), columns)
    src = png(grid) if exact else _small(grid)
    return {"columns": columns, "height": size[0], "width": size[1], "src": src}


def _grid(images: Images, columns: int) -> Images:
    count, height, width, channels = images.shape
    rows = -(-count // columns)
    cells = np.zeros((rows * columns, height, width, channels), np.uint8)
    cells[:count] = images
    grid = cells.reshape(rows, columns, height, width, channels).transpose(0, 2, 1, 3, 4)
    return grid.reshape(rows * height, columns * width, channels)


def _scaled(image: Images, size: tuple[int, int]) -> Images:
    if image.shape[:2] == size:
        return image
    picture = _picture(image).resize(size[::-1], Image.Resampling.LANCZOS)
    return np.asarray(picture).reshape(*size, -1)
