"""What the kernels of augmentation know: how images are varied, and what is drawn for each."""

from dataclasses import dataclass, replace
from typing import Self

from neocog.kernels.compiler.jit import inlined
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.input.image import Images
from neocog.kernels.input.taps import most_taps
from neocog.kernels.layout import FeatureMap
from neocog.settings.augmentation import Augmentation
from neocog.settings.setting import setting

__all__ = ["AUGMENT_SETTINGS", "DRAWN", "Augment", "Augmented", "Pictures", "channels_of"]

#: Names of the int64 settings; the last three are only used if the spec is `fixed`.
AUGMENT_SETTINGS = ("seed", "epoch", "flip", "down", "right")

#: What is drawn for an image, int64: its index in the data, the key of its random numbers, whether
#: it is flipped, and the pixels by which its rows and columns are shifted.
DRAWN = ("index", "key", "flipped", "down", "right")


@dataclass(frozen=True)
class Augment(Augmentation):
    """How images are varied.

    With `fixed`, flip and shift come from the settings, and `flip` and `translate` are ignored.
    """

    fixed: bool = setting(False, help="whether flip and shift are given instead of drawn")

    @classmethod
    def of(cls, augmentation: Augmentation) -> "Augment":
        """The kernels' form of an augmentation."""
        return cls(**{name: getattr(augmentation, name) for name in augmentation.names()})

    @property
    def random_flip(self) -> bool:
        """Whether each epoch draws which images are flipped."""
        return self.flip == "random"

    @property
    def alternating(self) -> bool:
        """Whether each image is flipped in every other epoch."""
        return self.flip == "alternating"

    @property
    def reflected(self) -> bool:
        """Whether the image is mirrored at its edges, not black outside."""
        return self.border == "reflect"

    @property
    def brightness(self) -> float:
        """The strength of changes of brightness."""
        return float(self.jitter[0])

    @property
    def contrast(self) -> float:
        """The strength of changes of contrast."""
        return float(self.jitter[1])

    @property
    def saturation(self) -> float:
        """The strength of changes of saturation."""
        return float(self.jitter[2])

    @property
    def contrasted(self) -> bool:
        """Whether the contrast changes, which needs the mean of the whole image."""
        return self.contrast > 0

    @property
    def saturated(self) -> bool:
        """Whether the saturation changes."""
        return self.saturation > 0

    @property
    def colored(self) -> bool:
        """Whether any color changes."""
        return any(strength > 0 for strength in self.jitter)

    @property
    def mixes(self) -> bool:
        """Whether images are mixed."""
        return self.mixup > 0

    @property
    def alpha(self) -> float:
        """The α of mixup."""
        return float(self.mixup)

    @property
    def degrees(self) -> float:
        """The largest angle of rotations."""
        return float(self.rotate)

    @property
    def least_area(self) -> float:
        """The least share of an image's area that is cropped."""
        return float(self.crop[0]) if self.crop else 1.0

    @property
    def most_area(self) -> float:
        """The greatest share of an image's area that is cropped."""
        return float(self.crop[1]) if self.crop else 1.0


@dataclass(frozen=True)
class Augmented(Spec):
    """Loads images of bytes into the map `images.x`, varied by `augment`.

    `stored` is the height and width of the stored images if they differ from those of x. With
    `made`, a kernel's source is a picture for each item, and not the bytes of all stored images.
    """

    images: Images
    augment: Augment
    stored: tuple[int, int] | None = None
    made: bool = False

    @classmethod
    def like(cls, other: "Augmented") -> Self:
        """A spec of this class with another one's fields."""
        return cls(other.images, other.augment, other.stored, other.made)

    @property
    def of_picture(self) -> Self:
        """The same for a kernel whose source is a picture for each item."""
        return replace(self, made=True)

    @property
    def x(self) -> FeatureMap:
        """The network's input."""
        return self.images.x

    @property
    def stored_height(self) -> int:
        """Rows of a stored image."""
        return self.stored[0] if self.stored else self.x.height

    @property
    def stored_width(self) -> int:
        """Columns of a stored image."""
        return self.stored[1] if self.stored else self.x.width

    @property
    def stored_row(self) -> int:
        """Bytes of a row of a stored image."""
        return self.stored_width * self.x.channels

    @property
    def stored_size(self) -> int:
        """Bytes of a stored image."""
        return self.stored_height * self.stored_row

    @property
    def fetches(self) -> bool:
        """Whether to prefetch the next step's images: not if an unknown part of them is cropped."""
        return self.images.gathered and not self.augment.crop

    @property
    def picture_room(self) -> int:
        """Bytes from one picture, which is as large as x, to the next: whole cache lines."""
        return -(-self.images.image_size // 64) * 64

    @property
    def given(self) -> int:
        """Channels that are a constant of machine code, or 0 for any number of them.

        Color pictures are made and placed a third faster if it knows that there are three.
        """
        return 3 if self.images.colored else 0

    # Of crops

    @property
    def longest(self) -> int:
        """The longer side of a picture."""
        return max(self.x.height, self.x.width)

    @property
    def taps(self) -> int:
        """The most stored pixels that make up a new one."""
        return max(
            most_taps(self.stored_height, self.x.height), most_taps(self.stored_width, self.x.width)
        )

    @property
    def crop_bytes(self) -> int:
        """Bytes of a crop's rows before its columns are resampled."""
        return self.stored_height * self.images.row

    @property
    def crop_numbers(self) -> int:
        """int32 that a crop needs: first pixels, numbers of pixels, a row of sums, and taps."""
        return self.longest * (2 + self.taps) + self.images.row


@dataclass(frozen=True)
class Pictures(Augmented):
    """The same for kernels that change pictures of bytes."""

    constants = ("given",)


@inlined
def channels_of(spec):
    """Channels of a picture, as a constant where that is known."""
    if spec.given:
        return spec.given
    return spec.x.channels
