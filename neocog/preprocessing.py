"""How pixels become the numbers a network gets; one description for training and all else.

It travels with the model: training, evaluation, prediction and export all read the same one.
"""

from dataclasses import dataclass

from neocog.errors import ArchitectureError

__all__ = ["Preprocessing"]


@dataclass(frozen=True)
class Preprocessing:
    """x = (pixel / 255 − mean) / std for every channel; the note's is mean 0.5, std 0.5.

    `mean` and `std` hold one number a channel, in units of the pixel range 0 to 1.
    """

    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", tuple(float(m) for m in self.mean))
        object.__setattr__(self, "std", tuple(float(s) for s in self.std))
        if len(self.mean) != len(self.std):
            raise ArchitectureError(
                f"Preprocessing: mean (={self.mean}) and std (={self.std}) must have one number "
                "a channel each."
            )
        if not all(s > 0 for s in self.std) or not all(abs(m) < 1e6 for m in self.mean):
            raise ArchitectureError(
                f"Preprocessing: every std (={self.std}) must be positive and every mean "
                f"(={self.mean}) finite."
            )

    @property
    def scale(self) -> tuple[float, ...]:
        """What a pixel byte is multiplied by."""
        return tuple(1.0 / (255.0 * s) for s in self.std)

    @property
    def shift(self) -> tuple[float, ...]:
        """What is added after that."""
        return tuple(-m / s for m, s in zip(self.mean, self.std, strict=True))
