"""The shape and the way of resizing for pictures of which nobody has said them."""

from statistics import median

from neocog.data.survey import Survey
from neocog.preprocessing import Resize

__all__ = ["choose_resize", "choose_shape"]

# Up to this side pictures of one size are taken as they are.
_SMALL = 96
# Sides of squares for larger ones. What a network costs grows with the square of the side.
_SIDES = (64, 48, 32, 24, 16, 8)
# Of a picture, the part that must be left when it is cropped.
_LEFT = 0.5


def choose_shape(
    found: Survey, size: tuple[int, int] | None = None, channels: int | None = None
) -> tuple[int, int, int]:
    """(channels, height, width) that serve the pictures; `size` is (height, width), if said."""
    if channels is None:
        channels = 1 if found.all_gray else 3
    if size is None:
        one = found.one_size
        if one is not None and max(one) <= _SMALL:
            size = one[1], one[0]
        else:
            side = next((side for side in _SIDES if side <= found.shorter_side), _SIDES[-1])
            size = side, side
    return channels, *size


def choose_resize(found: Survey, shape: tuple[int, int, int]) -> Resize:
    """How the pictures are made to fit.

    Stretched where all are distorted alike, as where none is. Else cropped, as what is looked at
    mostly is in the middle; but not where so little would be left of most, as of panoramas.

    Bilinear takes a third of Lanczos's time for photographs, and less than decoding them.
    """
    _channels, height, width = shape
    if found.one_aspect:
        mode = "stretch"
    else:
        ratios = [across * height / (down * width) for across, down in found.sizes]
        mode = "crop" if median(min(r, 1 / r) for r in ratios) >= _LEFT else "letterbox"
    return Resize(mode, "bilinear")
