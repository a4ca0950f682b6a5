"""Views of pictures: what else a camera might have seen, so that few pictures teach more.

A view has a name: "whole" is the picture itself, "mirror" has left and right exchanged, "flip" up
and down, and "turn" both. "crop1" to "crop5" are 7/8 of the side, in the middle and at the corners,
scaled to the picture's size.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from neocog.errors import NeocogError
from neocog.settings.recipe import VIEW_SETS
from neocog.validation import choice

__all__ = ["check_views", "seen"]

Pixels = NDArray[np.uint8]

_CROPPED = 7 / 8
# Where crops begin: by rows and columns, as a fraction of what is left over.
_CORNERS = ((0.5, 0.5), (0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0))

_FLIPS: dict[str, Callable[[Pixels], Pixels]] = {
    "whole": lambda images: images,
    "mirror": lambda images: images[:, :, ::-1],
    "flip": lambda images: images[:, ::-1],
    "turn": lambda images: images[:, ::-1, ::-1],
}
_CROPS = tuple(f"crop{n}" for n in range(1, len(_CORNERS) + 1))


def check_views(views: object) -> str:
    """The name of a set of views; raises `NeocogError` if there is none of it."""
    return choice("views", views, tuple(VIEW_SETS), error=NeocogError)


def seen(images: Pixels, view: str) -> Pixels:
    """A view of pictures, uint8 [n, height, width, channels] as the pictures are."""
    if view in _FLIPS:
        return np.ascontiguousarray(_FLIPS[view](images))
    row, column = _CORNERS[_CROPS.index(view)]
    n, height, width, channels = images.shape
    h, w = max(1, round(_CROPPED * height)), max(1, round(_CROPPED * width))
    top, left = round(row * (height - h)), round(column * (width - w))
    found = np.empty(images.shape, np.uint8)
    part = images[:, top : top + h, left : left + w]
    for index in range(n):
        for k in range(channels):  # a channel at a time, as Pillow has no images of other numbers
            picture = Image.fromarray(np.ascontiguousarray(part[index, :, :, k]))
            scaled = picture.resize((width, height), Image.Resampling.BICUBIC)
            found[index, :, :, k] = np.asarray(scaled)
    return found
