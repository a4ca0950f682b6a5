"""Pooling."""

from dataclasses import dataclass, field
from typing import cast

from neocog.errors import ArchitectureError
from neocog.layers.base import (
    Layer,
    Pair,
    Shape,
    check_flag,
    check_numbers,
    check_pair,
    feature_map,
    windows,
)

__all__ = ["AdaptiveAvgPool2d", "AdaptiveMaxPool2d", "AvgPool2d", "MaxPool2d"]

#: Of each window along one side of a map: its pixels, of which some may lie in the padding.
Spans = tuple[range, ...]


@dataclass(frozen=True)
class _Pool(Layer):
    kernel_size: int | Pair = 2
    stride: int | Pair | None = None
    padding: int | Pair = 0
    ceil_mode: bool = False

    def __post_init__(self) -> None:
        check_pair(self, "kernel_size", 1)
        if self.stride is None:
            object.__setattr__(self, "stride", self.kernel_size)
        check_pair(self, "stride", 1)
        check_pair(self, "padding", 0)
        check_flag(self, "ceil_mode")
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
        """(C, H, W) → (C, ⌊(H + 2p − kernel) / stride⌋ + 1, …), or ⌈…⌉ with `ceil_mode`."""
        c, h, w = feature_map(self, shape)
        rows, columns = self._count(0, h), self._count(1, w)
        if rows < 1 or columns < 1:
            kh, kw = self.kernel
            raise ArchitectureError(
                f"{type(self).__name__}: regions of {kh} × {kw} do not fit into its input of the "
                f"shape {shape}."
            )
        return c, rows, columns

    def _count(self, side: int, size: int) -> int:
        kernel, stride, padding = self.kernel[side], self.steps[side], self.before[side]
        if not self.ceil_mode:
            return windows(size, kernel, stride, padding, padding)
        count = windows(size, kernel, stride, padding, padding + stride - 1)
        # No window begins in the padding after the map.
        return count - ((count - 1) * stride >= size + padding)

    def spans(self, height: int, width: int) -> tuple[Spans, Spans]:
        """The rows, and the columns, of every window in a map of this size and its padding."""
        rows, columns = (
            tuple(
                range(n * stride - padding, min(n * stride - padding + kernel, size + padding))
                for n in range(self._count(side, size))
            )
            for side, (size, kernel, stride, padding) in enumerate(
                zip((height, width), self.kernel, self.steps, self.before, strict=True)
            )
        )
        return rows, columns


@dataclass(frozen=True)
class MaxPool2d(_Pool):
    """The maximum of every window; `stride` is the kernel's size by default.

    Padding counts as −∞. Rows and columns that do not fill a window are left out, or with
    `ceil_mode` have a smaller one; no window begins in the padding after the map.
    """

    # By position, PyTorch has others there.
    ceil_mode: bool = field(default=False, kw_only=True)


@dataclass(frozen=True)
class AvgPool2d(_Pool):
    """The mean of every window; `stride` is the kernel's size by default.

    With `count_include_pad` padding counts as zeros; otherwise it is left out of the mean. Rows and
    columns that do not fill a window are left out, or with `ceil_mode` have a smaller one. With
    `divisor_override`, every window's sum is divided by that number.
    """

    count_include_pad: bool = True
    divisor_override: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_flag(self, "count_include_pad")
        if self.divisor_override is not None:
            check_numbers(self, "divisor_override")


@dataclass(frozen=True)
class _AdaptivePool(Layer):
    output_size: int | Pair = 1

    def __post_init__(self) -> None:
        check_pair(self, "output_size", 1)

    @property
    def output(self) -> Pair:
        """Rows and columns of the output."""
        return cast(Pair, self.output_size)

    def output_shape(self, shape: Shape) -> Shape:
        """(C, H, W) → (C, *output_size)."""
        return feature_map(self, shape)[0], *self.output

    def spans(self, height: int, width: int) -> tuple[Spans, Spans]:
        """The rows, and the columns, of every window in a map of this size."""
        rows, columns = (
            tuple(range(n * size // count, -(-(n + 1) * size // count)) for n in range(count))
            for size, count in zip((height, width), self.output, strict=True)
        )
        return rows, columns


@dataclass(frozen=True)
class AdaptiveAvgPool2d(_AdaptivePool):
    """The means of `output_size` windows of equal size, or as equal as they can be.

    Of R windows over H rows, number i has the rows ⌊i·H / R⌋ to ⌈(i + 1)·H / R⌉ − 1: if R does not
    divide H, neighbors overlap by a row. One window is the whole map.
    """


@dataclass(frozen=True)
class AdaptiveMaxPool2d(_AdaptivePool):
    """The maxima of `output_size` windows, which are those of `AdaptiveAvgPool2d`."""
