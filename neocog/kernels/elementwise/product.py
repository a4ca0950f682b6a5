"""Products of maps, and of maps with one number per channel, as in squeeze and excitation.

    multiply_maps       y[h, w, c] ← x[h, w, c] · factor[h, w, c]
    scale_channels      y[h, w, c] ← x[h, w, c] · factor[c]
    channel_products    sums[c] ← Σ over h, w of x[h, w, c] · dy[h, w, c]

The gradients of a product are products with the other factor: dx = dy · factor by the same kernels,
and that of a channel's factor is `channel_products`. An image's sums are added up row by row.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.vector_types import FLOATS, LANES
from neocog.kernels.compiler.jit import Kernel, kernel
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.elementwise.traversal import Pass, Traversal, first_pixels, over, traverse
from neocog.kernels.layout import FeatureMap

__all__ = [
    "ChannelProduct",
    "ElementwiseProduct",
    "channel_products",
    "kinds",
    "multiply_maps",
    "scale_channels",
]


@dataclass(frozen=True)
class ElementwiseProduct(Spec):
    """From the maps x and `factor` to the map y, all of one size; any may be dense."""

    x: FeatureMap
    factor: FeatureMap
    y: FeatureMap

    @property
    def all(self) -> Traversal:
        """The pass over the maps."""
        return over(self.x, self.factor, self.y, alike=True)


@dataclass(frozen=True)
class ChannelProduct(Spec):
    """From or to the maps x and y of one size, and the map `factor` of one pixel."""

    x: FeatureMap
    factor: FeatureMap
    y: FeatureMap

    @property
    def all(self) -> Traversal:
        """The pass over x and y."""
        return over(self.x, self.y)


@block(nothing)
def multiply(emit, spec, count, x, factor, y):
    """y of so many images."""

    def visit(told, place):
        place.store(2, emit.mul(place.load(0), place.load(1)))
        return ()

    with emit.loop(0, count) as n:
        maps = first_pixels(emit, n, (x, spec.x), (factor, spec.factor), (y, spec.y))
        traverse(emit, spec.all, maps, Pass(visit))


@kernel(x=FLOATS, factor=FLOATS, y=FLOATS)
def multiply_maps(spec, o, first, count):
    """y from x and `factor`, which may be the same buffer."""
    multiply(spec, count, o.x, o.factor, o.y)


@block(nothing)
def scale(emit, spec, count, x, factor, y):
    """y of so many images."""

    def visit(factors, place):
        place.store(1, emit.mul(place.load(0), factors[place.number]))
        return ()

    with emit.loop(0, count) as n:
        ((numbers, _),) = first_pixels(emit, n, (factor, spec.factor))

        def begin(c, vectors):
            places = [c + v * LANES for v in range(vectors)]
            return [emit.load_lanes(numbers, at, spec.factor.pixel - at) for at in places]

        maps = first_pixels(emit, n, (x, spec.x), (y, spec.y))
        traverse(emit, spec.all, maps, Pass(visit, begin))


@kernel(x=FLOATS, factor=FLOATS, y=FLOATS)
def scale_channels(spec, o, first, count):
    """y from x and each image's numbers of its channels."""
    scale(spec, count, o.x, o.factor, o.y)


@block(nothing)
def add_products(emit, spec, count, x, y, sums):
    """The sums of so many images."""

    def visit(told, place):
        return ((place.load(0), place.load(1)),)

    with emit.loop(0, count) as n:
        ((numbers, _),) = first_pixels(emit, n, (sums, spec.factor))

        def end(row, c, totals):
            wanted = spec.factor.pixel - c
            before = emit.load_lanes(numbers, c, wanted)
            before = emit.select(row < 1, emit.constant(0.0), before)
            emit.store_lanes(emit.add(before, totals[0]), numbers, c, wanted)

        maps = first_pixels(emit, n, (x, spec.x), (y, spec.y))
        traverse(emit, spec.all, maps, Pass(visit, end=end, sums=1))


@kernel(x=FLOATS, y=FLOATS, sums=FLOATS)
def channel_products(spec, o, first, count):
    """The sums, as a map `factor`, of the products of x and y."""
    add_products(spec, count, o.x, o.y, o.sums)


def kinds() -> Iterator[tuple[Kernel, Spec]]:
    """A spec of every kind, with its kernel."""
    maps = (FeatureMap(1, 1, 1),) * 3
    yield multiply_maps, ElementwiseProduct(*maps)
    yield scale_channels, ChannelProduct(*maps)
    yield channel_products, ChannelProduct(*maps)
