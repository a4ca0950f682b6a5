"""Images that are varied as they are loaded: cropped, turned, shifted, flipped, coloured, mixed.

p are an image's bytes, H × W × C; the steps are in this order, each only if the stage asks for it.

    crop        p = a random rectangle of the stored image, resampled to H × W; see `crop`
    rotate      p = p turned by an angle uniform in ± rotate degrees; see `warp`
    trivial     p = p after one change of fourteen; see `trivial_augment`
    shift       t[h, w] = p[h + dy, w + dx], dy and dx uniform in −T … T; what lies outside of the
                image is the image mirrored at its outermost pixels (reflect) or black (zero)
    flip        f[h, w] = t[h, W − 1 − w]; "random": with probability ½; "alternating": so in epoch
                0, and in every other epoch where it was not in the one before
    colours     brightness, contrast, saturation; see `colour_jitter`
    normalise   x = f · scale + shift
    cutout      x = 0 in a square around a uniformly random pixel; see `cutout`
    mixup       x ← λ x + (1 − λ) x of the partner, who has draws of its own; see `mixup`

The first three give bytes. A flip behind them is, for what can come out, one before them: each is
as likely as its mirror image. So what places bytes does not know whether they were stored or made.

All is decided by the seed: an image's draws by the seed, the epoch and its index in the data, a
batch's by the seed, the epoch and where it begins. No result depends on how images are cut into
calls. With `fixed`, flip and shift are given instead of drawn: the views of one image whose
predictions are averaged in testing.

Flips that alternate: K. Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024.
"""

from dataclasses import dataclass

import numpy as np

from neocog.kernels.colour_jitter import change_colours
from neocog.kernels.compiling import inlined, kernel
from neocog.kernels.cutout import cutting
from neocog.kernels.image import Images, fetch
from neocog.kernels.layout import FeatureMap
from neocog.kernels.mixup import mixing, partner
from neocog.kernels.optional import optional
from neocog.kernels.picture_changes import Scratch, changing
from neocog.kernels.random import drawn_below, random_bits
from neocog.kernels.simd import (
    BYTES,
    FLOATS,
    LANES,
    LONGS,
    advance,
    block,
    float32,
    nothing,
    pointer,
)
from neocog.kernels.warp import mirrored

__all__ = ["AUGMENT_SETTINGS", "Augment", "Augmented", "load_augmented"]

#: What each int64 of the settings is; the last three only count where the stage is `fixed`.
AUGMENT_SETTINGS = ("seed", "epoch", "flip", "down", "right")
_SEED, _EPOCH, _FLIP, _DOWN, _RIGHT = range(len(AUGMENT_SETTINGS))

# Which of an image's random numbers is for what; `cutout` and others have those behind.
_OF_FLIP, _OF_DOWN, _OF_RIGHT = range(3)


@dataclass(frozen=True)
class Augment:
    """What is done to an image: the fields of `neocog.training.augmentation.Augmentation`.

    `fixed` takes flip and shift from the settings; `flip` and `translate` then say nothing.
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
    fixed: bool = False

    @property
    def random_flip(self) -> bool:
        """Whether each epoch draws anew who is flipped."""
        return self.flip == "random"

    @property
    def alternating(self) -> bool:
        """Whether who is flipped in one epoch is not in the next."""
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
        """Whether the contrast changes, for which the whole image's mean must be known."""
        return self.contrast > 0

    @property
    def coloured(self) -> bool:
        """Whether any colour changes."""
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
    """Images of bytes that become the map `images.x`, varied as `how` says.

    `stored` is their height and width where they are cropped, if not those of x.
    """

    images: Images
    how: Augment
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
        """Whether the next step's images are asked for; of one to crop, who knows which part."""
        return self.images.gathered and not self.how.crop

    @property
    def scratch(self) -> Scratch:
        """The memory that each worker makes pictures in."""
        return Scratch(
            *(self.x.height, self.x.width, self.x.channels),
            *(self.stored_height, self.stored_width),
            cropped=self.how.crop is not None,
            rotated=self.how.rotate > 0,
            trivial=self.how.trivial_augment,
        )

    @property
    def whole(self) -> int:
        """Pixels of a row whose colours change in vectors; none but for three channels in four."""
        if self.x.channels != 3 or self.x.pixel != 4:
            return 0
        return self.x.width - self.x.width % (LANES // 4)


# Shift and flip


@block(nothing)
def place(e, s, source, scale, shift, x):
    """A bunch of pixels: bytes · scale + shift, or / 255 where colours are still to change."""
    _place(e, s, source, scale, shift, x, backward=False)


@block(nothing)
def place_backward(e, s, source, scale, shift, x):
    """`place`, with the pixels from last to first."""
    _place(e, s, source, scale, shift, x, backward=True)


def _place(e, s, source, scale, shift, x, *, backward):
    images = s.images
    floats = images.bunch * s.x.pixel
    if not floats:
        return
    values = e.load_bytes(source, floats, s.x.channels, s.x.pixel, backward=backward)
    for n, value in enumerate(values):
        at = n * LANES
        if s.how.coloured:
            e.store(e.mul(value, e.constant(1 / 255)), x, at)
        else:
            e.store(e.fma(value, e.load(scale, at), e.load(shift, at)), x, at)


@inlined
def put_pixel(s, source, column, scale, shift, x):
    """One pixel of a row of bytes, from a column that may lie outside of it, flipped if it is."""
    inside = 0 <= column < s.x.width
    if not inside and s.how.reflected:
        column = mirrored(column, s.x.width)
        inside = True
    for c in range(s.x.channels):
        value = float32(source[column * s.x.channels + c]) if inside else float32(0)
        x[c] = value * float32(1 / 255) if s.how.coloured else value * scale[c] + shift[c]


@inlined
def put_row(s, source, offset, flipped, scale, shift, x):
    """One row: pixel w is pixel w + offset of the row of bytes, which is flipped if so asked."""
    width = s.x.width
    low = min(max(0, -offset), width)
    high = max(low, min(width, width - offset))
    if s.images.bunch == 0 or high - low < s.images.bunch:
        high = low
    # The last bunch may lie over the one before, and writes the same there.
    for start in range(low, high, s.images.stride):
        at = min(start, high - s.images.stride)
        to = advance(x, at * s.x.pixel)
        if flipped:
            column = width - s.images.stride - (at + offset)
            place_backward(s, advance(source, column * s.x.channels), scale, shift, to)
        else:
            place(s, advance(source, (at + offset) * s.x.channels), scale, shift, to)
    for part in range(2):
        for at in range(0 if part == 0 else high, low if part == 0 else width):
            column = at + offset
            if flipped:
                column = width - 1 - column
            put_pixel(s, source, column, scale, shift, advance(x, at * s.x.pixel))


@inlined
def coin(key):
    """Heads or tails."""
    return random_bits(key, _OF_FLIP, 0) & np.uint64(1) == np.uint64(1)


@inlined
def is_flipped(s, settings, key, index):
    """Whether an image is flipped in this epoch."""
    if s.how.fixed:
        return settings[_FLIP] != 0
    if s.how.random_flip:
        return coin(key)
    if s.how.alternating:
        first = coin(random_bits(settings[_SEED], 0, index))
        return first != (settings[_EPOCH] % 2 == 1)
    return False


@inlined
def arrange(s, source, settings, key, index, scale, shift, x):
    """An image's bytes, shifted and flipped, into its map."""
    flipped = is_flipped(s, settings, key, index)
    down, right = 0, 0
    if s.how.fixed:
        down, right = settings[_DOWN], settings[_RIGHT]
    elif s.how.translate > 0:
        down = drawn_below(2 * s.how.translate + 1, key, _OF_DOWN) - s.how.translate
        right = drawn_below(2 * s.how.translate + 1, key, _OF_RIGHT) - s.how.translate
    # A shift before the flip is a shift to the other side after it.
    offset = -right if flipped else right
    for row in range(s.x.height):
        to = advance(x, row * s.x.row)
        at = row + down
        if s.how.reflected:
            at = mirrored(at, s.x.height)
        # Where no row is, any row shifted out of sight is black.
        there = 0 <= at < s.x.height
        row_offset = offset if there else s.x.width
        from_ = advance(source, at * s.images.row if there else 0)
        put_row(s, from_, row_offset, flipped, scale, shift, to)


# Mixup


@block(nothing)
def mix(e, s, share, rest, x, other):
    """One vector: share · x + rest · other."""
    e.store(e.fma(e.splat(share), e.load(x), e.mul(e.splat(rest), e.load(other))), x)


@inlined
def mix_maps(s, share, x, other):
    """Mix every row of two maps."""
    rest = float32(1.0 - share)
    share = float32(share)
    size = s.x.width * s.x.pixel
    for row in range(s.x.height):
        to, by = advance(x, row * s.x.row), advance(other, row * s.x.row)
        for at in range(0, size - LANES + 1, LANES):
            mix(s, share, rest, advance(to, at), advance(by, at))
        for at in range(size - size % LANES, size):
            to[at] = share * to[at] + rest * by[at]


@inlined
def leave_colours(s, key, scale, shift, x):
    """No change of colours."""


@inlined
def leave_alone(s, share, x, other):
    """No mixture."""


colouring = optional(lambda s: s.how.coloured, change_colours, leave_colours)
blending = optional(lambda s: s.how.mixes, mix_maps, leave_alone)


@kernel
def load_augmented(s, operands, first, count):
    """Operands: bytes of all images, order, the step, scale, shift, x, settings, other, scratch.

    `settings` are int64, see `AUGMENT_SETTINGS`. `other` is a map as x, one for each worker, and
    only used if images are mixed; the scratch, of two operands, if they are cropped, rotated or
    changed (`changing`). The images of the next step are asked for as in `load_images`.
    """
    data = pointer(operands, 0, BYTES)
    order = pointer(operands, 1, LONGS)
    step = pointer(operands, 2, LONGS)
    scale = pointer(operands, 3, FLOATS)
    shift = pointer(operands, 4, FLOATS)
    settings = pointer(operands, 6, LONGS)
    share, rotation = mixing(s.how)(s.how.mixup, settings, step)
    for n in range(count):
        x = advance(pointer(operands, 5, FLOATS), n * s.x.size + s.x.start)
        other = x
        if s.how.mixes:
            other = advance(pointer(operands, 7, FLOATS), s.x.start)
        # The image itself, then its partner.
        for turn in range(2 if s.how.mixes else 1):
            to = x if turn == 0 else other
            index = step[0] + partner(first + n, step[1], turn * rotation)
            if s.images.gathered:
                following = index + step[1]
                if s.fetches and turn == 0 and following < step[3]:
                    fetch(s.images, advance(data, order[following] * s.images.image_size))
                index = order[index]
            key = random_bits(settings[_SEED], settings[_EPOCH], index)
            stored = advance(data, index * s.stored_size)
            source = changing(s)(s, operands, key, stored)
            arrange(s, source, settings, key, index, scale, shift, to)
            colouring(s)(s, key, scale, shift, to)
            cutting(s)(s, key, to)
        blending(s)(s, share, x, other)
