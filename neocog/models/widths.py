"""What the named networks share: channels at any width, and sizes that follow from the input."""

from collections.abc import Mapping
from math import floor, isfinite

from neocog.errors import ArchitectureError
from neocog.layers import Layer, Shape
from neocog.layers.containers import shapes_in_a_row

__all__ = ["check_image", "flat_size", "scaled"]

#: Channels of networks that are not as wide as published come in steps of so many.
STEP = 8


def scaled(channels: int, width: float) -> int:
    """So many channels × width: for a width other than 1 the nearest multiple of 8, at least 8."""
    if isinstance(width, bool) or not isinstance(width, int | float) or not isfinite(width):
        raise ArchitectureError(f"width (={width!r}) must be a number.")
    if not 0 < width <= 1000:
        raise ArchitectureError(f"width (={width!r}) must be above 0 and at most 1000.")
    if width == 1:
        return channels
    return max(STEP, STEP * floor(channels * width / STEP + 0.5))


def check_image(input_shape: Shape) -> None:
    """Raise `ArchitectureError` unless it is (channels, height, width), each at least 1."""
    if len(input_shape) != 3 or not all(type(n) is int and n > 0 for n in input_shape):
        raise ArchitectureError(
            f"input_shape (={input_shape}) must be (channels, height, width), each at least 1."
        )


def flat_size(layers: Mapping[str, Layer], input_shape: Shape) -> int:
    """How many numbers the layers, the last of them a `Flatten`, make of an input."""
    return list(shapes_in_a_row(layers, input_shape).values())[-1][0]
