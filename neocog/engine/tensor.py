"""What flows between operations, and what operations learn."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neocog.kernels.layout import ConvolutionWeight, FeatureMap

__all__ = ["Parameter", "Tensor"]

Floats = NDArray[np.float32]


@dataclass(eq=False)
class Tensor:
    """One operation's output for each image: a feature map, or a vector as a map of one pixel.

    Attributes:
        name: of the buffer that holds it.
        height, width, channels: its size.
        dense: whether it lies as an image's own pixels do, see `FeatureMap`.
        border: the widest border of zeros that a consumer wants around it.
        gradient_border: the border that its producer wants around its gradient.
        learns: whether something before it learns, so that its gradient is wanted.
        consumers: how many operations read it.
        gated: whether it came through a ReLU that its one consumer undoes on the way back: the
            gradient is zero where it is.
        flat: whether it counts as a vector, although it may lie as a map.
        shared: whether more than one operation will read it, so that none may change it in place.
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
        """Want at least so many rows and columns of zeros on each side."""
        self.border = max(self.border[0], height), max(self.border[1], width)

    @property
    def map(self) -> FeatureMap:
        """How it lies in memory."""
        return FeatureMap(self.height, self.width, self.channels, *self.border, self.dense)

    @property
    def gradient_map(self) -> FeatureMap:
        """How its gradient lies in memory."""
        return FeatureMap(self.height, self.width, self.channels, *self.gradient_border, self.dense)


@dataclass(frozen=True)
class Parameter:
    """A learned array: `size` floats in a layout of its own; `pack` and `unpack` lead there.

    `unpack` gives a copy in PyTorch's shape. `matrix` is the layout of a weight that is one matrix.
    """

    name: str
    shape: tuple[int, ...]
    size: int
    pack: Callable[[Floats], Floats]
    unpack: Callable[[Floats], Floats]
    matrix: ConvolutionWeight | None = None
