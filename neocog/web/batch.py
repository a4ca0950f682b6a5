"""The batch that was trained last: its images, and which way it pulls each parameter."""

from collections.abc import Mapping
from math import ceil, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.explanation.page.message import Block
from neocog.explanation.page.sprite import sprite

__all__ = ["batch_images", "gradients_of"]

# Gradients of larger parameters are told by their norms alone.
_MOST_NUMBERS = 20_000
# Of a larger batch the first images are shown.
_MOST_IMAGES = 256


def batch_images(images: NDArray[np.uint8]) -> dict[str, Any]:
    """The first of some images side by side, and ``shown``: how many."""
    shown = images[:_MOST_IMAGES]
    return {"shown": len(shown), **sprite(shown, ceil(sqrt(len(shown))))}


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
