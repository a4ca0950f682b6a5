"""Features of a picture, 384 small integers, to find out which pictures look alike.

They are integers from 0 to 100, so that sums of their products are exact in float32, in whatever
order threads add them: 192 × 100² is less than 2²⁴.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["BLOCKS", "LENGTH", "THUMBNAIL", "features", "gray_levels"]

_THUMBNAIL, _COLORS, _CELLS, _DIRECTIONS = 8, 4, 4, 8
_TOP = 100
#: The slice of the features that is the 8 × 8 thumbnail in three colors.
THUMBNAIL = slice(0, 192)
#: The slices of all three blocks: the thumbnail,
#: the histogram of 64 colors, and the histogram of gradients in 16 places and 8 directions.
#: Histograms are stored as square roots, so that Euclidean distance is Hellinger distance.
BLOCKS = (THUMBNAIL, slice(192, 256), slice(256, 384))
LENGTH = 384

# ITU-R BT.601, as in Pillow.
_LUMA = np.array([19595, 38470, 7471], np.int64)


def gray_levels(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Convert uint8 [n, h, w, 3] to gray, uint8 [n, h, w]."""
    levels = (pictures.astype(np.int64) @ _LUMA + 0x8000) >> 16
    return levels.astype(np.uint8)


def features(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The features of pictures.

    Args:
        pictures: uint8 [n, 32, 32, 3].

    Returns:
        uint8 [n, 384], in the blocks of `BLOCKS`.
    """
    n, side = len(pictures), pictures.shape[1]
    block = side // _THUMBNAIL
    small = pictures.reshape(n, _THUMBNAIL, block, _THUMBNAIL, block, 3).mean(axis=(2, 4))
    thumbnails = np.rint(small.reshape(n, -1) * (_TOP / 255))
    return np.concatenate([thumbnails, _colors(pictures), _gradients(pictures)], axis=1).astype(
        np.uint8
    )


def _colors(pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
    level = pictures.astype(np.int64) * _COLORS // 256
    kind = (level[..., 0] * _COLORS + level[..., 1]) * _COLORS + level[..., 2]
    return _shares(kind.reshape(len(pictures), -1), None, _COLORS**3)


def _gradients(pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
    gray = gray_levels(pictures).astype(np.float64)
    side = gray.shape[1]
    down, across = np.gradient(gray, axis=(1, 2))
    # The direction of a line, not of a step: dark to light is the same as light to dark.
    turn = np.arctan2(down, across) % np.pi
    direction = np.minimum((turn * (_DIRECTIONS / np.pi)).astype(np.int64), _DIRECTIONS - 1)
    cell = np.arange(side) * _CELLS // side
    where = (cell[:, None] * _CELLS + cell) * _DIRECTIONS + direction
    strength = np.hypot(down, across).reshape(len(gray), -1)
    return _shares(where.reshape(len(gray), -1), strength, _CELLS**2 * _DIRECTIONS)


def _shares(
    kinds: NDArray[np.int64], weights: NDArray[np.float64] | None, count: int
) -> NDArray[np.float64]:
    """For each row the square roots of a histogram's shares, scaled to 0 to 100."""
    n = len(kinds)
    flat = (kinds + count * np.arange(n)[:, None]).ravel()
    sums = np.bincount(flat, None if weights is None else weights.ravel(), count * n)
    sums = sums.reshape(n, count).astype(np.float64)
    total = sums.sum(axis=1, keepdims=True)
    shares: NDArray[np.float64] = np.rint(_TOP * np.sqrt(sums / np.maximum(total, 1e-9)))
    return shares
