"""A convolution whose padding differs from side to side."""

from dataclasses import dataclass
from typing import Any

from neocog.layers import Conv2d
from neocog.layers.base import Pair

__all__ = ["PaddedConv2d"]


@dataclass(frozen=True)
class PaddedConv2d(Conv2d):
    """A convolution with zeros of its own on each side: what a `ZeroPad2d` and a `Conv2d` compute.

    Only the engine knows it. To the network it stays two layers.

    Attributes:
        rows: of zeros above and below.
        columns: of zeros at the left and at the right.
    """

    rows: Pair = (0, 0)
    columns: Pair = (0, 0)

    @classmethod
    def of(cls, layer: Conv2d, rows: Pair, columns: Pair) -> "PaddedConv2d":
        """The layer with so many rows and columns of zeros around those of its own."""
        (top, left), (bottom, right) = layer.before, layer.after
        options: dict[str, Any] = {**vars(layer), "padding": 0}
        options["rows"] = rows[0] + top, rows[1] + bottom
        options["columns"] = columns[0] + left, columns[1] + right
        return cls(**options)

    @property
    def before(self) -> Pair:
        """Rows of zeros above and columns of zeros at the left."""
        return self.rows[0], self.columns[0]

    @property
    def after(self) -> Pair:
        """Rows of zeros below and columns of zeros at the right."""
        return self.rows[1], self.columns[1]
