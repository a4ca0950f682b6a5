"""Tensors between operations, and the parameters of operations."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neocog.kernels.layout import ConvolutionWeight, FeatureMap

__all__ = ["Parameter", "Tensor"]

Floats = NDArray[np.float32]


@dataclass(eq=False)
class Tensor:
    """An operation's output per image: a feature map, or a vector as a map of one pixel.

    Attributes:
        name: the name of its buffer.
        height, width, channels: its size.
        dense: whether its pixels are packed as those of an image; see `FeatureMap`.
        border: the widest border of zeros that a consumer needs around it.
        gradient_border: the border of zeros that its producer needs around its gradient.
        learns: whether a parameter comes before it, so that its gradient is needed.
        consumers: the number of operations that read it.
        gated: whether it is the output of a ReLU that was fused into its producer, and its one
            consumer applies the ReLU's gradient: that is zero wherever the tensor is zero.
        flat: whether it is a vector to the network, even if it is stored as a map.
        shared: whether several operations read it, so that none may change it in place.
    """

    name: str
    height: int
    width: int
    channels: int
    dense: bool = False
    border: tuple[int, int] = (0, 0)
    gradient_border: tuple[int, int] = (0, 0)
    learns: bool = False
    consumers: int = 0
    gated: bool = False
    flat: bool = False
    shared: bool = False

    def ask_border(self, height: int, width: int) -> None:
        """Require at least `height` rows and `width` columns of zeros on each side."""
        self.border = max(self.border[0], height), max(self.border[1], width)

    @property
    def map(self) -> FeatureMap:
        """Its layout in memory."""
        return FeatureMap(self.height, self.width, self.channels, *self.border, self.dense)

    @property
    def gradient_map(self) -> FeatureMap:
        """The layout of its gradient in memory."""
        return FeatureMap(self.height, self.width, self.channels, *self.gradient_border, self.dense)


@dataclass(frozen=True)
class Parameter:
    """A learned array of `size` floats in a layout of its own.

    `pack` brings an array of PyTorch's shape into that layout, and `unpack` gives a copy back in
    PyTorch's shape. `matrix` is the layout of a weight that is a single matrix.
    """

    name: str
    shape: tuple[int, ...]
    size: int
    pack: Callable[[Floats], Floats]
    unpack: Callable[[Floats], Floats]
    matrix: ConvolutionWeight | None = None
