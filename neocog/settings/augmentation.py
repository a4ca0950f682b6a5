"""Data augmentation: random changes of training images, applied by `kernels.input.augmentation`.

They are applied in this order: a resized crop, a rotation, one change of TrivialAugment, a shift (a
random crop of the image with a border around it), a horizontal flip, color jitter, cutout, and
mixup of two images of the batch.

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
    """Check the smallest and the largest fraction of the image's area."""
    wanted = (
        f"two fractions of the image's area from {_LEAST_AREA:g} to 1, the smaller first, such as "
        "(0.35, 1.0), or None"
    )
    shares = row(name, value, 2, least=_LEAST_AREA, most=1, wanted=wanted)
    if shares[0] > shares[1]:
        raise refuse(name, value, wanted)
    return shares


def _shares_of_text(text: str) -> tuple[float, ...] | None:
    """Parse a crop: a single number is the smallest fraction, and 0 means no crop."""
    shares = tuple(float(part) for part in text.split(","))
    if shares == (0,):
        return None
    return (*shares, 1.0) if len(shares) == 1 else shares


@dataclass(frozen=True)
class Augmentation(Settings):
    """The data augmentation of a run; the default changes nothing.

    The seed alone decides what happens: the random numbers of an image follow from the seed, the
    epoch and the image's index in the data.

    Args:
        flip: "random" flips left and right with probability ½. "alternating" does so in the first
            epoch and from then on shows each image flipped and unflipped in turn.
        translate: the largest shift in pixels, in each of the four directions.
        border: what is visible beyond an edge: "reflect" is the image mirrored at its outermost
            pixels, "zero" is black.
        cutout: side in pixels of a square at a random place that is set to the mean of the
            preprocessing, which is 0 once normalized. The square's center lies in the image; parts
            of the square may not.
        jitter: strengths for brightness, contrast and saturation, applied in this order: each is
            multiplied by a factor from max(0, 1 − strength) to 1 + strength, as in torchvision.
        mixup: each image becomes λ of itself and 1 − λ of another image of the batch, and so do
            its labels; λ is drawn once a batch from Beta(α, α). 0 turns mixup off.
        crop: the smallest and the largest fraction of the area to keep, such as (0.35, 1.0). The
            crop lies at a random place, has an aspect ratio from 3/4 to 4/3, and is resized to the
            network's input with antialiasing, as torchvision's `RandomResizedCrop`. Images may then
            be larger than the input. None turns cropping off.
        rotate: the largest angle in degrees, to either side, about the center; bilinear, as
            torchvision's `RandomRotation`.
        trivial_augment: apply one change to each image, with a random strength: a shear, a shift of
            up to 32 pixels, a rotation of up to 135°, a change of brightness, color, contrast or
            sharpness, posterize, solarize, autocontrast, equalize, or none.
    """

    flip: str | None = setting(
        None,
        choices=("random", "alternating"),
        option="--flip",
        help="flip images horizontally, at random or every other epoch",
    )
    translate: int = setting(
        0, option="--translate", help="largest shift of an image, in pixels", **_PIXELS
    )
    border: str = setting(
        "reflect",
        choices=("reflect", "zero"),
        option="--border",
        help="fill beyond the edges of a shifted image: mirrored pixels or black",
    )
    cutout: int = setting(
        0, option="--cutout", help="side of the square that is cut out, in pixels", **_PIXELS
    )
    jitter: tuple[float, float, float] = setting(
        (0.0, 0.0, 0.0),
        low=0,
        high=_STRONGEST,
        wanted="three numbers of at least 0: the strengths for brightness, contrast and "
        "saturation, such as (0.2, 0.2, 0.2)",
        option="--jitter",
        metavar=("BRIGHTNESS", "CONTRAST", "SATURATION"),
        help="strengths of the random changes of brightness, contrast and saturation",
    )
    mixup: float = setting(
        0.0,
        low=0,
        high=_STRONGEST,
        wanted="a number of at least 0, such as 0.2; 0 mixes nothing",
        option="--mixup",
        help="α of mixup, which blends pairs of images; 0: no mixup",
    )
    crop: tuple[float, float] | None = setting(
        None,
        check=_shares,
        text=_shares_of_text,
        option="--crop",
        metavar="LEAST[,MOST]",
        help="crop to at least this fraction of the area, such as 0.35, and resize; 0: no crop",
    )
    rotate: float = setting(
        0.0,
        low=0,
        high=180,
        wanted="a number of degrees, from 0 to 180",
        option="--rotate",
        metavar="DEGREES",
        help="largest rotation, in degrees",
    )
    trivial_augment: bool = setting(
        False,
        option="--trivial-augment",
        help="apply one random change of TrivialAugment to each image",
    )

    @classmethod
    def prefix(cls) -> str:
        """See `Settings`."""
        return "Augmentation: "

    @property
    def changes(self) -> bool:
        """Whether any augmentation is on."""
        by_place = self.flip or self.translate or self.crop or self.rotate
        by_value = self.cutout or any(self.jitter) or self.mixup
        return bool(by_place or by_value or self.trivial_augment)
