"""How a picture becomes the input of a network.

The description is stored with the model: training, evaluation, prediction and export all use it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from neocog.errors import ArchitectureError
from neocog.validation import as_real, as_row, choice, instance, real, refuse, settle, shown, whole

__all__ = ["INTERPOLATIONS", "RESIZE_MODES", "Preprocessing", "Resize"]

#: Ways to fit a picture of another aspect ratio.
RESIZE_MODES = ("stretch", "crop", "letterbox")
#: Filters, by Pillow's names. All except "nearest" are antialiased when a picture shrinks.
INTERPOLATIONS = ("nearest", "box", "bilinear", "bicubic", "lanczos")

_MOST = 1e6
# The factor of a pixel must be a float32.
_LEAST_STD = 1e-30


@dataclass(frozen=True)
class Resize:
    """How a picture of any size is resized to the network's height and width.

    Args:
        mode: "stretch" scales height and width independently; "crop" scales the picture until it
            covers the network's input, and cuts off the excess on two sides; "letterbox" scales it
            until it fits into the input, and fills the rest.
        interpolation: one of `INTERPOLATIONS`.
        keep: for "crop", the fraction of the fitting side that is kept: 0.875 is the middle 224 of
            256.
        fill: for "letterbox", the level of every channel around the picture, 0 to 255.

    Raises:
        ArchitectureError: a bad value.
    """

    mode: str = "stretch"
    interpolation: str = "lanczos"
    keep: float = 1.0
    fill: int = 128

    def __post_init__(self) -> None:
        error = ArchitectureError
        settle(self, choice, "mode", known=RESIZE_MODES, error=error)
        settle(self, choice, "interpolation", known=INTERPOLATIONS, error=error)
        wanted = "a number above 0 and at most 1"
        settle(self, real, "keep", above=0, most=1, wanted=wanted, error=error)
        settle(self, whole, "fill", least=0, most=255, error=error)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON; `from_dict` is the inverse."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Resize":
        """The description from plain data, as `to_dict` gives it; missing fields have defaults.

        Raises:
            ArchitectureError: an unknown field, or a bad value.
        """
        instance("Resize", data, Mapping, "settings by name", error=ArchitectureError)  # type: ignore[type-abstract]
        known = tuple(field.name for field in fields(cls))
        for name in data:
            choice("Resize: a setting", name, known, error=ArchitectureError)
        return cls(**data)


@dataclass(frozen=True)
class Preprocessing:
    """x = (pixel / 255 − mean) / std for every channel; the note uses mean 0.5, std 0.5.

    `mean` and `std` have one number per channel, on the pixel scale from 0 to 1. `resize` is how a
    picture of another size is resized first.
    """

    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)
    resize: Resize = Resize()

    def __post_init__(self) -> None:
        instance("Preprocessing: resize", self.resize, Resize, "a Resize", error=ArchitectureError)
        for name in ("mean", "std"):
            label, value = f"Preprocessing: {name}", getattr(self, name)
            numbers = tuple(as_real(number) for number in as_row(value) or ())
            if not numbers or None in numbers:
                raise refuse(label, value, "numbers, one a channel", ArchitectureError)
            object.__setattr__(self, name, numbers)
        if len(self.mean) != len(self.std):
            raise ArchitectureError(
                f"Preprocessing: mean (={shown(self.mean)}) and std (={shown(self.std)}) must have "
                "one number a channel each."
            )
        if not all(_LEAST_STD <= s <= _MOST for s in self.std):
            wanted = f"positive numbers, from {_LEAST_STD:g} to {_MOST:g}"
            raise refuse("Preprocessing: std", self.std, wanted, ArchitectureError)
        if not all(abs(m) < _MOST for m in self.mean):
            wanted = f"numbers, none larger than {_MOST:g}"
            raise refuse("Preprocessing: mean", self.mean, wanted, ArchitectureError)

    @property
    def scale(self) -> tuple[float, ...]:
        """The factor of a pixel byte."""
        return tuple(1.0 / (255.0 * s) for s in self.std)

    @property
    def shift(self) -> tuple[float, ...]:
        """The number that is added to the scaled pixel."""
        return tuple(-m / s for m, s in zip(self.mean, self.std, strict=True))
