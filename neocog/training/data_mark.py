"""By what the data of a run are known again when it is continued."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.data.images import Dataset

__all__ = ["data_mark", "mark_in_words"]

# Images whose pixels are looked at, and their bytes, which are hashed in some 20 ms.
_MARKED, _MOST_BYTES = 1024, 2**24


def data_mark(data: Dataset, sample_weights: NDArray[np.float32] | None = None) -> dict[str, Any]:
    """The shape of the images, and a digest of the labels, the weights and some pixels."""
    size = max(1, data.images[:1].nbytes)
    marked = min(_MARKED, max(1, _MOST_BYTES // size))
    few = data.images[:: max(1, len(data) // marked)]
    found = hashlib.sha256(data.labels.tobytes())
    found.update(few.tobytes())
    if sample_weights is not None:
        found.update(sample_weights.tobytes())
    return {"shape": list(data.images.shape), "sha256": found.hexdigest()}


def mark_in_words(mark: Mapping[str, Any]) -> str:
    """A mark for a message."""
    count, height, width, channels = mark["shape"]
    return f"{count:,} images of {height} × {width} × {channels} ({mark['sha256'][:8]})"
