"""Copies of some channels: of concatenations, of parts, and of shuffled channels.

    y[h, w, to + c] ← x[h, w, begin + c] for c < given, and 0 for given ≤ c < wanted

    y[h, w, i g + j] ← x[h, w, j n + i]     of g groups of n channels

Parts begin at any channel, so their vectors are not aligned; the last of a pixel are masked. The
zeros fill up the vectors of the last part, or of the gradient of one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.vector_types import FLOATS, LANES
from neocog.kernels.compiler.jit import Kernel, kernel
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.elementwise.traversal import first_pixels
from neocog.kernels.layout import FeatureMap

__all__ = ["ChannelCopy", "ChannelPermutation", "copy_channels", "kinds", "shuffle_channels"]


@dataclass(frozen=True)
class ChannelCopy(Spec):
    """From channel `begin` of x to channel `to` of y, maps of the same height and width."""

    x: FeatureMap
    y: FeatureMap
    begin: int
    to: int
    given: int
    wanted: int

    @property
    def whole(self) -> int:
        """Floats of a pixel that are copied as whole vectors."""
        return self.given // LANES * LANES


@block(nothing)
def copy(emit, spec, count, x, y):
    """The channels of so many images."""
    with emit.loop(0, count) as n:
        (x_map, _), (y_map, _) = first_pixels(emit, n, (x, spec.x), (y, spec.y))
        with emit.loop(0, spec.y.height) as row, emit.loop(0, spec.y.width) as column:
            of = emit.advance(x_map, row * spec.x.row + column * spec.x.pixel + spec.begin)
            at = emit.advance(y_map, row * spec.y.row + column * spec.y.pixel + spec.to)
            with emit.loop(0, spec.whole, LANES) as c:
                emit.store(emit.load(of, c), at, c)
            with emit.loop(spec.whole, spec.wanted, LANES) as c:
                value = emit.load_lanes(of, c, spec.given - c)
                emit.store_lanes(value, at, c, spec.wanted - c)


@kernel(x=FLOATS, y=FLOATS)
def copy_channels(spec, o, first, count):
    """Write some channels of y, from x."""
    copy(spec, count, o.x, o.y)


@dataclass(frozen=True)
class ChannelPermutation(Spec):
    """From x to y, maps of the same size, with channels of `groups` groups in turn."""

    x: FeatureMap
    y: FeatureMap
    groups: int

    @property
    def each(self) -> int:
        """Channels of a group."""
        return self.x.channels // self.groups


@block(nothing)
def shuffle(emit, spec, count, x, y):
    """The channels of so many images, one by one."""
    zero = emit.lane(emit.constant(0.0), 0)
    with emit.loop(0, count) as n:
        (x_map, _), (y_map, _) = first_pixels(emit, n, (x, spec.x), (y, spec.y))
        with emit.loop(0, spec.y.height) as row, emit.loop(0, spec.y.width) as column:
            of = emit.advance(x_map, row * spec.x.row + column * spec.x.pixel)
            at = emit.advance(y_map, row * spec.y.row + column * spec.y.pixel)
            with emit.loop(0, spec.each) as i, emit.loop(0, spec.groups) as j:
                emit.store_float(emit.load_float(of, j * spec.each + i), at, i * spec.groups + j)
            with emit.loop(spec.y.channels, spec.y.pixel) as c:
                emit.store_float(zero, at, c)


@kernel(x=FLOATS, y=FLOATS)
def shuffle_channels(spec, o, first, count):
    """Write the channels of y, which are those of x in another order."""
    shuffle(spec, count, o.x, o.y)


def kinds() -> Iterator[tuple[Kernel, Spec]]:
    """A spec of every kind, with its kernel."""
    one = FeatureMap(1, 1, 1)
    yield shuffle_channels, ChannelPermutation(one, one, 1)
    yield copy_channels, ChannelCopy(FeatureMap(1, 1, 1), FeatureMap(1, 1, 1), 0, 0, 1, 1)
