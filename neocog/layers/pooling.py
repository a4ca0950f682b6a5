"""Pooling."""

from dataclasses import dataclass
from typing import cast

from neocog.errors import ArchitectureError
from neocog.layers.base import (
    Layer,
    Pair,
    Shape,
    check_flag,
    check_pair,
    feature_map,
    windows,
)

__all__ = ["AdaptiveAvgPool2d", "AdaptiveMaxPool2d", "AvgPool2d", "MaxPool2d"]


@dataclass(frozen=True)
class _Pool(Layer):
    kernel_size: int | Pair = 2
    stride: int | Pair | None = None
    padding: int | Pair = 0

    def __post_init__(self) -> None:
        check_pair(self, "kernel_size", 1)
        if self.stride is None:
            object.__setattr__(self, "stride", self.kernel_size)
        check_pair(self, "stride", 1)
        check_pair(self, "padding", 0)
        if any(2 * p > k for p, k in zip(self.before, self.kernel, strict=True)):
            raise ArchitectureError(
                f"{type(self).__name__}: padding (={self.padding}) must be at most half of "
                f"kernel_size (={self.kernel_size})."
            )

    @property
    def kernel(self) -> Pair:
        """Rows and columns of a window."""
        return cast(Pair, self.kernel_size)

    @property
    def steps(self) -> Pair:
        """The stride: rows and columns from one window to the next."""
        return cast(Pair, self.stride)

    @property
    def before(self) -> Pair:
        """Padding: rows and columns around the map that windows may cover."""
        return cast(Pair, self.padding)

    def output_shape(self, shape: Shape) -> Shape:
        """(C, H, W) → (C, ⌊(H + 2p − kernel) / stride⌋ + 1, …)."""
        c, h, w = feature_map(self, shape)
        sides = zip((h, w), self.kernel, self.steps, self.before, self.before, strict=True)
        rows, columns = (windows(*side) for side in sides)
        if rows < 1 or columns < 1:
            kh, kw = self.kernel
            raise ArchitectureError(
                f"{type(self).__name__}: regions of {kh} × {kw} do not fit into its input of the "
                f"shape {shape}."
            )
        return c, rows, columns


@dataclass(frozen=True)
class MaxPool2d(_Pool):
    """The maximum of every window; `stride` is the kernel's size by default.

    Padding counts as −∞. Rows and columns that do not fill a window are left out.
    """


@dataclass(frozen=True)
class AvgPool2d(_Pool):
    """The mean of every window; `stride` is the kernel's size by default.

    With `count_include_pad` padding counts as zeros; otherwise it is left out of the mean.
    """

    count_include_pad: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_flag(self, "count_include_pad")


@dataclass(frozen=True)
class _AdaptivePool(Layer):
    output_size: int | Pair = 1

    def __post_init__(self) -> None:
        check_pair(self, "output_size", 1)
        if self.output_size != (1, 1):
            raise ArchitectureError(
                f"{type(self).__name__}: output_size (={self.output_size}) must be 1."
            )

    def output_shape(self, shape: Shape) -> Shape:
        """(C, H, W) → (C, 1, 1)."""
        return feature_map(self, shape)[0], 1, 1


@dataclass(frozen=True)
class AdaptiveAvgPool2d(_AdaptivePool):
    """The mean of each channel."""


@dataclass(frozen=True)
class AdaptiveMaxPool2d(_AdaptivePool):
    """The maximum of each channel."""
