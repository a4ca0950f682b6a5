"""Feature maps as bytes, so that the upper part of a network trains on them as on images.

Each channel has a range [a, b], the least and the largest number in the training maps, and

    byte = round(255 (x − a) / (b − a))        x ≈ byte / 255 · (b − a) + a

The right side is what a network's preprocessing does with the bytes of an image, with the mean
−a / (b − a) and the deviation 1 / (b − a). So `neocog.fit` takes the maps as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.data.images import Dataset
from neocog.preprocessing import Preprocessing
from neocog.transfer.feature_cache import FeatureCache, picture_keys
from neocog.transfer.large_arrays import large_array

__all__ = ["Ranges", "byte_maps", "ranges_of"]

Doubles = NDArray[np.float64]

# Maps that become bytes at a time, by way of float32.
_AT_A_TIME = 64
# The least width of a channel's range, so that one that is always the same has a deviation.
_LEAST_WIDTH = 1e-6


@dataclass(frozen=True, eq=False)
class Ranges:
    """The range of each channel.

    Attributes:
        low: a, float64 [channels].
        width: b − a, float64 [channels].
    """

    low: Doubles
    width: Doubles

    @property
    def preprocessing(self) -> Preprocessing:
        """What makes numbers of the bytes again."""
        mean, std = -self.low / self.width, 1 / self.width
        return Preprocessing(tuple(mean.tolist()), tuple(std.tolist()))

    def as_bytes(self, maps: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
        """The bytes of maps [n, height, width, channels]; what is out of range goes to its ends."""
        factor = (255 / self.width).astype(np.float32)
        shift = (0.5 - self.low * 255 / self.width).astype(np.float32)
        found: NDArray[np.uint8] = np.clip(maps * factor + shift, 0, 255).astype(np.uint8)
        return found


def ranges_of(cache: FeatureCache, images: NDArray[np.uint8], views: Sequence[str]) -> Ranges:
    """The ranges of the maps of pictures' views; raises as `FeatureCache.each` does."""
    channels = cache.features.shape[-1]
    low, high = np.full(channels, np.inf), np.full(channels, -np.inf)
    keys = picture_keys(images)
    for view in views:
        for _places, maps in cache.each(images, view, keys):
            low = np.minimum(low, maps.min(axis=(0, 1, 2)))
            high = np.maximum(high, maps.max(axis=(0, 1, 2)))
    return Ranges(low, np.maximum(high - low, _LEAST_WIDTH))


def byte_maps(cache: FeatureCache, data: Dataset, views: Sequence[str], ranges: Ranges) -> Dataset:
    """The maps of pictures' views as images, with the pictures' labels.

    The order is that of the cache; it depends on the pictures and the views only.

    Args:
        cache: of maps.
        data: the pictures.
        views: their names.
        ranges: as of `ranges_of`.

    Raises:
        NeocogError: there is no room for them.
    """
    shape = (len(views) * len(data), *cache.features.shape)
    maps = large_array(shape, np.uint8, "The maps")
    labels = np.empty((len(maps), *data.labels.shape[1:]), data.labels.dtype)
    keys, at = picture_keys(data.images), 0
    for view in views:
        for places, numbers in cache.each(data.images, view, keys):
            for first in range(0, len(places), _AT_A_TIME):
                some = slice(first, first + _AT_A_TIME)
                rows = slice(at, at + len(places[some]))
                maps[rows], labels[rows] = ranges.as_bytes(numbers[some]), data.labels[places[some]]
                at = rows.stop
    return Dataset(maps, labels)
