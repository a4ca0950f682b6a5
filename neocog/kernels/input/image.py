"""From the data's bytes to the network's input: gathers by index, normalizes, adds the border.

    x[h, w, c] = byte[h, w, c] · scale[c] + shift[c]

`scale` and `shift` come from the model's preprocessing, laid out for one whole row of pixels.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.pointers import advance
from neocog.kernels.codegen.vector_types import BYTES, FLOATS, LANES, LONGS, float32
from neocog.kernels.compiler.jit import inlined, kernel
from neocog.kernels.compiler.operands import maybe
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.layout import FeatureMap

__all__ = ["BUNCH", "Images", "fetch", "kinds", "load_images"]

#: Pixels of three channels that are loaded together.
BUNCH = max(4, LANES // 4)
# Bytes of a cache line, and lines that are fetched together.
_LINE, _LINES = 64, 8


@dataclass(frozen=True)
class Images(Spec):
    """Loads images of bytes, height × width × channels, into the map x.

    With `gathered` the step's order of indices chooses the images; otherwise they come in sequence.
    An image may have rows `above` and `below` those that are loaded.
    """

    x: FeatureMap
    gathered: bool
    above: int = 0
    below: int = 0

    @property
    def row(self) -> int:
        """Bytes of one row."""
        return self.x.width * self.x.channels

    @property
    def image_size(self) -> int:
        """Bytes of one image."""
        return (self.above + self.x.height + self.below) * self.row

    @property
    def begin(self) -> int:
        """Bytes of the rows above."""
        return self.above * self.row

    @property
    def size(self) -> int:
        """Bytes of the rows that are loaded."""
        return self.x.height * self.row

    @property
    def alike(self) -> bool:
        """Whether a row's bytes are in the order of its floats."""
        return self.x.pixel == self.x.channels

    @property
    def colored(self) -> bool:
        """Whether three bytes become four floats."""
        return self.x.channels == 3 and self.x.pixel == 4


def _normalize(emit, values, scale, shift, x):
    for n, value in enumerate(values):
        at = n * LANES
        emit.store(emit.fma(value, emit.load(scale, at), emit.load(shift, at)), x, at)


@block(nothing)
def normalize(emit, spec, source, scale, shift, x):
    """A vector of bytes · scale + shift."""
    _normalize(emit, emit.load_bytes(source, LANES, 1, 1), scale, shift, x)


@block(nothing)
def normalize_colors(emit, spec, source, scale, shift, x):
    """A bunch of pixels: bytes · scale + shift, where three bytes become four floats."""
    _normalize(emit, emit.load_bytes(source, 4 * BUNCH, 3, 4), scale, shift, x)


@inlined
def normalize_row(spec, source, scale, shift, x):
    """One row of an image; the last vector may overlap the one before it."""
    width = spec.x.width
    if spec.alike and spec.row >= LANES:
        for start in range(0, spec.row, LANES):
            at = min(start, spec.row - LANES)
            by, plus = advance(scale, at), advance(shift, at)
            normalize(spec, advance(source, at), by, plus, advance(x, at))
    elif spec.colored and width >= BUNCH:
        for start in range(0, width, BUNCH):
            at = min(start, width - BUNCH)
            by, plus = advance(scale, 4 * at), advance(shift, 4 * at)
            normalize_colors(spec, advance(source, 3 * at), by, plus, advance(x, 4 * at))
    else:
        for at in range(width):
            for c in range(spec.x.channels):
                here = at * spec.x.pixel + c
                x[here] = float32(source[at * spec.x.channels + c]) * scale[here] + shift[here]


@block(nothing)
def fetch_lines(emit, spec, source):
    """Prefetch a few cache lines."""
    for n in range(_LINES):
        emit.prefetch(source, n * _LINE)


@inlined
def fetch(spec, source):
    """Prefetch the cache lines of one image's rows, and perhaps some that follow them."""
    for at in range(0, spec.size, _LINES * _LINE):
        fetch_lines(spec, advance(source, at))


_OPERANDS = {"data": BYTES, "order": maybe(LONGS), "step": LONGS}


@kernel(**_OPERANDS, scale=FLOATS, shift=FLOATS, x=FLOATS)
def load_images(spec, o, first, count):
    """Images first … first + count of the step, from the `data`, the bytes of all images.

    If images are gathered, those of the next step are prefetched: they lie anywhere in memory far
    larger than any cache, and arrive while this step computes.
    """
    data = advance(o.data, spec.begin)
    for n in range(count):
        index = o.step[0] + first + n
        if spec.gathered:
            following = index + o.step[1]
            if following < o.step[3]:
                fetch(spec, advance(data, o.order[following] * spec.image_size))
            index = o.order[index]
        source = advance(data, index * spec.image_size)
        x = advance(o.x, n * spec.x.size + spec.x.start)
        for row in range(spec.x.height):
            to = advance(x, row * spec.x.row)
            normalize_row(spec, advance(source, row * spec.row), o.scale, o.shift, to)


def kinds() -> Iterator[tuple[Any, Any]]:
    """The kernel with a spec of the only kind that it has."""
    yield load_images, Images(FeatureMap(1, 1, 1, dense=True), True)
