"""What every layer is, and the checks that layers share."""

from collections.abc import Mapping
from dataclasses import dataclass

from neocog.errors import ArchitectureError

__all__ = ["Layer", "Pair", "Shape", "check_numbers", "check_pair", "feature_map"]

Shape = tuple[int, ...]
Pair = tuple[int, int]


@dataclass(frozen=True)
class Layer:
    """The questions that every layer answers."""

    def output_shape(self, shape: Shape) -> Shape:
        """The shape given for an input of `shape`; raises `ArchitectureError` if it cannot be."""
        raise NotImplementedError

    def parameter_shapes(self) -> dict[str, Shape]:
        """The learned arrays by name (``weight``, ``bias``), in PyTorch's shapes and order."""
        return {}

    def buffer_shapes(self) -> dict[str, Shape]:
        """Arrays that are kept but not learned (running statistics), as `parameter_shapes`."""
        return {}

    def children(self) -> Mapping[str, "Layer"]:
        """The layers that this one is made of, by name; none but for containers."""
        return {}


def is_int(value: object) -> bool:
    """Whether it is a whole number, which True is not."""
    return isinstance(value, int) and not isinstance(value, bool)


def check_pair(layer: Layer, name: str, least: int) -> None:
    """Turn the field `name` into a (height, width) pair of whole numbers of at least `least`."""
    value = getattr(layer, name)
    pair = value if isinstance(value, tuple) else (value, value)
    if len(pair) != 2 or not all(is_int(v) and v >= least for v in pair):
        raise ArchitectureError(
            f"{type(layer).__name__}: {name} (={value!r}) must be a whole number of at least "
            f"{least}, or two of them (height, width)."
        )
    object.__setattr__(layer, name, pair)


def check_numbers(layer: Layer, *names: str) -> None:
    """Raise `ArchitectureError` unless the fields are whole numbers of at least 1."""
    for name in names:
        value = getattr(layer, name)
        if not is_int(value) or value < 1:
            raise ArchitectureError(
                f"{type(layer).__name__}: {name} (={value!r}) must be a whole number of at least 1."
            )


def check_real(layer: Layer, name: str, least: float, most: float) -> None:
    """Turn the field `name` into a float; raise unless it lies within the bounds."""
    value = getattr(layer, name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise ArchitectureError(
            f"{type(layer).__name__}: {name} (={value!r}) must be a number from {least:g} to "
            f"{most:g}."
        )
    object.__setattr__(layer, name, float(value))


def check_flag(layer: Layer, *names: str) -> None:
    """Raise `ArchitectureError` unless the fields are True or False."""
    for name in names:
        if not isinstance(getattr(layer, name), bool):
            raise ArchitectureError(
                f"{type(layer).__name__}: {name} (={getattr(layer, name)!r}) must be true or false."
            )


def feature_map(layer: Layer, shape: Shape) -> tuple[int, int, int]:
    """The shape as (channels, height, width); raises `ArchitectureError` if it is no map's."""
    if len(shape) != 3:
        raise ArchitectureError(
            f"{type(layer).__name__} takes feature maps (channels, height, width), but its input "
            f"has the shape {shape}."
        )
    return shape[0], shape[1], shape[2]


def windows(size: int, kernel: int, stride: int, before: int, after: int, dilation: int = 1) -> int:
    """How many windows fit along one side; less than 1 if none does."""
    return (size + before + after - dilation * (kernel - 1) - 1) // stride + 1
