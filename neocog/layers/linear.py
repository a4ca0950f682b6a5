"""The fully connected layer, and flattening."""

from dataclasses import dataclass
from math import prod

from neocog.errors import ArchitectureError
from neocog.layers.base import Layer, Shape, check_flag, check_numbers

__all__ = ["Flatten", "Linear"]


@dataclass(frozen=True)
class Flatten(Layer):
    """Flattens feature maps to one vector, in PyTorch's order: channel, row, column."""

    def output_shape(self, shape: Shape) -> Shape:
        """(C, H, W) → (C · H · W,)."""
        return (prod(shape),)


@dataclass(frozen=True)
class Linear(Layer):
    """z = W x + b. (in_features,) becomes (out_features,)."""

    in_features: int
    out_features: int
    bias: bool = True

    def __post_init__(self) -> None:
        check_numbers(self, "in_features", "out_features")
        check_flag(self, "bias")

    def output_shape(self, shape: Shape) -> Shape:
        """(in_features,) → (out_features,)."""
        if shape != (self.in_features,):
            hint = " (a Flatten before it is missing)" if len(shape) == 3 else ""
            raise ArchitectureError(
                f"Linear: in_features (={self.in_features}) must equal its input's "
                f"{prod(shape)} numbers, of the shape {shape}{hint}."
            )
        return (self.out_features,)

    def parameter_shapes(self) -> dict[str, Shape]:
        """``weight`` (out_features, in_features) and ``bias`` (out_features,)."""
        shapes: dict[str, Shape] = {"weight": (self.out_features, self.in_features)}
        if self.bias:
            shapes["bias"] = (self.out_features,)
        return shapes
