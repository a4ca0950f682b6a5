"""What the named networks share: channels at any width, and sizes that follow from the input."""

from collections.abc import Mapping
from math import floor

from neocog.errors import ArchitectureError
from neocog.layers import Graph, Layer, Shape, chain
from neocog.validation import as_real, real, refuse

__all__ = ["flat_size", "scaled"]

#: Channels of networks that are not as wide as published come in steps of so many.
STEP = 8


def scaled(channels: int, width: float) -> int:
    """So many channels × width: for a width other than 1 the nearest multiple of 8, at least 8."""
    if as_real(width) is None:
        raise refuse("width", width, "a number", ArchitectureError)
    wanted = "above 0 and at most 1000"
    width = real("width", width, above=0, most=1000, wanted=wanted, error=ArchitectureError)
    if width == 1:
        return channels
    return max(STEP, STEP * floor(channels * width / STEP + 0.5))


def flat_size(layers: Mapping[str, Layer], input_shape: Shape) -> int:
    """How many numbers the layers, the last of them a `Flatten`, make of an input."""
    return Graph(chain(layers), input_shape).output_shape[0]
