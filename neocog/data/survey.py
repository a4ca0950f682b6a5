"""Surveys pictures by the headers of some: their sizes, and whether they are gray."""

import io
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from neocog.data.picture_kinds import PictureFile, open_picture
from neocog.data.quiet import quiet
from neocog.data.sources.base import Pictures
from neocog.data.turning import seen_size
from neocog.errors import DataError, printable

__all__ = ["Survey", "look_at", "survey"]

# Pictures that are surveyed, evenly spaced.
_SAMPLE = 300
_GRAY_MODES = frozenset(("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N"))


@dataclass(frozen=True)
class Survey:
    """Properties of the pictures that were surveyed.

    Attributes:
        count: number of all pictures.
        sizes: (width, height) of each picture surveyed, after EXIF rotation.
        gray: number of these that are gray.
    """

    count: int
    sizes: tuple[tuple[int, int], ...]
    gray: int

    @property
    def all_gray(self) -> bool:
        """Whether all are gray."""
        return self.gray == len(self.sizes)

    @property
    def one_size(self) -> tuple[int, int] | None:
        """The size of all pictures; None if they differ."""
        return self.sizes[0] if len(set(self.sizes)) == 1 else None

    @property
    def one_aspect(self) -> bool:
        """Whether all have the same ratio of width to height, within a hundredth."""
        ratios = [width / height for width, height in self.sizes]
        return max(ratios) <= 1.01 * min(ratios)

    @property
    def shorter_side(self) -> float:
        """The median of the shorter sides, in pixels."""
        return median(map(min, self.sizes))


def survey(pictures: Pictures) -> Survey:
    """Survey some pictures; those that cannot be read are left out.

    Raises:
        DataError: none of them can be read.
    """
    places = np.unique(np.linspace(0, len(pictures) - 1, min(_SAMPLE, len(pictures))).astype(int))
    sizes, gray, why = [], 0, ""
    for index in places:
        try:
            size, is_gray = look_at(pictures.read(int(index)))
        except (DataError, OSError) as error:
            why = why or f"{pictures.name(int(index))} {error}"
            continue
        sizes.append(size)
        gray += is_gray
    if not sizes:
        raise DataError(f"None of the pictures that were looked at can be read: {why}")
    return Survey(len(pictures), tuple(sizes), gray)


def look_at(content: bytes | NDArray[np.uint8]) -> tuple[tuple[int, int], bool]:
    """The width and height of a picture, after rotation, and whether it is gray; decodes nothing.

    Raises:
        DataError: it is not a picture.
    """
    if not isinstance(content, bytes):
        height, width, channels = content.shape
        return (width, height), channels == 1
    try:
        with quiet, PictureFile(io.BytesIO(content)) as file:  # type: ignore[arg-type]
            kind, picture = open_picture(file)
            gray = picture.mode in _GRAY_MODES
            return seen_size(kind, picture, file)[0], gray
    except DataError:
        raise
    except Exception as error:  # Pillow's decoders raise nearly anything
        raise DataError(f"cannot be decoded: {printable(str(error))}.") from error
