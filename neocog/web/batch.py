"""The batch that was trained last: its images, and which way it pulls each parameter."""

import base64
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from neocog.explanation.message import Block

__all__ = ["gradients_of", "sprite"]

# Gradients of larger parameters are told by their norms alone.
_MOST_NUMBERS = 20_000
# Of a larger batch the first images are shown.
_MOST_IMAGES = 256


def sprite(images: NDArray[np.uint8]) -> dict[str, Any]:
    """Images side by side in one PNG, of uint8 [n, height, width, 1 or 3].

    Gives ``shown`` (how many), ``columns``, ``height`` and ``width`` of one, and ``png``, a data:
    address of all.
    """
    images = images[:_MOST_IMAGES]
    count, height, width, channels = images.shape
    columns = int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    sheet = np.zeros((rows * columns, height, width, channels), np.uint8)
    sheet[:count] = images
    whole = sheet.reshape(rows, columns, height, width, channels).transpose(0, 2, 1, 3, 4)
    pixels = whole.reshape(rows * height, columns * width, channels)
    png = io.BytesIO()
    Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(png, "PNG")
    address = "data:image/png;base64," + base64.b64encode(png.getvalue()).decode()
    return {
        "shown": count,
        "columns": columns,
        "height": height,
        "width": width,
        "png": address,
    }


def gradients_of(gradients: Mapping[str, NDArray[np.float32]], block: Block) -> dict[str, Any]:
    """For each parameter its gradient's norm, and the gradient itself where it is not too large."""
    found = {}
    for name, gradient in gradients.items():
        norm = float(np.sqrt(np.square(gradient, dtype=np.float64).sum()))
        small = gradient.size <= _MOST_NUMBERS
        found[name] = {
            "shape": list(gradient.shape),
            "norm": norm if np.isfinite(norm) else None,
            "values": block.add(gradient) if small else None,
        }
    return found
