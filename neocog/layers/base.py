"""The base class of layers, and checks of their arguments."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from neocog.errors import ArchitectureError
from neocog.validation import as_row, as_whole, flag, real, refuse, settle

__all__ = ["Layer", "Pair", "Shape", "check_numbers", "check_pair", "feature_map", "image_shape"]

Shape = tuple[int, ...]
Pair = tuple[int, int]

#: The largest size of anything in a layer, also in model files.
MOST = 2**31 - 1


@dataclass(frozen=True)
class Layer:
    """The base class of all layers."""

    #: Whether it has several inputs; `output_shape` then takes one shape for each.
    takes_several: ClassVar[bool] = False

    def output_shape(self, shape: Shape) -> Shape:
        """The output shape for an input of `shape`; raises `ArchitectureError` if there is none."""
        raise NotImplementedError

    def parameter_shapes(self) -> dict[str, Shape]:
        """Shapes of the learned arrays by name (``weight``, ``bias``), in PyTorch's order."""
        return {}

    def buffer_shapes(self) -> dict[str, Shape]:
        """Shapes of arrays that are not learned, such as running statistics, by name."""
        return {}

    def children(self) -> Mapping[str, "Layer"]:
        """The layers in a container, by name; empty for other layers."""
        return {}


def check_pair(layer: Layer, name: str, least: int) -> None:
    """Convert the field `name` to a (height, width) pair of integers of at least `least`."""
    value = getattr(layer, name)
    row = as_row(value)
    pair = (value, value) if row is None else row
    numbers = tuple([n for n in map(as_whole, pair) if n is not None and least <= n <= MOST])
    if len(pair) != 2 or len(numbers) != 2:
        wanted = f"a whole number of at least {least}, or two of them (height, width)"
        raise refuse(f"{type(layer).__name__}: {name}", value, wanted, ArchitectureError)
    object.__setattr__(layer, name, numbers)


def check_numbers(layer: Layer, *names: str) -> None:
    """Convert the fields to integers of at least 1."""
    for name in names:
        value = getattr(layer, name)
        size = as_whole(value)
        if size is None or not 1 <= size <= MOST:
            most = f" and at most {MOST}" if size is not None and size > MOST else ""
            wanted = f"a whole number of at least 1{most}"
            raise refuse(f"{type(layer).__name__}: {name}", value, wanted, ArchitectureError)
        object.__setattr__(layer, name, size)


def check_real(layer: Layer, name: str, least: float, most: float) -> None:
    """Convert the field `name` to a float; raises unless it is within the bounds."""
    settle(layer, real, name, least=least, most=most, error=ArchitectureError)


def check_flag(layer: Layer, *names: str) -> None:
    """Convert the fields to True or False, or raise `ArchitectureError`."""
    for name in names:
        if type(getattr(layer, name)) is not bool:
            settle(layer, flag, name, error=ArchitectureError)


def image_shape(value: object) -> tuple[int, int, int]:
    """The shape of an image as (channels, height, width), from any three integers."""
    row = as_row(value) or ()
    numbers = tuple(n for n in map(as_whole, row) if n is not None and 1 <= n <= MOST)
    if len(row) != 3 or len(numbers) != 3:
        wanted = "(channels, height, width), each at least 1"
        raise refuse("input_shape", value, wanted, ArchitectureError)
    return numbers[0], numbers[1], numbers[2]


def feature_map(layer: Layer, shape: Shape) -> tuple[int, int, int]:
    """The shape as (channels, height, width); raises `ArchitectureError` for other shapes."""
    if len(shape) != 3:
        raise ArchitectureError(
            f"{type(layer).__name__} takes feature maps (channels, height, width), but its input "
            f"has the shape {shape}."
        )
    return shape[0], shape[1], shape[2]


def windows(size: int, kernel: int, stride: int, before: int, after: int, dilation: int = 1) -> int:
    """The number of windows along one side; less than 1 if none fits."""
    return (size + before + after - dilation * (kernel - 1) - 1) // stride + 1
