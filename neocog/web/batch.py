"""The batch of the latest training step: its images, and the gradients of the parameters."""

from collections.abc import Mapping
from math import ceil, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.explanation.page.message import Block
from neocog.explanation.page.sprite import sprite

__all__ = ["batch_images", "gradients_of"]

# Of larger parameters only the norm of the gradient is sent.
_MOST_NUMBERS = 20_000
# Of a larger batch only the first images are shown.
_MOST_IMAGES = 256


def batch_images(images: NDArray[np.uint8]) -> dict[str, Any]:
    """The first images side by side in one picture, and ``shown``, how many they are."""
    shown = images[:_MOST_IMAGES]
    return {"shown": len(shown), **sprite(shown, ceil(sqrt(len(shown))))}


def gradients_of(gradients: Mapping[str, NDArray[np.float32]], block: Block) -> dict[str, Any]:
    """The norm of each parameter's gradient, and the gradient itself unless it is large."""
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
