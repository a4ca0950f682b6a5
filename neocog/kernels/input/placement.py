"""Places pictures of bytes in the network's input: shifted, flipped and normalized.

    t[h, w] = p[h + dy, w + dx]     beyond the edges of the picture p, p mirrored at its outermost
                                    pixels (reflect) or black (zero)
    f[h, w] = t[h, W − 1 − w]       if the picture is flipped
    x = f · scale + shift           or f / 255, if colors change after this

dy, dx and the flips are drawn in `draws`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.pointers import advance
from neocog.kernels.codegen.vector_types import BYTES, FLOATS, LANES, LONGS, float32
from neocog.kernels.compiler.jit import inlined, kernel
from neocog.kernels.input.augmented import Augment, Augmented, channels_of
from neocog.kernels.input.draws import placement_of, source_of
from neocog.kernels.input.image import BUNCH, Images
from neocog.kernels.input.mirroring import mirrored
from neocog.kernels.layout import FeatureMap

__all__ = ["Placement", "kinds", "place_images"]


@dataclass(frozen=True)
class Placement(Augmented):
    """The same for the kernel that places pictures."""

    constants = ("given", "wanted", "bunch")

    @property
    def given(self) -> int:
        """Channels that are loaded in vectors: 1, 3 or 4; 0 for any other number."""
        known = self.x.channels in (1, 3, 4) and self.x.pixel <= 4
        return self.x.channels if known else 0

    @property
    def wanted(self) -> int:
        """Floats of such a pixel."""
        return self.given + (self.given == 3)

    @property
    def bunch(self) -> int:
        """Pixels that are loaded together."""
        return BUNCH if self.given == 3 else LANES // max(1, self.wanted)


@block(nothing)
def place(emit, spec, source, scale, shift, x):
    """A bunch of pixels."""
    _place(emit, spec, source, scale, shift, x, backward=False)


@block(nothing)
def place_backward(emit, spec, source, scale, shift, x):
    """A bunch of pixels, from last to first."""
    _place(emit, spec, source, scale, shift, x, backward=True)


def _place(emit, spec, source, scale, shift, x, *, backward):
    if not spec.given:
        return
    floats = spec.bunch * spec.wanted
    values = emit.load_bytes(source, floats, spec.given, spec.wanted, backward=backward)
    part = emit.constant(1 / 255)
    for n, value in enumerate(values):
        at = n * LANES
        normalized = emit.fma(value, emit.load(scale, at), emit.load(shift, at))
        share = emit.mul(value, part)
        emit.store(emit.select(spec.augment.colored, share, normalized), x, at)


@inlined
def put_pixel(spec, source, column, scale, shift, x):
    """One pixel from a column of the (flipped) row of bytes, or from outside of the row."""
    inside = 0 <= column < spec.x.width
    if not inside and spec.augment.reflected:
        column = mirrored(column, spec.x.width)
        inside = True
    channels = channels_of(spec)
    for c in range(channels):
        value = float32(source[column * channels + c]) if inside else float32(0)
        x[c] = value * float32(1 / 255) if spec.augment.colored else value * scale[c] + shift[c]


@inlined
def put_row(spec, source, offset, flipped, scale, shift, x):
    """One row: pixel w is pixel w + offset of the row of bytes, flipped if `flipped`."""
    width = spec.x.width
    low = min(max(0, -offset), width)
    high = max(low, min(width, width - offset))
    if spec.given == 0 or high - low < spec.bunch:
        high = low
    # The last bunch may overlap the one before, where it writes the same values.
    for start in range(low, high, spec.bunch):
        at = min(start, high - spec.bunch)
        here = at * spec.wanted
        by, plus, to = advance(scale, here), advance(shift, here), advance(x, here)
        if flipped:
            column = width - spec.bunch - (at + offset)
            place_backward(spec, advance(source, column * spec.given), by, plus, to)
        else:
            place(spec, advance(source, (at + offset) * spec.given), by, plus, to)
    pixel = spec.wanted if spec.given else spec.x.pixel
    for part in range(2):
        for at in range(0 if part == 0 else high, low if part == 0 else width):
            column = at + offset
            if flipped:
                column = width - 1 - column
            put_pixel(spec, source, column, scale, shift, advance(x, at * pixel))


@inlined
def place_image(spec, source, flipped, down, right, scale, shift, x):
    """One picture."""
    # A shift before the flip is a shift in the other direction after it.
    offset = -right if flipped else right
    for row in range(spec.x.height):
        at = row + down
        if spec.augment.reflected:
            at = mirrored(at, spec.x.height)
        # Outside of the image, any row that is shifted out of sight is black.
        there = 0 <= at < spec.x.height
        from_ = advance(source, at * spec.images.row if there else 0)
        across = offset if there else spec.x.width
        put_row(spec, from_, across, flipped, scale, shift, advance(x, row * spec.x.row))


@kernel(source=BYTES, drawn=LONGS, scale=FLOATS, shift=FLOATS, x=FLOATS)
def place_images(spec, o, first, count):
    """Place images first … first + count."""
    for n in range(count):
        source = source_of(spec, o.source, o.drawn, n)
        flipped, down, right = placement_of(o.drawn, n)
        x = advance(o.x, n * spec.x.size + spec.x.start)
        place_image(spec, source, flipped, down, right, o.scale, o.shift, x)


def kinds() -> Iterator[tuple[Any, Any]]:
    """The kernel with a spec of each of its kinds."""
    for channels in (1, 2, 3, 4):
        images = Images(FeatureMap(1, 1, channels, dense=True), True)
        yield place_images, Placement(images, Augment())
