"""Padding: what stands around a map before a layer reads it."""

from dataclasses import dataclass
from typing import ClassVar, cast

from neocog.errors import ArchitectureError
from neocog.layers.base import MOST, Layer, Pair, Shape, feature_map
from neocog.validation import as_row, as_whole, refuse

__all__ = [
    "PADDING_MODES",
    "CircularPad2d",
    "ReflectionPad2d",
    "ReplicationPad2d",
    "ZeroPad2d",
    "check_padding",
    "padding_sources",
]

#: What stands in the padding, by PyTorch's names for `Conv2d`.
PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


def padding_sources(mode: str, size: int, before: int, after: int) -> tuple[int, ...]:
    """For each place of a padded side the place of the map whose number stands there.

    Args:
        mode: one of `PADDING_MODES`; −1 stands for zeros.
        size: of the map along this side.
        before: how many places are added before the map.
        after: how many are added after it.
    """
    places = range(-before, size + after)
    match mode:
        case "reflect":
            return tuple(size - 1 - abs(size - 1 - abs(place)) for place in places)
        case "replicate":
            return tuple(min(max(place, 0), size - 1) for place in places)
        case "circular":
            return tuple(place % size for place in places)
    return tuple(place if 0 <= place < size else -1 for place in places)


def check_padding(
    layer: Layer, mode: str, shape: tuple[int, int, int], rows: Pair, columns: Pair
) -> None:
    """Raise `ArchitectureError` if a map is too small to be padded from itself.

    Args:
        layer: to be named.
        mode: of the padding.
        shape: of the map, (channels, height, width).
        rows: how many are added above and below.
        columns: how many are added at the left and at the right.
    """
    for side, added, size in (("rows", rows, shape[1]), ("columns", columns, shape[2])):
        most = {"reflect": size - 1, "circular": size}.get(mode)
        if most is not None and max(added) > most:
            raise ArchitectureError(
                f"{type(layer).__name__}: {mode} padding can add at most {most} {side} on each "
                f"side of its input of the shape {shape}, not {max(added)}."
            )


@dataclass(frozen=True)
class _Padding(Layer):
    padding: int | tuple[int, int, int, int]

    mode: ClassVar[str] = "zeros"

    def __post_init__(self) -> None:
        row = as_row(self.padding)
        sides = (self.padding,) * 4 if row is None else row
        numbers = tuple(n for n in map(as_whole, sides) if n is not None and 0 <= n <= MOST)
        if len(sides) != 4 or len(numbers) != 4:
            wanted = "a whole number of at least 0, or four of them (left, right, top, bottom)"
            what = f"{type(self).__name__}: padding"
            raise refuse(what, self.padding, wanted, ArchitectureError)
        object.__setattr__(self, "padding", numbers)

    @property
    def rows(self) -> Pair:
        """How many rows are added above and below."""
        return cast(tuple[int, int, int, int], self.padding)[2:]

    @property
    def columns(self) -> Pair:
        """How many columns are added at the left and at the right."""
        return cast(tuple[int, int, int, int], self.padding)[:2]

    def output_shape(self, shape: Shape) -> Shape:
        """(C, H, W) → (C, top + H + bottom, left + W + right)."""
        c, h, w = feature_map(self, shape)
        check_padding(self, self.mode, (c, h, w), self.rows, self.columns)
        return c, h + sum(self.rows), w + sum(self.columns)

    def sources(self, height: int, width: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """For each row, and each column, of the output the input's; −1 for zeros."""
        return (
            padding_sources(self.mode, height, *self.rows),
            padding_sources(self.mode, width, *self.columns),
        )


@dataclass(frozen=True)
class ZeroPad2d(_Padding):
    """Zeros around the map; `padding` is one number or (left, right, top, bottom)."""


@dataclass(frozen=True)
class ReflectionPad2d(_Padding):
    """The map reflected in its first and last rows and columns, which are not repeated.

    `padding` is one number or (left, right, top, bottom), each smaller than the map.
    """

    mode: ClassVar[str] = "reflect"


@dataclass(frozen=True)
class ReplicationPad2d(_Padding):
    """The map's first and last rows and columns, repeated.

    `padding` is one number or (left, right, top, bottom).
    """

    mode: ClassVar[str] = "replicate"


@dataclass(frozen=True)
class CircularPad2d(_Padding):
    """The map's opposite rows and columns, as if the map went on there.

    `padding` is one number or (left, right, top, bottom), each at most the map's size.
    """

    mode: ClassVar[str] = "circular"
