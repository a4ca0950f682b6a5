"""What a value of an ONNX graph is on the way to a network."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.layers import Shape

__all__ = [
    "COLUMN",
    "FLAT",
    "GROUPS",
    "PIXELS",
    "PLAIN",
    "ROWS",
    "SHUFFLED",
    "Pending",
    "Picture",
    "Signal",
]

#: Orders in which an ONNX graph sees the numbers of a layer; neocog's own is the plain one.
#: [N, C, H, W] or [N, features].
PLAIN = "plain"
#: [N, H, W, C], in which layer normalization and linear layers of pixels work.
PIXELS = "pixels"
#: [N, groups, C / groups, H, W], and [N, C / groups, groups, H, W]: a shuffle of channels.
GROUPS, SHUFFLED = "groups", "shuffled"
#: [N, groups, C / groups · H · W], in which group normalization works.
ROWS = "rows"
#: [N, features, 1], on the way from a vector to a map of one pixel.
COLUMN = "column"
#: All numbers of all images in one row: PyTorch's as_strided is a Gather of them.
FLAT = "flat"


@dataclass(frozen=True)
class Signal:
    """The output of a layer.

    Attributes:
        layer: its name; `neocog.layers.graph.IMAGE` is the image.
        shape: of one image, in the plain order.
        order: in which the ONNX graph sees it.
        groups: of channels, for orders that have them.
    """

    layer: str
    shape: Shape
    order: str = PLAIN
    groups: int = 1

    def axes(self, batch: int) -> tuple[int, ...]:
        """Its shape as the ONNX graph sees it."""
        if self.order == COLUMN:
            return (batch, *self.shape, 1)
        if self.order == FLAT:
            return (batch * math.prod(self.shape),)
        if self.order == PLAIN or len(self.shape) != 3:
            return (batch, *self.shape)
        c, h, w = self.shape
        g = self.groups
        return {
            PIXELS: (batch, h, w, c),
            GROUPS: (batch, g, c // g, h, w),
            SHUFFLED: (batch, c // g, g, h, w),
            ROWS: (batch, g, c // g * h * w),
        }[self.order]

    def seen(self, order: str, groups: int = 1) -> "Signal":
        """The same numbers, seen in another order."""
        return replace(self, order=order, groups=groups)


@dataclass(frozen=True, eq=False)
class Picture:
    """The image, before any layer: x = scale · input + shift for each channel.

    Attributes:
        shape: (channels, height, width).
        order: in which the graph sees it.
        scale: one for each channel.
        shift: one for each channel.
        floats: whether it is of floats; bytes must be cast before anything is computed of them.
    """

    shape: Shape
    order: str
    scale: NDArray[np.float64]
    shift: NDArray[np.float64]
    floats: bool

    def axes(self, batch: int) -> tuple[int, ...]:
        """Its shape as the ONNX graph sees it."""
        return Signal("", self.shape, self.order).axes(batch)


@dataclass(frozen=True, eq=False)
class Pending:
    """Something that is no layer alone, and may become one with what reads it.

    Attributes:
        kind: "softmax" at the end, "strip" of a map, of which circular padding is made, or a step
            of an uneven pooling (`uneven_pools`).
        source: what it was computed from.
        axis: along which a strip was cut.
        start: the strip's first row or column.
        stop: the one behind its last.
        why: why it cannot be used as it is.
        matrix: the constant of an uneven pooling.
    """

    kind: str
    source: Signal
    axis: int = 0
    start: int = 0
    stop: int = 0
    why: str = ""
    matrix: NDArray[Any] | None = None
