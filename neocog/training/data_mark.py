"""By what the data of a run are known again when it is continued."""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.data.images import Dataset

__all__ = ["data_mark", "mark_in_words"]

# Images whose pixels are looked at.
_MARKED = 64


def data_mark(data: Dataset, sample_weights: NDArray[np.float32] | None = None) -> dict[str, Any]:
    """The shape of the images, and a digest of the labels, the weights and some pixels."""
    few = data.images[:: max(1, len(data) // _MARKED)]
    found = hashlib.sha256(data.labels.tobytes())
    found.update(few.tobytes())
    if sample_weights is not None:
        found.update(sample_weights.tobytes())
    return {"shape": list(data.images.shape), "sha256": found.hexdigest()}


def mark_in_words(mark: dict[str, Any]) -> str:
    """A mark for a message."""
    count, height, width, channels = mark["shape"]
    return f"{count:,} images of {height} × {width} × {channels} ({mark['sha256'][:8]})"
