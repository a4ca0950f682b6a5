"""Changes a stored image, as bytes, to the size of the network's input before it is placed.

    stored image → crop → rotation → TrivialAugment → `augmentation`

each only if the spec asks for it. Each step reads one picture and writes another; a worker has up
to two pictures, which are written in turn. The first step reads the stored image itself.
"""

from dataclasses import dataclass

from neocog.kernels.codegen.pointers import advance, pointer
from neocog.kernels.codegen.vector_types import BYTES, INTS
from neocog.kernels.compiler.jit import inlined
from neocog.kernels.compiler.optional import optional
from neocog.kernels.input.crop import crop
from neocog.kernels.input.resample import most_taps
from neocog.kernels.input.trivial_augment import trivial_augment
from neocog.kernels.input.warp import random_rotation

__all__ = ["Scratch", "changing"]

_LEVELS = 256


@dataclass(frozen=True)
class Scratch:
    """A worker's memory for pictures of height × width × channels, made from stored images.

    Bytes: up to two pictures, a table of 256 per channel, and the rows of a crop before its columns
    are resampled. int32: first pixels, numbers of pixels, a row of sums and taps, or 256 counts.
    """

    height: int
    width: int
    channels: int
    stored_height: int
    stored_width: int
    cropped: bool
    rotated: bool
    trivial: bool

    @property
    def row(self) -> int:
        """Bytes of a picture's row."""
        return self.width * self.channels

    @property
    def size(self) -> int:
        """Bytes of a picture."""
        return self.height * self.row

    @property
    def rotation(self) -> int:
        """Offset of the picture that the rotation writes."""
        return self.cropped % 2 * self.size

    @property
    def change(self) -> int:
        """Offset of the picture that TrivialAugment writes."""
        return (self.cropped + self.rotated) % 2 * self.size

    @property
    def table(self) -> int:
        """Offset of the table."""
        return min(2, self.cropped + self.rotated + self.trivial) * self.size

    @property
    def rows(self) -> int:
        """Offset of the rows of a crop."""
        return self.table + (_LEVELS * self.channels if self.trivial else 0)

    @property
    def bytes(self) -> int:
        """Bytes in all."""
        return self.rows + (self.stored_height * self.row if self.cropped else 0)

    @property
    def longest(self) -> int:
        """The longer side of a picture."""
        return max(self.height, self.width)

    @property
    def taps(self) -> int:
        """The most stored pixels that make up a new one."""
        return max(
            most_taps(self.stored_height, self.height), most_taps(self.stored_width, self.width)
        )

    @property
    def numbers(self) -> int:
        """int32 in all."""
        of_crop = self.longest * (2 + self.taps) + self.row if self.cropped else 0
        return max(of_crop, _LEVELS if self.trivial else 0)


@inlined
def crop_picture(spec, key, source, picture, numbers):
    """Crop; returns the picture."""
    crop(spec, key, source, advance(picture, spec.scratch.rows), numbers, picture)
    return picture


@inlined
def rotate_picture(spec, key, source, picture, numbers):
    """Rotate; returns the picture."""
    to = advance(picture, spec.scratch.rotation)
    random_rotation(spec, key, source, to)
    return to


@inlined
def change_picture(spec, key, source, picture, numbers):
    """Apply TrivialAugment; returns the picture."""
    table = advance(picture, spec.scratch.table)
    return trivial_augment(spec, key, source, numbers, table, advance(picture, spec.scratch.change))


@inlined
def keep_picture(spec, key, source, picture, numbers):
    """Do nothing; returns the source."""
    return source


cropping = optional(lambda spec: spec.scratch.cropped, crop_picture, keep_picture)
rotating = optional(lambda spec: spec.scratch.rotated, rotate_picture, keep_picture)
varying = optional(lambda spec: spec.scratch.trivial, change_picture, keep_picture)


@inlined
def change_stored(spec, operands, key, source):
    """Apply all changes; returns the picture."""
    picture = pointer(operands, 8, BYTES)
    numbers = pointer(operands, 9, INTS)
    source = cropping(spec)(spec, key, source, picture, numbers)
    source = rotating(spec)(spec, key, source, picture, numbers)
    return varying(spec)(spec, key, source, picture, numbers)


@inlined
def keep_stored(spec, operands, key, source):
    """Do nothing; returns the stored image."""
    return source


#: `changing(spec)(spec, operands, key, source)` returns the picture of a stored image, for a spec
#: with a `scratch`. Operand 8 is `scratch.bytes` bytes of the worker, 9 `scratch.numbers` int32.
changing = optional(lambda spec: spec.scratch.bytes > 0, change_stored, keep_stored)
