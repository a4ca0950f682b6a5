"""Images as a PNG within an address, one or many side by side."""

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["png", "sprite"]

Images = NDArray[np.uint8]


def png(image: Images) -> str:
    """An image, uint8 [height, width, channels], as an address that holds it.

    Of another number of channels than three, the first is shown in gray.
    """
    shown = image if image.shape[2] == 3 else image[:, :, 0]
    kept = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(shown)).save(kept, "PNG")
    return "data:image/png;base64," + base64.b64encode(kept.getvalue()).decode()


def sprite(images: Images, columns: int) -> dict[str, Any]:
    """Images, uint8 [n, height, width, channels], in rows of `columns` in one picture.

    Gives ``columns``, ``height`` and ``width`` of one, and ``png``, an address that holds all.
    """
    count, height, width, channels = images.shape
    rows = -(-count // columns)
    sheet = np.zeros((rows * columns, height, width, channels), np.uint8)
    sheet[:count] = images
    whole = sheet.reshape(rows, columns, height, width, channels).transpose(0, 2, 1, 3, 4)
    picture = png(whole.reshape(rows * height, columns * width, channels))
    return {"columns": columns, "height": height, "width": width, "png": picture}
