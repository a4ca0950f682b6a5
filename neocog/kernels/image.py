"""From the data's bytes to the network's input: gather by index, normalise, place into the border.

    x[h, w, c] = byte[h, w, c] · scale[c] + shift[c]

`scale` and `shift` come from the model's preprocessing, laid out for one whole row of pixels.
"""

from dataclasses import dataclass

from neocog.kernels.compiling import kernel
from neocog.kernels.layout import FeatureMap
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

__all__ = ["Images", "load_images"]


@dataclass(frozen=True)
class Images:
    """Images of bytes, height × width × channels, that become the map x.

    `gathered` says that the step's order of indices chooses them; else they are taken in a row.
    """

    x: FeatureMap
    gathered: bool

    @property
    def columns(self) -> int:
        """Bytes of one row."""
        return self.x.width * self.x.channels

    @property
    def image_size(self) -> int:
        """Bytes of one image."""
        return self.x.height * self.columns

    @property
    def vectors_end(self) -> int:
        """Where the last whole vector of a row ends."""
        return self.columns - self.columns % LANES


@block(nothing)
def normalise(e, s, source, scale, shift, x):
    """One vector of bytes · scale + shift."""
    e.store(e.fma(e.load_bytes(source), e.load(scale), e.load(shift)), x)


@block(nothing)
def fetch(e, s, source):
    """Ask for one image's cache lines."""
    for at in range(0, s.image_size, 64):
        e.prefetch(source, at)


@kernel
def load_images(s, operands, first, count):
    """Operands: bytes of all images, order, the step, scale, shift, x.

    Where the images are gathered, those of the next step are asked for: they lie anywhere in a
    memory far larger than any cache, and arrive while this step computes.
    """
    data = pointer(operands, 0, BYTES)
    order = pointer(operands, 1, LONGS)
    step = pointer(operands, 2, LONGS)
    scale = pointer(operands, 3, FLOATS)
    shift = pointer(operands, 4, FLOATS)
    for n in range(count):
        index = step[0] + first + n
        if s.gathered:
            following = index + step[1]
            if following < step[3]:
                fetch(s, advance(data, order[following] * s.image_size))
            index = order[index]
        source = advance(data, index * s.image_size)
        x = advance(pointer(operands, 5, FLOATS), n * s.x.size + s.x.start)
        for row in range(s.x.height):
            bytes_ = advance(source, row * s.columns)
            to = advance(x, row * s.x.row)
            for at in range(0, s.vectors_end, LANES):
                normalise(
                    s, advance(bytes_, at), advance(scale, at), advance(shift, at), advance(to, at)
                )
            for at in range(s.vectors_end, s.columns):
                to[at] = float32(bytes_[at]) * scale[at] + shift[at]
