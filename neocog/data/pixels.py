"""A decoded picture scaled, in eight bits a channel and on white, a band of rows at a time.

So that whatever a picture's mode needs, as alpha or sixteen bits, is there for a band only. The
result is bit for bit that of converting and scaling the whole: Pillow scales rows first.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["ColorKey", "scaled"]

_LANCZOS = Image.Resampling.LANCZOS
# Pixels of a band, and its rows at least: the weights of a row's pixels are computed for each band.
_PIXELS, _ROWS = 1 << 20, 16


@dataclass(frozen=True)
class ColorKey:
    """The one color of a PNG that is transparent (tRNS), in the file's own depth.

    Pillow keeps it as it stands in the file, where it has 1, 2, 4, 8 or 16 bits, and gives pixels
    of eight; only gray pixels of 16 bits it keeps whole. https://www.w3.org/TR/png-3/#11tRNS

    Attributes:
        color: its gray, or red, green and blue.
        depth: bits of each.
        low: the lower halves of a picture's colors of 16 bits, which Pillow leaves out.
    """

    color: tuple[int, ...]
    depth: int
    low: Image.Image | None = None

    def hides(self, band: Image.Image, top: int) -> NDArray[np.bool_]:
        """Which pixels of a band of rows, the first of which is `top`, have this color."""
        key = np.array(self.color) & ((1 << self.depth) - 1)
        pixels = np.asarray(band.convert("L") if band.mode == "1" else band)
        pixels = pixels.reshape(band.height, band.width, len(self.color))
        if self.depth < 8:
            key = key * 255 // ((1 << self.depth) - 1)
        elif self.low is not None:
            rows = np.asarray(self.low.crop((0, top, band.width, top + band.height)))
            same: NDArray[np.bool_] = (rows == key & 255).all(axis=2)
            return same & (pixels == key >> 8).all(axis=2)
        found: NDArray[np.bool_] = (pixels == key).all(axis=2)
        return found


def scaled(
    picture: Image.Image,
    box: tuple[float, float],
    size: tuple[int, int],
    mode: str,
    key: ColorKey | None = None,
) -> Image.Image:
    """The picture in a size.

    Args:
        picture: decoded.
        box: its true width and height, which may end within the last column and row.
        size: the width and height that are wanted.
        mode: "L" or "RGB".
        key: the color that is transparent, if one is.

    Raises:
        ValueError: for pixels that are no colors.
    """
    width, height = size
    narrow = Image.new(mode, (width, picture.height))
    rows = max(_ROWS, _PIXELS // picture.width)
    for top in range(0, picture.height, rows):
        band = picture.crop((0, top, picture.width, min(top + rows, picture.height)))
        flat = _flat(band, None if key is None else key.hides(band, top)).convert(mode)
        part = (0.0, 0.0, box[0], float(band.height))
        narrow.paste(flat.resize((width, band.height), _LANCZOS, part), (0, top))
    return narrow.resize((width, height), _LANCZOS, (0.0, 0.0, float(width), box[1]))


def _flat(band: Image.Image, hidden: NDArray[np.bool_] | None) -> Image.Image:
    """Eight bits a channel, on white."""
    if band.mode.startswith("I"):
        # Pillow's own conversion cuts all above 255 off.
        band = Image.fromarray((np.asarray(band) >> 8).clip(0, 255).astype(np.uint8))
    if hidden is not None:
        band = band.convert("L" if band.mode == "1" else band.mode)
        band.info.pop("transparency", None)
        band.paste("white" if band.mode == "RGB" else 255, mask=Image.fromarray(hidden))
    elif band.has_transparency_data:
        white = Image.new("RGBA", band.size, "white")
        return Image.alpha_composite(white, band.convert("RGBA"))
    return band
