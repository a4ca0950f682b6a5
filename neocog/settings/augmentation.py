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

from dataclasses import dataclass

from neocog.settings.setting import Settings, setting
from neocog.validation import refuse, row

__all__ = ["Augmentation"]

_MOST_PIXELS = 10_000
_STRONGEST = 1000
_LEAST_AREA = 1e-4
_PIXELS = {
    "low": 0,
    "high": _MOST_PIXELS,
    "wanted": f"a whole number of pixels, from 0 to {_MOST_PIXELS}",
}


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


def _shares_of_text(text: str) -> tuple[float, ...] | None:
    """One number is the least share, and 0 crops nothing."""
    shares = tuple(float(part) for part in text.split(","))
    if shares == (0,):
        return None
    return (*shares, 1.0) if len(shares) == 1 else shares


@dataclass(frozen=True)
class Augmentation(Settings):
    """What may happen to a training image; nothing, if no argument is given.

    The seed alone decides what happens: an image's draws follow from the seed, the epoch and the
    image's index in the data.

    Args:
        flip: "random" flips left and right with probability ½; "alternating" does so in the first
            epoch and from then on shows each image in turn flipped and not.
        translate: in each of the four directions.
        border: "reflect", the image's own pixels mirrored at the outermost one; "zero", black.
        cutout: at a random place, set to the mean of the preprocessing: 0 once normalized. Its
            center lies in the image, parts of it may not.
        jitter: of brightness, contrast and saturation, in this order: each by a factor from
            max(0, 1 − v) to 1 + v, as in torchvision.
        mixup: each image becomes λ of itself and 1 − λ of another one of the batch, with λ drawn
            for the batch from Beta(α, α), and so do its labels. 0 mixes nothing.
        crop: such as (0.35, 1.0), at a random place, 3/4 to 4/3 as wide as high, and resized to
            the network's input: torchvision's `RandomResizedCrop`, antialiased. The images may then
            be larger than the input. None crops nothing.
        rotate: to either side, about the center, as in torchvision's `RandomRotation`; bilinear.
        trivial_augment: sheared, shifted by up to 32 pixels, rotated by up to 135°, its brightness,
            color, contrast or sharpness changed, posterized, solarized, autocontrasted, equalized,
            or nothing of all that, with random strength.
    """

    flip: str | None = setting(
        None,
        choices=("random", "alternating"),
        option="--flip",
        help="show images mirrored left to right, at random or in turn",
    )
    translate: int = setting(
        0, option="--translate", help="most pixels that images are shifted", **_PIXELS
    )
    border: str = setting(
        "reflect",
        choices=("reflect", "zero"),
        option="--border",
        help="what images have beyond an edge",
    )
    cutout: int = setting(
        0, option="--cutout", help="side in pixels of a square that is left out", **_PIXELS
    )
    jitter: tuple[float, float, float] = setting(
        (0.0, 0.0, 0.0),
        low=0,
        high=_STRONGEST,
        wanted="three numbers of at least 0: the strengths for brightness, contrast and "
        "saturation, such as (0.2, 0.2, 0.2)",
        option="--jitter",
        metavar=("BRIGHTNESS", "CONTRAST", "SATURATION"),
        help="strengths of changes of color",
    )
    mixup: float = setting(
        0.0,
        low=0,
        high=_STRONGEST,
        wanted="a number of at least 0, such as 0.2; 0 mixes nothing",
        option="--mixup",
        help="α of mixtures of two images",
    )
    crop: tuple[float, float] | None = setting(
        None,
        check=_shares,
        text=_shares_of_text,
        option="--crop",
        metavar="LEAST[,MOST]",
        help="show parts of images, of this share of the area or more, such as 0.35; 0: all of it",
    )
    rotate: float = setting(
        0.0,
        low=0,
        high=180,
        wanted="a number of degrees, from 0 to 180",
        option="--rotate",
        metavar="DEGREES",
        help="most degrees that images are turned",
    )
    trivial_augment: bool = setting(
        False,
        option="--trivial-augment",
        help="one random change of each image, of TrivialAugment's",
    )

    @classmethod
    def prefix(cls) -> str:
        """See `Settings`."""
        return "Augmentation: "

    @property
    def changes(self) -> bool:
        """Whether anything happens to an image at all."""
        by_place = self.flip or self.translate or self.crop or self.rotate
        by_value = self.cutout or any(self.jitter) or self.mixup
        return bool(by_place or by_value or self.trivial_augment)
