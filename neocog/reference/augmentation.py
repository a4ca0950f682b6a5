"""Changes of a picture's bytes: formulas of random crops, rotations and TrivialAugment.

Pictures are uint8 [H, W, C] before and after. Sources: torchvision's `RandomResizedCrop` and
`TrivialAugmentWide`; Pillow's `resize`, `ImageOps` and `ImageEnhance`, which these match bit for
bit; S. G. Müller and F. Hutter, "TrivialAugment", 2021.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "affine",
    "random_crop_box",
    "resized_crop",
    "rotation_matrix",
    "trivial_augment",
]

Bytes = NDArray[np.uint8]
Array = NDArray[Any]

# What follows from the most of 30 steps, in the order of `trivial_augment`.
_SHEAR, _PIXELS, _DEGREES, _FACTOR = 0.99, 32, 135, 0.99


def random_crop_box(
    height: int, width: int, scale: tuple[float, float], draw: Callable[[str, int], float]
) -> tuple[int, int, int, int]:
    """A random rectangle: its top, left, height and width, as `RandomResizedCrop.get_params`.

    Args:
        height: of the image.
        width: of the image.
        scale: smallest and largest fraction of the image's area.
        draw: returns a random number from 0 to 1 for "area", "aspect", "top" or "left", and the
            number of the attempt.
    """
    narrowest, widest = np.log(3 / 4), np.log(4 / 3)
    for attempt in range(10):
        area = height * width * (scale[0] + (scale[1] - scale[0]) * draw("area", attempt))
        aspect = np.exp(narrowest + (widest - narrowest) * draw("aspect", attempt))
        w = int(np.floor(np.sqrt(area * aspect) + 0.5))
        h = int(np.floor(np.sqrt(area / aspect) + 0.5))
        if 0 < w <= width and 0 < h <= height:
            top = int(draw("top", attempt) * (height - h + 1))
            left = int(draw("left", attempt) * (width - w + 1))
            return top, left, h, w
    h = min(height, int(np.floor(width * 4 / 3 + 0.5)))
    w = min(width, int(np.floor(height * 4 / 3 + 0.5)))
    return (height - h) // 2, (width - w) // 2, h, w


def _bytes(values: Array) -> Bytes:
    found: Bytes = values.astype(np.uint8)
    return found


def _weights(side: int, wanted: int) -> Array:
    """The weight of each input pixel in each output pixel: int64 [wanted, side], in 2⁻²²."""
    step = side / wanted
    reach = max(step, 1.0)
    center = (np.arange(wanted)[:, None] + 0.5) * step
    k = np.arange(side)
    low = np.maximum(np.floor(center - reach + 0.5), 0)
    high = np.floor(center + reach + 0.5)
    w = np.maximum(1 - np.abs((k - center + 0.5) * (1 / reach)), 0)
    w = np.where((low <= k) & (k < high), w, 0)
    # One by one, because the order of a loop's sum is required.
    w /= np.cumsum(w, axis=1)[:, -1:]
    return (w * 2**22 + 0.5).astype(np.int64)


def resized_crop(image: Bytes, box: tuple[int, int, int, int], height: int, width: int) -> Bytes:
    """Resize the rectangle (top, left, height, width) to height × width: bilinear, antialiased.

    Every new pixel is a weighted mean of the old ones around its center. The weights fall linearly
    to zero at a distance of one old pixel, or of one new pixel if the rectangle shrinks. Rows are
    scaled first, then columns, and each result is rounded to bytes.
    """
    top, left, h, w = box
    part = image[top : top + h, left : left + w].astype(np.int64)
    part = (np.einsum("ik,hkc->hic", _weights(w, width), part) + 2**21) >> 22
    part = (np.einsum("jk,kic->jic", _weights(h, height), np.minimum(part, 255)) + 2**21) >> 22
    return _bytes(np.minimum(part, 255))


def rotation_matrix(degrees: float, height: int, width: int) -> tuple[float, ...]:
    """(a, b, c, d, e, f) for `affine`: counterclockwise about the center."""
    angle = degrees * (np.pi / 180)
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    m, n = (width - 1) / 2, (height - 1) / 2
    return cos, -sin, m - cos * m + sin * n, sin, cos, n - sin * m - cos * n


def affine(image: Bytes, matrix: tuple[float, ...], border: str = "zero") -> Bytes:
    """Interpolate each pixel (i, j) at its source: x = a i + b j + c, y = d i + e j + f.

    Bilinear between the four pixels around, at positions in steps of 1 ⁄ 2048. Outside the image
    `border` is "zero", or "reflect" for the image mirrored at its outermost pixels.
    """
    height, width, _ = image.shape
    a, b, c, d, e, f = matrix
    j, i = np.ogrid[:height, :width]
    x = np.floor(2048 * (a * i + (b * j + c)) + 0.5).astype(np.int64)
    y = np.floor(2048 * (d * i + (e * j + f)) + 0.5).astype(np.int64)
    u, v = (x % 2048)[..., None], (y % 2048)[..., None]
    rows, row = _places(height, y, border)
    columns, column = _places(width, x, border)
    wide = np.pad(image.astype(np.int64), ((0, 1), (0, 1), (0, 0)))  # black behind the last
    corners = [wide[rows[at + row], columns[beside + column]] for at in (0, 1) for beside in (0, 1)]
    above = (2048 - u) * corners[0] + u * corners[1]
    below = (2048 - u) * corners[2] + u * corners[3]
    return _bytes(((2048 - v) * above + v * below + 2**21) >> 22)


def _places(side: int, at: Array, border: str) -> tuple[Array, Array]:
    """A table of pixel positions, and the index in it of each position's first pixel."""
    first = at // 2048
    low, high = int(min(first.min(), 0)), int(max(first.max() + 1, side - 1))
    index = np.arange(side)
    if border == "reflect":
        table = np.pad(index, (-low, high - side + 1), mode="reflect" if side > 1 else "edge")
    else:
        table = np.pad(index, (-low, high - side + 1), constant_values=side)
    return table, first - low


def trivial_augment(
    image: Bytes, change: int, strength: int, sign: int, border: str = "zero"
) -> Bytes:
    """Apply one change of TrivialAugment's wide set.

    Args:
        image: uint8 [H, W, C].
        change: 0 identity, 1 shear x, 2 shear y, 3 translate x, 4 translate y, 5 rotate,
            6 brightness, 7 color, 8 contrast, 9 sharpness, 10 posterize, 11 solarize,
            12 autocontrast, 13 equalize.
        strength: 0 to 30.
        sign: 1 or −1, for the changes 1 to 9.
        border: as in `affine`.
    """
    z = strength / 30
    factor = np.float32(1 + sign * (_FACTOR * strength / 30))
    v = image.astype(np.int64)
    if change in range(1, 6):
        return affine(image, _matrix(image, change, sign * strength), border)
    if change in range(6, 10):
        others = (_black, _gray, _mean_gray, _smooth)
        return _blend(others[change - 6](v), v, factor)
    if change == 10:
        drop = int(np.floor(6 * z + 0.5))
        return _bytes(v >> drop << drop)
    if change == 11:
        return _bytes(np.where(v < 255.0 * (30 - strength) / 30, v, 255 - v))
    if change in (12, 13):
        channel = _autocontrast if change == 12 else _equalize
        return _bytes(np.stack([channel(v[..., c]) for c in range(v.shape[2])], -1))
    return image.copy()


def _matrix(image: Bytes, change: int, signed: int) -> tuple[float, ...]:
    if change == 5:
        return rotation_matrix(_DEGREES * signed / 30, *image.shape[:2])
    shear = _SHEAR * signed / 30
    pixels = np.sign(signed) * float(_PIXELS * abs(signed) // 30)
    return {
        1: (1.0, shear, shear / 2, 0.0, 1.0, 0.0),
        2: (1.0, 0.0, 0.0, shear, 1.0, shear / 2),
        3: (1.0, 0.0, -pixels, 0.0, 1.0, 0.0),
        4: (1.0, 0.0, 0.0, 0.0, 1.0, -pixels),
    }[change]


def _blend(other: Array, v: Array, factor: np.float32) -> Bytes:
    mixed = other.astype(np.float32) + factor * (v - other).astype(np.float32)
    return _bytes(np.clip(mixed, 0, 255))


def _black(v: Array) -> Array:
    return np.zeros_like(v)


def _gray(v: Array) -> Array:
    channels = v.shape[2]
    parts = [19595, 38470, 7471] if channels == 3 else [1] * channels
    gray: Array = ((v * parts).sum(axis=2, keepdims=True) + sum(parts) // 2) // sum(parts)
    return gray


def _mean_gray(v: Array) -> Array:
    mean: float = np.floor(_gray(v).mean() + 0.5)
    return np.full_like(v, mean)


def _smooth(v: Array) -> Array:
    """The mean of 3 × 3 pixels with weight 5 for the middle one; edges are unchanged."""
    result = v.copy()
    height, width, _ = v.shape
    if height > 2 and width > 2:
        around = sum(v[y : y + height - 2, x : x + width - 2] for y in range(3) for x in range(3))
        inside = slice(1, -1), slice(1, -1)
        result[inside] = np.floor((around + 4 * v[inside]) / 13 + 0.5)
    return result


def _autocontrast(v: Array) -> Array:
    low, high = v.min(), v.max()
    if low == high:
        return v
    scale = 255.0 / (high - low)
    stretched: Array = np.clip(v * scale - low * scale, 0, 255).astype(np.int64)
    return stretched


def _equalize(v: Array) -> Array:
    counts = np.bincount(v.ravel(), minlength=256)
    step = (v.size - counts[v.max()]) // 255
    if step == 0:
        return v
    less = np.cumsum(counts) - counts
    equalized: Array = np.minimum((step // 2 + less) // step, 255)[v]
    return equalized
