"""Images as a PNG in a data URL, one or many side by side."""

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["png", "sprite"]

Images = NDArray[np.uint8]


def png(image: Images) -> str:
    """An image, uint8 [height, width, channels], as a data URL.

    Unless it has three channels, the first is shown in gray.
    """
    shown = image if image.shape[2] == 3 else image[:, :, 0]
    content = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(shown)).save(content, "PNG")
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()


def sprite(images: Images, columns: int) -> dict[str, Any]:
    """Images, uint8 [n, height, width, channels], in rows of `columns` in one picture.

    Returns:
        ``columns``, the ``height`` and ``width`` of one image, and ``png``, the picture's data URL.
    """
    count, height, width, channels = images.shape
    rows = -(-count // columns)
    cells = np.zeros((rows * columns, height, width, channels), np.uint8)
    cells[:count] = images
    grid = cells.reshape(rows, columns, height, width, channels).transpose(0, 2, 1, 3, 4)
    picture = png(grid.reshape(rows * height, columns * width, channels))
    return {"columns": columns, "height": height, "width": width, "png": picture}
