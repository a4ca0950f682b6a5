"""How training images are varied each time they are seen; `neocog.kernels.augmentation` does it.

In this order: a crop that is resized, a rotation, one change of TrivialAugment's, a shift (a random
crop of the image with a border around it), a flip from left to right, changes of color, a square
cut out, and a mixture of two images of the batch.

Sources: torchvision's `RandomResizedCrop`, `RandomRotation`, `TrivialAugmentWide`, `ColorJitter`;
S. G. Müller and F. Hutter, "TrivialAugment: tuning-free yet state-of-the-art data augmentation",
2021; A. Krizhevsky et al., 2012 (crops and flips); K. Jordan, "94% on CIFAR-10 in 3.29 seconds on a
single GPU", 2024 (flips that alternate from epoch to epoch);
T. DeVries and G. W. Taylor, "Improved regularization of convolutional neural networks with
cutout", 2017; H. Zhang et al., "mixup: beyond empirical risk minimization", 2017.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from neocog.errors import NeocogError
from neocog.validation import choice, flag, real, refuse, row, settle, shown, whole

__all__ = ["Augmentation"]

_FLIPS = ("random", "alternating")
_BORDERS = ("reflect", "zero")
_MOST_PIXELS = 10_000
_STRONGEST = 1000
_LEAST_AREA = 1e-4


@dataclass(frozen=True)
class Augmentation:
    """What may happen to a training image; nothing, if no argument is given.

    The seed alone decides what happens: an image's draws follow from the seed, the epoch and the
    image's index in the data.

    Args:
        flip: "random" flips left and right with probability ½; "alternating" does so in the first
            epoch and from then on shows each image in turn flipped and not.
        translate: the most pixels that an image is shifted, in each of the four directions.
        border: what comes in at the edge of an image that is shifted, rotated or sheared:
            "reflect", its own pixels mirrored at the outermost one; "zero", black.
        cutout: the side in pixels of a square, at a random place, that is set to the mean of the
            preprocessing: 0 once normalized. Its center lies in the image, parts of it may not.
        jitter: the strengths v of changes of brightness, contrast and saturation, in this order:
            each by a factor from max(0, 1 − v) to 1 + v, as in torchvision.
        mixup: α of the Beta(α, α) from which a batch's λ is drawn: each image becomes λ of itself
            and 1 − λ of another one of the batch, and so do its labels. 0 mixes nothing.
        crop: the least and the greatest share of an image's area that is cropped at a random place,
            such as (0.35, 1.0), 3/4 to 4/3 as wide as high, and resized to the network's input:
            torchvision's `RandomResizedCrop`, antialiased. The images may then be larger than the
            input. None crops nothing.
        rotate: the most degrees that an image is turned about its center, to either side, as in
            torchvision's `RandomRotation`; bilinear.
        trivial_augment: whether each image has one random change of torchvision's
            `TrivialAugmentWide`, of random strength: sheared, shifted by up to 32 pixels, rotated
            by up to 135°, its brightness, color, contrast or sharpness changed, posterized,
            solarized, autocontrasted, equalized, or nothing of all that.
    """

    flip: str | None = None
    translate: int = 0
    border: str = "reflect"
    cutout: int = 0
    jitter: tuple[float, float, float] = (0.0, 0.0, 0.0)
    mixup: float = 0.0
    crop: tuple[float, float] | None = None
    rotate: float = 0.0
    trivial_augment: bool = False

    def __post_init__(self) -> None:
        flips = 'None, "random" or "alternating"'
        if self.flip is not None:
            settle(self, choice, "flip", known=_FLIPS, wanted=flips)
        settle(self, choice, "border", known=_BORDERS, wanted='"reflect" or "zero"')
        wanted = f"a whole number of pixels, from 0 to {_MOST_PIXELS}"
        settle(self, whole, "translate", "cutout", least=0, most=_MOST_PIXELS, wanted=wanted)
        wanted = (
            "three numbers of at least 0: the strengths for brightness, contrast and saturation, "
            "such as (0.2, 0.2, 0.2)"
        )
        settle(self, row, "jitter", count=3, least=0, most=_STRONGEST, wanted=wanted)
        wanted = "a number of at least 0, such as 0.2; 0 mixes nothing"
        settle(self, real, "mixup", least=0, most=_STRONGEST, wanted=wanted)
        if self.crop is not None:
            settle(self, _shares, "crop")
        wanted = "a number of degrees, from 0 to 180"
        settle(self, real, "rotate", least=0, most=180, wanted=wanted)
        settle(self, flag, "trivial_augment")

    @property
    def changes(self) -> bool:
        """Whether anything happens to an image at all."""
        by_place = self.flip or self.translate or self.crop or self.rotate
        by_value = self.cutout or any(self.jitter) or self.mixup
        return bool(by_place or by_value or self.trivial_augment)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON; `from_dict` reads it."""
        crop = None if self.crop is None else list(self.crop)
        return {**asdict(self), "jitter": list(self.jitter), "crop": crop}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Augmentation":
        """The description that `to_dict` gave; what is left out has its default."""
        if not isinstance(data, Mapping):
            raise NeocogError(f"Augmentation: {shown(data)} must be a mapping of names to values.")
        known = [field.name for field in fields(cls)]
        unknown = [name for name in data if name not in known]
        if unknown:
            raise NeocogError(
                f"Augmentation: {shown(unknown[0])} is not known; there are {', '.join(known)}."
            )
        return cls(**data)


def _shares(name: str, value: object) -> tuple[float, ...]:
    """The least and the greatest share of an area."""
    wanted = (
        f"two shares of the image's area from {_LEAST_AREA:g} to 1, the smaller one first, such as "
        "(0.35, 1.0), or None"
    )
    shares = row(name, value, 2, least=_LEAST_AREA, most=1, wanted=wanted)
    if shares[0] > shares[1]:
        raise refuse(name, value, wanted)
    return shares
