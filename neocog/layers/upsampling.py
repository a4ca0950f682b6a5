"""Upsampling."""

from dataclasses import dataclass, field
from typing import cast

from neocog.errors import ArchitectureError
from neocog.layers.base import Layer, Pair, Shape, check_pair, feature_map
from neocog.validation import refuse

__all__ = ["Upsample"]


@dataclass(frozen=True)
class Upsample(Layer):
    """Every number repeated `scale_factor` times along rows and columns.

    y[i, j] = x[⌊i / s⌋, ⌊j / s⌋], as ``torch.nn.Upsample(scale_factor=s)``; s is a whole number or
    two of them (height, width), and `mode` is ``"nearest"``.
    """

    # By position, PyTorch has the size there.
    scale_factor: int | Pair = field(default=2, kw_only=True)
    mode: str = field(default="nearest", kw_only=True)

    def __post_init__(self) -> None:
        check_pair(self, "scale_factor", 1)
        if not (isinstance(self.mode, str) and self.mode == "nearest"):
            raise refuse("Upsample: mode", self.mode, "'nearest'", ArchitectureError)
        object.__setattr__(self, "mode", "nearest")  # NumPy's texts are converted

    @property
    def scale(self) -> Pair:
        """How often a row and a column are repeated."""
        return cast(Pair, self.scale_factor)

    def output_shape(self, shape: Shape) -> Shape:
        """(C, H, W) → (C, s · H, s · W)."""
        c, h, w = feature_map(self, shape)
        return c, h * self.scale[0], w * self.scale[1]

    def sources(self, height: int, width: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """For each row, and each column, of the output the input's."""
        rows, columns = (
            tuple(at // scale for at in range(size * scale))
            for size, scale in zip((height, width), self.scale, strict=True)
        )
        return rows, columns
