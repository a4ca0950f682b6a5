"""From the data's bytes to the network's input: gathers by index, normalizes, adds the border.

    x[h, w, c] = byte[h, w, c] · scale[c] + shift[c]

`scale` and `shift` come from the model's preprocessing, laid out for one whole row of pixels.
"""

from dataclasses import dataclass

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.pointers import advance, pointer
from neocog.kernels.codegen.vector_types import BYTES, FLOATS, LANES, LONGS, float32
from neocog.kernels.compiler.jit import kernel
from neocog.kernels.layout import FeatureMap

__all__ = ["Images", "load_images"]


@dataclass(frozen=True)
class Images:
    """Loads images of bytes, height × width × channels, into the map x.

    With `gathered` the step's order of indices chooses the images; otherwise they come in sequence.
    """

    x: FeatureMap
    gathered: bool

    @property
    def row(self) -> int:
        """Bytes of one row."""
        return self.x.width * self.x.channels

    @property
    def image_size(self) -> int:
        """Bytes of one image."""
        return self.x.height * self.row

    @property
    def bunch(self) -> int:
        """Pixels that are loaded together; 0 if bytes and floats have different layouts."""
        if self.x.pixel == self.x.channels:
            return LANES // self.x.pixel
        return max(4, LANES // 4) if self.x.channels == 3 else 0

    @property
    def bunched(self) -> int:
        """Pixels of a row that are loaded in bunches."""
        return self.x.width - self.x.width % self.bunch if self.bunch else 0

    @property
    def stride(self) -> int:
        """The step of the loop over bunches, which must not be 0."""
        return max(1, self.bunch)


@block(nothing)
def normalize(emit, spec, source, scale, shift, x):
    """A bunch of pixels: bytes · scale + shift, where three bytes become four floats."""
    floats = spec.bunch * spec.x.pixel
    if not floats:
        return
    for n, value in enumerate(emit.load_bytes(source, floats, spec.x.channels, spec.x.pixel)):
        at = n * LANES
        emit.store(emit.fma(value, emit.load(scale, at), emit.load(shift, at)), x, at)


@block(nothing)
def fetch(emit, spec, source):
    """Prefetch one image's cache lines."""
    for at in range(0, spec.image_size, 64):
        emit.prefetch(source, at)


@kernel
def load_images(spec, operands, first, count):
    """Operands: bytes of all images, order, the step, scale, shift, x.

    If images are gathered, those of the next step are prefetched: they lie anywhere in memory far
    larger than any cache, and arrive while this step computes.
    """
    data = pointer(operands, 0, BYTES)
    order = pointer(operands, 1, LONGS)
    step = pointer(operands, 2, LONGS)
    scale = pointer(operands, 3, FLOATS)
    shift = pointer(operands, 4, FLOATS)
    for n in range(count):
        index = step[0] + first + n
        if spec.gathered:
            following = index + step[1]
            if following < step[3]:
                fetch(spec, advance(data, order[following] * spec.image_size))
            index = order[index]
        source = advance(data, index * spec.image_size)
        x = advance(pointer(operands, 5, FLOATS), n * spec.x.size + spec.x.start)
        for row in range(spec.x.height):
            bytes_ = advance(source, row * spec.row)
            to = advance(x, row * spec.x.row)
            for at in range(0, spec.bunched, spec.stride):
                here = at * spec.x.pixel
                normalize(
                    spec,
                    advance(bytes_, at * spec.x.channels),
                    advance(scale, here),
                    advance(shift, here),
                    advance(to, here),
                )
            for at in range(spec.bunched, spec.x.width):
                for c in range(spec.x.channels):
                    here = at * spec.x.pixel + c
                    to[here] = float32(bytes_[at * spec.x.channels + c]) * scale[here] + shift[here]
