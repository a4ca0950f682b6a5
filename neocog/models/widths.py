"""Scales built-in networks: numbers of channels by width, and sizes that depend on the input."""

from collections.abc import Mapping
from math import floor

from neocog.errors import ArchitectureError
from neocog.layers import Graph, Layer, Shape, chain
from neocog.validation import as_real, real, refuse

__all__ = ["flat_size", "multiple_of_8", "scaled"]

#: Scaled numbers of channels are multiples of this.
STEP = 8


def scaled(channels: int, width: float) -> int:
    """channels × width, rounded to a multiple of 8, at least 8; unchanged for width 1."""
    if as_real(width) is None:
        raise refuse("width", width, "a number", ArchitectureError)
    wanted = "above 0 and at most 1000"
    width = real("width", width, above=0, most=1000, wanted=wanted, error=ArchitectureError)
    return channels if width == 1 else max(STEP, STEP * floor(channels * width / STEP + 0.5))


def multiple_of_8(channels: float) -> int:
    """The nearest multiple of 8 that is at least 8 and nine tenths of `channels`.

    As families of networks are scaled by their authors (M. Sandler et al., "MobileNetV2", 2018).
    """
    found = max(STEP, STEP * floor(channels / STEP + 0.5))
    return found + STEP if found < 0.9 * channels else found


def flat_size(layers: Mapping[str, Layer], input_shape: Shape) -> int:
    """The size of the layers' output for an input; the last layer is a `Flatten`."""
    return Graph(chain(layers), input_shape).output_shape[0]
