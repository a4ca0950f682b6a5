"""Adds maps, and copies them.

    add_maps      y ← y + x                      copy_map      y ← x

The first joins two branches of a network, and the gradients of a map with two consumers.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.vector_types import FLOATS
from neocog.kernels.compiler.jit import Kernel, kernel
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.elementwise.traversal import Pass, Traversal, first_pixels, over, traverse
from neocog.kernels.layout import FeatureMap

__all__ = ["ElementwiseAdd", "add_maps", "copy_map", "kinds"]


@dataclass(frozen=True)
class ElementwiseAdd(Spec):
    """From the map x to the map y of the same size; either may be dense."""

    x: FeatureMap
    y: FeatureMap

    @property
    def all(self) -> Traversal:
        """The pass over both."""
        return over(self.x, self.y, alike=True)


def _traverse(emit, spec, count, x, y, visit):
    with emit.loop(0, count) as n:
        maps = first_pixels(emit, n, (x, spec.x), (y, spec.y))
        traverse(emit, spec.all, maps, Pass(visit))


@block(nothing)
def add(emit, spec, count, x, y):
    """y + x of so many images."""

    def visit(told, place):
        place.store(1, emit.add(place.load(1), place.load(0)))
        return ()

    _traverse(emit, spec, count, x, y, visit)


@block(nothing)
def copy(emit, spec, count, x, y):
    """x of so many images."""

    def visit(told, place):
        place.store(1, place.load(0))
        return ()

    _traverse(emit, spec, count, x, y, visit)


@kernel(x=FLOATS, y=FLOATS)
def add_maps(spec, o, first, count):
    """Add x to y."""
    add(spec, count, o.x, o.y)


@kernel(x=FLOATS, y=FLOATS)
def copy_map(spec, o, first, count):
    """Copy x to y, except for y's border."""
    copy(spec, count, o.x, o.y)


def kinds() -> Iterator[tuple[Kernel, ElementwiseAdd]]:
    """A spec of every kind, with its kernel."""
    spec = ElementwiseAdd(FeatureMap(1, 1, 1), FeatureMap(1, 1, 1))
    yield add_maps, spec
    yield copy_map, spec
