"""PReLU: a rectifier whose slope below 0 is learned, by channel or for all.

    y = x where x > 0, else a · x          dx = dy where x > 0, else a · dy
    da = Σ dy · x where not x > 0, over images and pixels, and over channels if they share it

(K. He et al., 2015). NaN counts as not above 0. Every image adds up its own da, row by row; the
images' are then added in their order in float64.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.vector_types import FLOATS, LANES, LONGS, float32
from neocog.kernels.compiler.jit import Kernel, kernel
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.elementwise.traversal import Pass, Traversal, first_pixels, over, traverse
from neocog.kernels.layout import FeatureMap, padded

__all__ = ["LearnedSlope", "kinds", "prelu_backward", "prelu_forward", "prelu_reduce"]


@dataclass(frozen=True)
class LearnedSlope(Spec):
    """From the map x to the map y, and from dy to dx; a slope is `shared` by all channels.

    A shared slope is the first float of its vector.
    """

    x: FeatureMap
    y: FeatureMap
    dy: FeatureMap
    dx: FeatureMap
    shared: bool

    @property
    def forward(self) -> Traversal:
        """The forward pass."""
        return over(self.x, self.y)

    @property
    def backward(self) -> Traversal:
        """The backward pass."""
        return over(self.x, self.dy, self.dx)

    @property
    def channels(self) -> int:
        """Floats of one number per channel."""
        return padded(self.x.channels)

    @property
    def each(self) -> int:
        """1 if channels have slopes of their own, else 0."""
        return int(not self.shared)


def _slopes(emit, spec, slope):
    def begin(c, vectors):
        places = [(c + v * LANES) * spec.each for v in range(vectors)]
        first = emit.broadcast(slope)
        return [emit.select(spec.shared, first, emit.load(slope, at)) for at in places]

    return begin


@block(nothing)
def forward(emit, spec, count, x, slope, y):
    """y of so many images."""

    def visit(slopes, place):
        value = place.load(0)
        below = emit.mul(slopes[place.number], value)
        place.store(1, emit.select(emit.greater(value, emit.constant(0.0)), value, below))
        return ()

    with emit.loop(0, count) as n:
        maps = first_pixels(emit, n, (x, spec.x), (y, spec.y))
        traverse(emit, spec.forward, maps, Pass(visit, _slopes(emit, spec, slope)))


@kernel(x=FLOATS, slope=FLOATS, y=FLOATS)
def prelu_forward(spec, o, first, count):
    """y from x."""
    forward(spec, count, o.x, o.slope, o.y)


@block(nothing)
def backward(emit, spec, count, x, slope, dy, dx, sums):
    """dx and the sums of so many images."""
    zero = emit.constant(0.0)

    def visit(slopes, place):
        value, given = place.load(0), place.load(1)
        above = emit.greater(value, zero)
        place.store(2, emit.select(above, given, emit.mul(slopes[place.number], given)))
        return ((emit.select(above, zero, emit.mul(given, value)),),)

    with emit.loop(0, count) as n:
        of_image = emit.advance(sums, n * spec.channels)

        def end(row, c, totals):
            before = emit.select(row < 1, zero, emit.load(of_image, c))
            emit.store(emit.add(before, totals[0]), of_image, c)

        maps = first_pixels(emit, n, (x, spec.x), (dy, spec.dy), (dx, spec.dx))
        does = Pass(visit, _slopes(emit, spec, slope), end, sums=1)
        traverse(emit, spec.backward, maps, does)


@kernel(x=FLOATS, slope=FLOATS, dy=FLOATS, dx=FLOATS, sums=FLOATS)
def prelu_backward(spec, o, first, count):
    """dx from x and dy, and an image's `sums`: da of every channel. dx may be dy's buffer."""
    backward(spec, count, o.x, o.slope, o.dy, o.dx, o.sums)


@kernel(sums=FLOATS, step=LONGS, dslope=FLOATS)
def prelu_reduce(spec, o, first, count):
    """da from the sums of all images, for vectors of slopes; a shared slope is one vector."""
    images = o.step[1]
    for at in range(first * LANES, (first + count) * LANES):
        total = 0.0
        for n in range(images):
            if not spec.shared:
                total += o.sums[n * spec.channels + at]
            elif at == 0:
                for c in range(spec.x.channels):
                    total += o.sums[n * spec.channels + c]
        o.dslope[at] = float32(total)


def kinds() -> Iterator[tuple[Kernel, LearnedSlope]]:
    """A spec of every kind, with its kernel."""
    spec = LearnedSlope(*(FeatureMap(1, 1, 1),) * 4, shared=True)
    yield prelu_forward, spec
    yield prelu_backward, spec
    yield prelu_reduce, spec
