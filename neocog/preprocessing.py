"""How pixels become the numbers a network gets; one description for training and all else.

It travels with the model: training, evaluation, prediction and export all read the same one.
"""

from dataclasses import dataclass

from neocog.errors import ArchitectureError
from neocog.validation import as_real, as_row, refuse, shown

__all__ = ["Preprocessing"]

_MOST = 1e6
# What a pixel is multiplied by must be a float32.
_LEAST_STD = 1e-30


@dataclass(frozen=True)
class Preprocessing:
    """x = (pixel / 255 − mean) / std for every channel; the note's is mean 0.5, std 0.5.

    `mean` and `std` hold one number a channel, in units of the pixel range 0 to 1.
    """

    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)

    def __post_init__(self) -> None:
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
        """What a pixel byte is multiplied by."""
        return tuple(1.0 / (255.0 * s) for s in self.std)

    @property
    def shift(self) -> tuple[float, ...]:
        """What is added after that."""
        return tuple(-m / s for m, s in zip(self.mean, self.std, strict=True))
