"""Convolution."""

from dataclasses import dataclass
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
from neocog.layers.padding import PADDING_MODES, check_padding, padding_sources
from neocog.validation import refuse

__all__ = ["Conv2d"]


@dataclass(frozen=True)
class Conv2d(Layer):
    """Cross-correlation of input channels with kernels, summed, plus a bias.

    y[k, i, j] = bias[k] + Σ_c Σ_m Σ_n weight[k, c, m, n] · x[c, s·i + d·m − p, s·j + d·n − p], with
    zeros outside x; s is the stride, d the dilation, p the padding. (C, H, W) becomes
    (out_channels, ⌊(H + 2p − d·(kernel − 1) − 1) / s⌋ + 1, …), as in ``torch.nn.Conv2d``.

    With `groups` g, the sum over c is over the output channel's own group only: the first
    out_channels / g outputs see the first in_channels / g inputs, and so on; weight is
    [out_channels, in_channels / g, kernel height, kernel width].

    `padding` may be ``"same"`` (zeros that keep the size at stride 1; an odd one is added below and
    at the right) or ``"valid"`` (none).

    `padding_mode` says what stands there instead of zeros: ``"reflect"`` the map mirrored in its
    first and last rows and columns, ``"replicate"`` these repeated, ``"circular"`` the rows and
    columns of the opposite side.
    """

    in_channels: int
    out_channels: int
    kernel_size: int | Pair
    stride: int | Pair = 1
    padding: int | Pair | str = 0
    dilation: int | Pair = 1
    groups: int = 1
    bias: bool = True
    padding_mode: str = "zeros"

    def __post_init__(self) -> None:
        check_numbers(self, "in_channels", "out_channels", "groups")
        check_flag(self, "bias")
        for name in ("kernel_size", "stride", "dilation"):
            check_pair(self, name, 1)
        if isinstance(self.padding, str):
            if self.padding not in ("same", "valid"):
                wanted = "'same', 'valid' or numbers"
                raise refuse("Conv2d: padding", self.padding, wanted, ArchitectureError)
            object.__setattr__(self, "padding", str(self.padding))  # NumPy's texts are converted
            if self.padding == "same" and self.stride != (1, 1):
                raise ArchitectureError(
                    f"Conv2d: padding 'same' needs stride 1, not {self.stride}."
                )
        else:
            check_pair(self, "padding", 0)
        if not (isinstance(self.padding_mode, str) and self.padding_mode in PADDING_MODES):
            wanted = f"one of {', '.join(map(repr, PADDING_MODES))}"
            raise refuse("Conv2d: padding_mode", self.padding_mode, wanted, ArchitectureError)
        object.__setattr__(self, "padding_mode", str(self.padding_mode))
        for name in ("in_channels", "out_channels"):
            if getattr(self, name) % self.groups:
                raise ArchitectureError(
                    f"Conv2d: groups (={self.groups}) must divide {name} (={getattr(self, name)})."
                )

    @property
    def kernel(self) -> Pair:
        """Height and width of the kernel."""
        return cast(Pair, self.kernel_size)

    @property
    def steps(self) -> Pair:
        """The stride: rows and columns from one output to the next."""
        return cast(Pair, self.stride)

    @property
    def spread(self) -> Pair:
        """The dilation: rows and columns of x from one tap of the kernel to the next."""
        return cast(Pair, self.dilation)

    @property
    def before(self) -> Pair:
        """Padding: rows of zeros above and columns of zeros at the left."""
        if isinstance(self.padding, str):
            total = self._reach if self.padding == "same" else (0, 0)
            return total[0] // 2, total[1] // 2
        return cast(Pair, self.padding)

    @property
    def after(self) -> Pair:
        """Padding: rows of zeros below and columns of zeros at the right."""
        if self.padding == "same":
            (h, w), (top, left) = self._reach, self.before
            return h - top, w - left
        return self.before

    @property
    def _reach(self) -> Pair:
        (kh, kw), (dh, dw) = self.kernel, self.spread
        return dh * (kh - 1), dw * (kw - 1)

    def sources(self, height: int, width: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """For each row, and each column, of a padded map of this size the map's; −1 for zeros."""
        rows, columns = (
            padding_sources(self.padding_mode, *side)
            for side in zip((height, width), self.before, self.after, strict=True)
        )
        return rows, columns

    def output_shape(self, shape: Shape) -> Shape:
        """(in_channels, H, W) → (out_channels, rows, columns)."""
        c, h, w = feature_map(self, shape)
        if c != self.in_channels:
            raise ArchitectureError(
                f"Conv2d: in_channels (={self.in_channels}) must equal its input's channels "
                f"(={c}, of the shape {shape})."
            )
        rows, columns = (
            windows(*side)
            for side in zip(
                (h, w), self.kernel, self.steps, self.before, self.after, self.spread, strict=True
            )
        )
        if rows < 1 or columns < 1:
            (kh, kw), (ph, pw) = self.kernel, self.before
            raise ArchitectureError(
                f"Conv2d: a kernel of {kh} × {kw} with padding {ph}, {pw} does not fit into its "
                f"input of the shape {shape}."
            )
        sides = tuple(zip(self.before, self.after, strict=True))
        check_padding(self, self.padding_mode, (c, h, w), *sides)
        return self.out_channels, rows, columns

    def parameter_shapes(self) -> dict[str, Shape]:
        """``weight`` (out, in / groups, kernel height, kernel width) and ``bias`` (out,)."""
        shapes: dict[str, Shape] = {
            "weight": (self.out_channels, self.in_channels // self.groups, *self.kernel)
        }
        if self.bias:
            shapes["bias"] = (self.out_channels,)
        return shapes
