"""Chooses a shape and a way of resizing for pictures if the user did not."""

from statistics import median

from neocog.data.survey import Survey
from neocog.preprocessing import Resize

__all__ = ["choose_resize", "choose_shape"]

# Pictures of one size are kept as they are up to this side.
_SMALL = 96
# Sides of squares for larger pictures. A network's cost grows with the square of the side.
_SIDES = (64, 48, 32, 24, 16, 8)
# Fraction of a picture that must be left after cropping.
_LEFT = 0.5


def choose_shape(
    found: Survey, size: tuple[int, int] | None = None, channels: int | None = None
) -> tuple[int, int, int]:
    """Choose (channels, height, width); `size` is (height, width), if it was given."""
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
    """Choose how the pictures are fitted.

    They are stretched if all are distorted alike, or not at all. Otherwise they are cropped, as the
    subject is mostly in the middle, unless too little would be left of most, as of panoramas.

    Bilinear takes a third of Lanczos's time for photographs, and less than decoding them.
    """
    _channels, height, width = shape
    if found.one_aspect:
        mode = "stretch"
    else:
        ratios = [across * height / (down * width) for across, down in found.sizes]
        mode = "crop" if median(min(r, 1 / r) for r in ratios) >= _LEFT else "letterbox"
    return Resize(mode, "bilinear")
