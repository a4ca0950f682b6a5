"""A photograph as it was taken, and where in it the network's input lies.

Networks see a square that is scaled, cropped or filled up (`neocog.preprocessing.Resize`). Maps of
what they look at are drawn over the photograph itself.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neocog.data.picture import read_picture
from neocog.data.picture_kinds import LARGEST_FILE
from neocog.data.resizing import placed
from neocog.data.survey import look_at
from neocog.files import read_bytes, user_path
from neocog.preprocessing import Resize

__all__ = ["Photograph", "read_photograph"]


@dataclass(frozen=True, eq=False)
class Photograph:
    """A photograph and the place of the network's input in it.

    Attributes:
        pixels: uint8 [height, width, 3], rotated as its EXIF data say, scaled down if it is large.
        box: (left, top, width, height) of the network's whole input, in parts of the photograph's
            width and height. With "crop" it lies within the photograph, with "letterbox" it
            reaches beyond it.
    """

    pixels: NDArray[np.uint8]
    box: tuple[float, float, float, float]


def read_photograph(
    file: str | Path | bytes, shape: tuple[int, int, int], resize: Resize, most_side: int
) -> Photograph:
    """Read a photograph for maps to be drawn over it.

    Args:
        file: its path, or the content of the file.
        shape: (channels, height, width) of the network's input.
        resize: how the network's preprocessing fits it.
        most_side: pixels of the longer side of `pixels`, at most.

    Raises:
        DataError: it is not a picture, or damaged.
        OSError: it cannot be read.
    """
    content = file if isinstance(file, bytes) else read_bytes(user_path(file), LARGEST_FILE)
    (across, down), _gray = look_at(content)
    scale = min(1.0, most_side / max(across, down))
    size = max(1, round(scale * down)), max(1, round(scale * across))
    pixels = read_picture(content, (3, *size))
    _channels, height, width = shape
    place = placed(resize, (across, down), (width, height))
    left, top, right, bottom = place.region
    # Pixels of the photograph for each of the input's.
    wide, tall = (right - left) / place.size[0], (bottom - top) / place.size[1]
    box = (
        (left - place.left * wide) / across,
        (top - place.top * tall) / down,
        width * wide / across,
        height * tall / down,
    )
    return Photograph(pixels, box)
