"""Scales a decoded picture to eight bits per channel on white, a band of rows at a time.

Only a band at a time is converted from the picture's mode, such as alpha or sixteen bits. The
result is bit for bit that of rotating, converting and scaling the whole, rows first, then columns;
Pillow itself begins with the cheaper direction, and so clips other levels in between.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from neocog.data.filters import support
from neocog.data.resampling import resampled
from neocog.preprocessing import INTERPOLATIONS

__all__ = ["TURNS", "ColorKey", "Turn", "scaled"]

_FILTERS = {name: Image.Resampling[name.upper()] for name in INTERPOLATIONS}
# Pixels of a band, and its minimum of rows: the weights of a row are computed for each band.
_PIXELS, _ROWS = 1 << 20, 16


@dataclass(frozen=True)
class Turn:
    """The transformation that brings a picture upright.

    Attributes:
        by: Pillow's constant for it; None for the identity.
        sideways: whether rows and columns are exchanged.
        upward: whether the rows of the result run backwards through the picture.
        leftward: whether the columns of the result run backwards through the picture.
    """

    by: Image.Transpose | None = None
    sideways: bool = False
    upward: bool = False
    leftward: bool = False


#: Turns by the value of the EXIF tag.
TURNS = {
    1: Turn(),
    2: Turn(Image.Transpose.FLIP_LEFT_RIGHT, leftward=True),
    3: Turn(Image.Transpose.ROTATE_180, upward=True, leftward=True),
    4: Turn(Image.Transpose.FLIP_TOP_BOTTOM, upward=True),
    5: Turn(Image.Transpose.TRANSPOSE, sideways=True),
    6: Turn(Image.Transpose.ROTATE_270, sideways=True, leftward=True),
    7: Turn(Image.Transpose.TRANSVERSE, sideways=True, upward=True, leftward=True),
    8: Turn(Image.Transpose.ROTATE_90, sideways=True, upward=True),
}


@dataclass(frozen=True)
class ColorKey:
    """The one transparent color of a PNG (tRNS), in the file's own depth.

    Pillow keeps it as it is in the file, with 1, 2, 4, 8 or 16 bits, but returns pixels of eight
    bits, except for 16-bit gray. https://www.w3.org/TR/png-3/#11tRNS

    Attributes:
        color: gray, or red, green and blue.
        depth: bits per channel.
        low: the lower bytes of a picture's 16-bit colors, which Pillow drops.
    """

    color: tuple[int, ...]
    depth: int
    low: Image.Image | None = None

    def hides(self, band: Image.Image, where: tuple[int, int, int, int]) -> NDArray[np.bool_]:
        """Which pixels of a band have this color; `where` is the band's box in the picture."""
        key = np.array(self.color) & ((1 << self.depth) - 1)
        pixels = np.asarray(band.convert("L") if band.mode == "1" else band)
        pixels = pixels.reshape(band.height, band.width, len(self.color))
        if self.low is not None:
            low = np.asarray(self.low.crop(where))
            same: NDArray[np.bool_] = ((low == key & 255) & (pixels == key >> 8)).all(axis=2)
            return same
        if self.depth < 8:
            key = key * 255 // ((1 << self.depth) - 1)
        found: NDArray[np.bool_] = (pixels == key).all(axis=2)
        return found


def scaled(
    picture: Image.Image,
    box: tuple[float, float],
    size: tuple[int, int],
    mode: str,
    turn: Turn,
    key: ColorKey | None = None,
    region: tuple[float, float, float, float] | None = None,
    interpolation: str = "lanczos",
) -> NDArray[np.uint8]:
    """Scale a picture, or a region of it: uint8 [height, width, channels].

    Args:
        picture: decoded.
        box: its true width and height, which may end within the last column and row.
        size: width and height of the result.
        mode: "L" or "RGB".
        turn: rotation of the picture.
        key: the color that is transparent, if any.
        region: left, top, right and bottom of the region, in the rotated picture; None for all.
        interpolation: one of `neocog.preprocessing.INTERPOLATIONS`.

    Raises:
        ValueError: the pixels are no colors.
    """
    is_opaque = key is None and not picture.has_transparency_data
    if is_opaque and picture.mode == "L" and mode == "RGB":  # three channels that are the same one
        gray = scaled(picture, box, size, "L", turn, None, region, interpolation)
        return np.repeat(gray, 3, axis=2)
    width, height = size
    across, lines = picture.size
    seen_across, seen_lines = box
    if turn.sideways:
        across, lines, seen_across, seen_lines = lines, across, seen_lines, seen_across
    region = region or (0.0, 0.0, seen_across, seen_lines)
    left = across - seen_across if turn.leftward else 0.0
    top = lines - seen_lines if turn.upward else 0.0
    # Clipped to the picture, in case of rounding errors.
    begin_x, end_x = max(0.0, left + region[0]), min(float(across), left + region[2])
    begin_y, end_y = max(0.0, top + region[1]), min(float(lines), top + region[3])
    is_plain = is_opaque and picture.mode in (mode, "RGBX")
    if is_plain and mode == "RGB":
        seen = picture if turn.by is None else picture.transpose(turn.by)
        found = resampled(seen, size, (begin_x, begin_y, end_x, end_y), interpolation)
        if found is not None:
            return found
    how = _FILTERS[interpolation]
    narrow = Image.new(mode, (width, lines))
    # Only the rows that are needed for the result.
    reach = support(height, begin_y, end_y, interpolation) + 2
    first_row, last_row = max(0, int(begin_y - reach)), min(lines, int(end_y + reach) + 1)
    rows = max(_ROWS, _PIXELS // across)
    for first in range(first_row, last_row, rows):
        last = min(first + rows, last_row)
        begin, end = (lines - last, lines - first) if turn.upward else (first, last)
        where = (begin, 0, end, across) if turn.sideways else (0, begin, across, end)
        band = picture if where == (0, 0, *picture.size) else picture.crop(where)
        if not is_plain:
            band = _flat(band, None if key is None else key.hides(band, where))
        flat = band if band.mode == mode else band.convert(mode)
        if turn.by is not None:
            flat = flat.transpose(turn.by)
        part = (begin_x, 0.0, end_x, float(flat.height))
        narrow.paste(flat.resize((width, flat.height), how, part), (0, first))
    small = narrow.resize((width, height), how, (0.0, begin_y, float(width), end_y))
    return np.asarray(small, np.uint8).reshape(height, width, len(small.getbands()))


def _flat(band: Image.Image, hidden: NDArray[np.bool_] | None) -> Image.Image:
    """Convert to eight bits per channel, on white."""
    if band.mode.startswith("I"):
        # Pillow's own conversion clips everything above 255.
        band = Image.fromarray((np.asarray(band) >> 8).clip(0, 255).astype(np.uint8))
    if hidden is not None:
        band = band.convert("L" if band.mode == "1" else band.mode)
        band.info.pop("transparency", None)
        band.paste("white" if band.mode == "RGB" else 255, mask=Image.fromarray(hidden))
    elif band.has_transparency_data:
        white = Image.new("RGBA", band.size, "white")
        return Image.alpha_composite(white, band.convert("RGBA"))
    return band
