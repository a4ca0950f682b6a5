"""Layers with several inputs."""

from dataclasses import dataclass
from typing import ClassVar

from neocog.errors import ArchitectureError
from neocog.layers.base import Layer, Shape

__all__ = ["Add", "Concat", "Multiply"]


@dataclass(frozen=True)
class _Merging(Layer):
    takes_several: ClassVar[bool] = True

    def _check_count(self, shapes: tuple[Shape, ...]) -> None:
        if len(shapes) < 2:
            raise ArchitectureError(
                f"{type(self).__name__} takes at least two inputs, not {len(shapes)}. Describe the "
                "network by Network.from_nodes, where a layer can have several."
            )

    def _refuse(self, shapes: tuple[Shape, ...], wanted: str) -> ArchitectureError:
        given = ", ".join(map(str, shapes))
        return ArchitectureError(
            f"{type(self).__name__}: its inputs have the shapes {given}; {wanted}."
        )


@dataclass(frozen=True)
class Add(_Merging):
    """y = x₁ + x₂ + …, of inputs of the same shape."""

    def output_shape(self, *shapes: Shape) -> Shape:
        """The same shape."""
        self._check_count(shapes)
        if len(set(shapes)) > 1:
            raise self._refuse(shapes, "all must be the same")
        return shapes[0]


@dataclass(frozen=True)
class Multiply(_Merging):
    """y = x₁ · x₂ · …, elementwise.

    An input may also have the shape (C, 1, 1); it then scales whole channels, as in squeeze and
    excitation (J. Hu et al., 2018).
    """

    def output_shape(self, *shapes: Shape) -> Shape:
        """The shape of the inputs that are not (C, 1, 1)."""
        self._check_count(shapes)
        largest = max(shapes, key=lambda shape: (len(shape), shape))
        factor = (largest[0], 1, 1) if len(largest) == 3 else largest
        if any(shape not in (largest, factor) for shape in shapes):
            raise self._refuse(shapes, "each must be the same, or one number a channel, (C, 1, 1)")
        return largest


@dataclass(frozen=True)
class Concat(_Merging):
    """The concatenation of all inputs along the channels; vectors are concatenated, too."""

    def output_shape(self, *shapes: Shape) -> Shape:
        """(C₁, H, W), (C₂, H, W), … → (C₁ + C₂ + …, H, W)."""
        self._check_count(shapes)
        if len({shape[1:] for shape in shapes}) > 1:
            raise self._refuse(shapes, "all must have the same height and width")
        return (sum(shape[0] for shape in shapes), *shapes[0][1:])
