"""Where a picture of any size goes in one of a network's height and width."""

from dataclasses import dataclass

from neocog.preprocessing import Resize

__all__ = ["Place", "leaves_alone", "placed"]


@dataclass(frozen=True)
class Place:
    """What is seen of a picture, and where it lies in the result.

    Attributes:
        region: left, top, right and bottom of what is seen, in pixels of the picture; their parts
            too.
        size: width and height that the region is scaled to.
        left: columns of the result before it.
        top: rows of the result above it.
    """

    region: tuple[float, float, float, float]
    size: tuple[int, int]
    left: int = 0
    top: int = 0

    @property
    def rows(self) -> slice:
        """Those of the result that it covers."""
        return slice(self.top, self.top + self.size[1])

    @property
    def columns(self) -> slice:
        """Those of the result that it covers."""
        return slice(self.left, self.left + self.size[0])


def leaves_alone(resize: Resize) -> bool:
    """Whether a picture of the result's size stays as it is."""
    return resize.mode != "crop" or resize.keep == 1


def placed(resize: Resize, seen: tuple[float, float], size: tuple[int, int]) -> Place:
    """Where a picture goes.

    Args:
        resize: how it is made to fit.
        seen: its width and height, turned as it is looked at.
        size: the width and height of the result.
    """
    (across, down), (width, height) = seen, size
    whole = (0.0, 0.0, float(across), float(down))
    if resize.mode == "stretch":
        return Place(whole, size)
    if resize.mode == "crop":
        # The largest part of the result's aspect, or the middle of that.
        scale = min(across / width, down / height) * resize.keep
        left, top = (across - scale * width) / 2, (down - scale * height) / 2
        return Place((left, top, left + scale * width, top + scale * height), size)
    scale = min(width / across, height / down)
    inner = max(1, min(width, round(scale * across))), max(1, min(height, round(scale * down)))
    return Place(whole, inner, (width - inner[0]) // 2, (height - inner[1]) // 2)
