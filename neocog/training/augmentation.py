"""How training images are varied each time they are seen; `neocog.kernels.augmentation` does it.

In this order: a shift (a random crop of the image with a border around it), a flip from left to
right, changes of colour, a square cut out, and a mixture of two images of the batch.

Sources: A. Krizhevsky et al., 2012 (crops and flips); K. Jordan, "94% on CIFAR-10 in 3.29 seconds
on a single GPU", 2024 (flips that alternate from epoch to epoch); torchvision's `ColorJitter`;
T. DeVries and G. W. Taylor, "Improved regularization of convolutional neural networks with
cutout", 2017; H. Zhang et al., "mixup: beyond empirical risk minimization", 2017.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from neocog.errors import NeocogError
from neocog.validation import choice, real, row, settle, shown, whole

__all__ = ["Augmentation"]

_FLIPS = ("random", "alternating")
_BORDERS = ("reflect", "zero")
_MOST_PIXELS = 10_000
_STRONGEST = 1000


@dataclass(frozen=True)
class Augmentation:
    """What may happen to a training image; nothing, if no argument is given.

    The seed alone decides what happens: an image's draws follow from the seed, the epoch and the
    image's index in the data.

    Args:
        flip: "random" flips left and right with probability ½; "alternating" does so in the first
            epoch and from then on shows each image in turn flipped and not.
        translate: the most pixels that an image is shifted, in each of the four directions.
        border: what comes in at the edge of a shifted image: "reflect", its own pixels mirrored at
            the outermost one; "zero", black.
        cutout: the side in pixels of a square, at a random place, that is set to the mean of the
            preprocessing: 0 once normalised. Its centre lies in the image, parts of it may not.
        jitter: the strengths v of changes of brightness, contrast and saturation, in this order:
            each by a factor from max(0, 1 − v) to 1 + v, as in torchvision.
        mixup: α of the Beta(α, α) from which a batch's λ is drawn: each image becomes λ of itself
            and 1 − λ of another one of the batch, and so do its labels. 0 mixes nothing.
    """

    flip: str | None = None
    translate: int = 0
    border: str = "reflect"
    cutout: int = 0
    jitter: tuple[float, float, float] = (0.0, 0.0, 0.0)
    mixup: float = 0.0

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

    @property
    def changes(self) -> bool:
        """Whether anything happens to an image at all."""
        return bool(self.flip or self.translate or self.cutout or any(self.jitter) or self.mixup)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON; `from_dict` reads it."""
        return {**asdict(self), "jitter": list(self.jitter)}

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
