"""Small pictures within a page."""

import base64
import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from neocog.data.check.looking import head, within
from neocog.data.picture import fit_picture
from neocog.errors import DataError
from neocog.preprocessing import Resize

__all__ = ["thumbnail"]

# Pixels of a thumbnail; a picture with sides of at most _SMALL is shown enlarged instead.
_SIDE, _SMALL = 160, 64


def thumbnail(read: Callable[[], bytes | NDArray[np.uint8]]) -> str:
    """An image of a picture as HTML, or a text if it can no longer be read.

    Args:
        read: gives the content of its file, or its pixels; may raise DataError or OSError.
    """
    try:
        content = read()
        size = head(content).size
        width, height = within(size, _SIDE)
        pixels = fit_picture(content, (3, height, width), Resize("stretch", "lanczos"))
    except (DataError, OSError):
        return "<span>cannot be read</span>"
    data, small = io.BytesIO(), max(size) <= _SMALL
    Image.fromarray(pixels).save(data, "PNG" if small else "JPEG", quality=82)
    kind = "png" if small else "jpeg"
    written = base64.b64encode(data.getvalue()).decode()
    how = ' class="small"' if small else ""
    return f'<img src="data:image/{kind};base64,{written}" alt=""{how}>'
