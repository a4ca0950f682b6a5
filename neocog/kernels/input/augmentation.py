"""Augmentation of images while they are loaded: crops, rotations, shifts, flips, colors, mixup.

p are an image's bytes, H × W × C; the steps are in this order, each only if the spec asks for it.

    crop        p = a random rectangle of the stored image, resampled to H × W; see `crop`
    rotate      p = p rotated by an angle uniform in ± rotate degrees; see `warp`
    trivial     p = p after one of fourteen changes; see `trivial_augment`
    shift       t[h, w] = p[h + dy, w + dx], dy and dx uniform in −T … T; what lies outside of the
                image is the image mirrored at its outermost pixels (reflect) or black (zero)
    flip        f[h, w] = t[h, W − 1 − w]; "random": with probability ½; "alternating": so in epoch
                0, and after that in every epoch that follows one without a flip
    colors     brightness, contrast, saturation; see `color_jitter`
    normalize   x = f · scale + shift
    cutout      x = 0 in a square around a uniformly random pixel; see `cutout`
    mixup       x ← λ x + (1 − λ) x of the partner, which has its own draws; see `mixup`

The first three give bytes. Flipping after them has the same distribution as flipping before, since
each of their results is as likely as its mirror image. So the code that places bytes need not know
whether they were stored or made.

Everything random follows from the seed: an image's draws from the seed, the epoch and its index in
the data, a batch's from the seed, the epoch and its beginning. No result depends on how images are
divided among calls. With `fixed`, flip and shift are given instead of drawn, for the views of an
image whose predictions are averaged in testing.

Alternating flips: K. Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024.
"""

from dataclasses import dataclass

import numpy as np

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.pointers import advance, pointer
from neocog.kernels.codegen.vector_types import BYTES, FLOATS, LANES, LONGS, float32
from neocog.kernels.compiler.jit import inlined, kernel
from neocog.kernels.compiler.optional import optional
from neocog.kernels.input.color_jitter import change_colors
from neocog.kernels.input.cutout import cutting
from neocog.kernels.input.image import Images, fetch
from neocog.kernels.input.mixup import mixing, partner
from neocog.kernels.input.picture_changes import Scratch, changing
from neocog.kernels.input.warp import mirrored
from neocog.kernels.layout import FeatureMap
from neocog.kernels.random import drawn_below, random_bits
from neocog.settings.augmentation import Augmentation
from neocog.settings.setting import setting

__all__ = ["AUGMENT_SETTINGS", "Augment", "Augmented", "load_augmented"]

#: Names of the int64 settings; the last three are only used if the spec is `fixed`.
AUGMENT_SETTINGS = ("seed", "epoch", "flip", "down", "right")
_SEED, _EPOCH, _FLIP, _DOWN, _RIGHT = range(len(AUGMENT_SETTINGS))

# Purposes of an image's random numbers; `cutout` and others use the numbers after these.
_OF_FLIP, _OF_DOWN, _OF_RIGHT = range(3)


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
    def colored(self) -> bool:
        """Whether any color changes."""
        return any(strength > 0 for strength in self.jitter)

    @property
    def mixes(self) -> bool:
        """Whether images are mixed."""
        return self.mixup > 0

    @property
    def least_area(self) -> float:
        """The least share of an image's area that is cropped."""
        return float(self.crop[0]) if self.crop else 1.0

    @property
    def most_area(self) -> float:
        """The greatest share of an image's area that is cropped."""
        return float(self.crop[1]) if self.crop else 1.0


@dataclass(frozen=True)
class Augmented:
    """Loads images of bytes into the map `images.x`, varied by `augment`.

    `stored` is the height and width of the stored images if they differ from those of x.
    """

    images: Images
    augment: Augment
    stored: tuple[int, int] | None = None

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
    def scratch(self) -> Scratch:
        """The scratch memory in which a worker makes pictures."""
        return Scratch(
            *(self.x.height, self.x.width, self.x.channels),
            *(self.stored_height, self.stored_width),
            cropped=self.augment.crop is not None,
            rotated=self.augment.rotate > 0,
            trivial=self.augment.trivial_augment,
        )

    @property
    def whole(self) -> int:
        """Pixels of a row whose colors are computed in vectors: only for three channels in four."""
        if self.x.channels != 3 or self.x.pixel != 4:
            return 0
        return self.x.width - self.x.width % (LANES // 4)


# Shift and flip


@block(nothing)
def place(emit, spec, source, scale, shift, x):
    """A bunch of pixels: bytes · scale + shift, or bytes / 255 if colors change after this."""
    _place(emit, spec, source, scale, shift, x, backward=False)


@block(nothing)
def place_backward(emit, spec, source, scale, shift, x):
    """`place`, with the pixels from last to first."""
    _place(emit, spec, source, scale, shift, x, backward=True)


def _place(emit, spec, source, scale, shift, x, *, backward):
    images = spec.images
    floats = images.bunch * spec.x.pixel
    if not floats:
        return
    values = emit.load_bytes(source, floats, spec.x.channels, spec.x.pixel, backward=backward)
    for n, value in enumerate(values):
        at = n * LANES
        if spec.augment.colored:
            emit.store(emit.mul(value, emit.constant(1 / 255)), x, at)
        else:
            emit.store(emit.fma(value, emit.load(scale, at), emit.load(shift, at)), x, at)


@inlined
def put_pixel(spec, source, column, scale, shift, x):
    """One pixel from a column of the (flipped) row of bytes, or from outside of the row."""
    inside = 0 <= column < spec.x.width
    if not inside and spec.augment.reflected:
        column = mirrored(column, spec.x.width)
        inside = True
    for c in range(spec.x.channels):
        value = float32(source[column * spec.x.channels + c]) if inside else float32(0)
        x[c] = value * float32(1 / 255) if spec.augment.colored else value * scale[c] + shift[c]


@inlined
def put_row(spec, source, offset, flipped, scale, shift, x):
    """One row: pixel w is pixel w + offset of the row of bytes, flipped if `flipped`."""
    width = spec.x.width
    low = min(max(0, -offset), width)
    high = max(low, min(width, width - offset))
    if spec.images.bunch == 0 or high - low < spec.images.bunch:
        high = low
    # The last bunch may overlap the one before, where it writes the same values.
    for start in range(low, high, spec.images.stride):
        at = min(start, high - spec.images.stride)
        to = advance(x, at * spec.x.pixel)
        if flipped:
            column = width - spec.images.stride - (at + offset)
            place_backward(spec, advance(source, column * spec.x.channels), scale, shift, to)
        else:
            place(spec, advance(source, (at + offset) * spec.x.channels), scale, shift, to)
    for part in range(2):
        for at in range(0 if part == 0 else high, low if part == 0 else width):
            column = at + offset
            if flipped:
                column = width - 1 - column
            put_pixel(spec, source, column, scale, shift, advance(x, at * spec.x.pixel))


@inlined
def coin(key):
    """A random boolean."""
    return random_bits(key, _OF_FLIP, 0) & np.uint64(1) == np.uint64(1)


@inlined
def is_flipped(spec, settings, key, index):
    """Whether an image is flipped in this epoch."""
    if spec.augment.fixed:
        return settings[_FLIP] != 0
    if spec.augment.random_flip:
        return coin(key)
    if spec.augment.alternating:
        first = coin(random_bits(settings[_SEED], 0, index))
        return first != (settings[_EPOCH] % 2 == 1)
    return False


@inlined
def arrange(spec, source, settings, key, index, scale, shift, x):
    """An image's bytes, shifted and flipped, into its map."""
    flipped = is_flipped(spec, settings, key, index)
    down, right = 0, 0
    if spec.augment.fixed:
        down, right = settings[_DOWN], settings[_RIGHT]
    elif spec.augment.translate > 0:
        down = drawn_below(2 * spec.augment.translate + 1, key, _OF_DOWN) - spec.augment.translate
        right = drawn_below(2 * spec.augment.translate + 1, key, _OF_RIGHT) - spec.augment.translate
    # A shift before the flip is a shift in the other direction after it.
    offset = -right if flipped else right
    for row in range(spec.x.height):
        to = advance(x, row * spec.x.row)
        at = row + down
        if spec.augment.reflected:
            at = mirrored(at, spec.x.height)
        # Outside of the image, any row that is shifted out of sight is black.
        there = 0 <= at < spec.x.height
        row_offset = offset if there else spec.x.width
        from_ = advance(source, at * spec.images.row if there else 0)
        put_row(spec, from_, row_offset, flipped, scale, shift, to)


# Mixup


@block(nothing)
def mix(emit, spec, share, rest, x, other):
    """One vector: share · x + rest · other."""
    emit.store(
        emit.fma(emit.splat(share), emit.load(x), emit.mul(emit.splat(rest), emit.load(other))), x
    )


@inlined
def mix_maps(spec, share, x, other):
    """Mix every row of two maps."""
    rest = float32(1.0 - share)
    share = float32(share)
    size = spec.x.width * spec.x.pixel
    for row in range(spec.x.height):
        to, by = advance(x, row * spec.x.row), advance(other, row * spec.x.row)
        for at in range(0, size - LANES + 1, LANES):
            mix(spec, share, rest, advance(to, at), advance(by, at))
        for at in range(size - size % LANES, size):
            to[at] = share * to[at] + rest * by[at]


@inlined
def leave_colors(spec, key, scale, shift, x):
    """No change of colors."""


@inlined
def leave_alone(spec, share, x, other):
    """No mixture."""


coloring = optional(lambda spec: spec.augment.colored, change_colors, leave_colors)
blending = optional(lambda spec: spec.augment.mixes, mix_maps, leave_alone)


@kernel
def load_augmented(spec, operands, first, count):
    """Operands: bytes of all images, order, the step, scale, shift, x, settings, other, scratch.

    `settings` are int64, see `AUGMENT_SETTINGS`. `other` is a map like x, one per worker, and
    only used if images are mixed. The scratch, two operands, is used if images are cropped, rotated
    or changed (`changing`). The images of the next step are prefetched as in `load_images`.
    """
    data = pointer(operands, 0, BYTES)
    order = pointer(operands, 1, LONGS)
    step = pointer(operands, 2, LONGS)
    scale = pointer(operands, 3, FLOATS)
    shift = pointer(operands, 4, FLOATS)
    settings = pointer(operands, 6, LONGS)
    share, rotation = mixing(spec.augment)(spec.augment.mixup, settings, step)
    for n in range(count):
        x = advance(pointer(operands, 5, FLOATS), n * spec.x.size + spec.x.start)
        other = x
        if spec.augment.mixes:
            other = advance(pointer(operands, 7, FLOATS), spec.x.start)
        # The image itself, then its partner.
        for turn in range(2 if spec.augment.mixes else 1):
            to = x if turn == 0 else other
            index = step[0] + partner(first + n, step[1], turn * rotation)
            if spec.images.gathered:
                following = index + step[1]
                if spec.fetches and turn == 0 and following < step[3]:
                    fetch(spec.images, advance(data, order[following] * spec.images.image_size))
                index = order[index]
            key = random_bits(settings[_SEED], settings[_EPOCH], index)
            stored = advance(data, index * spec.stored_size)
            source = changing(spec)(spec, operands, key, stored)
            arrange(spec, source, settings, key, index, scale, shift, to)
            coloring(spec)(spec, key, scale, shift, to)
            cutting(spec)(spec, key, to)
        blending(spec)(spec, share, x, other)
