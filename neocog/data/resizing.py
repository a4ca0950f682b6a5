"""How a picture of any size is placed in the height and width of a network's input."""

from dataclasses import dataclass

from neocog.preprocessing import Resize

__all__ = ["Place", "leaves_alone", "placed"]


@dataclass(frozen=True)
class Place:
    """The visible region of a picture, and its place in the result.

    Attributes:
        region: left, top, right and bottom, in pixels of the picture; fractions are allowed.
        size: width and height that the region is scaled to.
        left: columns of the result to its left.
        top: rows of the result above it.
    """

    region: tuple[float, float, float, float]
    size: tuple[int, int]
    left: int = 0
    top: int = 0

    @property
    def rows(self) -> slice:
        """The rows of the result that it covers."""
        return slice(self.top, self.top + self.size[1])

    @property
    def columns(self) -> slice:
        """The columns of the result that it covers."""
        return slice(self.left, self.left + self.size[0])


def leaves_alone(resize: Resize) -> bool:
    """Whether a picture that has the size of the result is left unchanged."""
    return resize.mode != "crop" or resize.keep == 1


def placed(resize: Resize, seen: tuple[float, float], size: tuple[int, int]) -> Place:
    """Place a picture.

    Args:
        resize: how it is fitted.
        seen: its width and height, after rotation.
        size: width and height of the result.
    """
    (across, down), (width, height) = seen, size
    whole = (0.0, 0.0, float(across), float(down))
    if resize.mode == "stretch":
        return Place(whole, size)
    if resize.mode == "crop":
        # The largest part with the result's aspect ratio, or the middle of that part.
        scale = min(across / width, down / height) * resize.keep
        left, top = (across - scale * width) / 2, (down - scale * height) / 2
        return Place((left, top, left + scale * width, top + scale * height), size)
    scale = min(width / across, height / down)
    inner = max(1, min(width, round(scale * across))), max(1, min(height, round(scale * down)))
    return Place(whole, inner, (width - inner[0]) // 2, (height - inner[1]) // 2)
