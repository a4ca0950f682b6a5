"""Softmax: probabilities from scores. Its parts also serve `cross_entropy`.

    p[j] = exp(z[j] − m) / Σ_k exp(z[k] − m),  m = max z

The exponential is `functions.exp`, with an error of at most 2 units in the last place of float32.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from typing import Any

from neocog.kernels.codegen.block import accumulators, block, nothing
from neocog.kernels.codegen.pointers import advance, zeros
from neocog.kernels.codegen.vector_types import FLOATS, LANES, float32, vectors
from neocog.kernels.compiler.jit import always_inlined, kernel
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.elementwise.functions import exp
from neocog.kernels.layout import FeatureMap

__all__ = ["Softmax", "copy_scores", "exponentials", "kinds", "largest", "softmax"]


@dataclass(frozen=True)
class Softmax(Spec):
    """Softmax over `classes` classes."""

    classes: int

    @property
    def z(self) -> FeatureMap:
        """The scores, as a map of one pixel."""
        return FeatureMap(1, 1, self.classes)


def _scores(emit, z, left):
    """A vector of z, with −∞ in the lanes after the last class, of which there are `left`."""
    return emit.select(emit.lanes_below(left), emit.load(z), emit.constant(-inf))


@block(lambda *_: vectors(1))
def no_scores(emit, spec):
    """The maximum of no scores."""
    return [emit.constant(-inf)]


@block(accumulators)
def keep_larger(emit, spec, best, z, left):
    """The larger scores, lane by lane."""
    return [emit.larger(best[0], _scores(emit, z, left))]


@block(lambda *_: float32)
def largest_lane(emit, spec, best):
    """The largest lane."""
    return emit.max(best[0])


@always_inlined
def largest(spec, z):
    """The largest score."""
    best = no_scores(spec)
    for at in range(0, spec.classes, LANES):
        best = keep_larger(spec, best, advance(z, at), spec.classes - at)
    return largest_lane(spec, best)


@block(accumulators)
def add_exponentials(emit, spec, total, z, m, left, out):
    """Write a vector of exp(z − m), and add it."""
    value = exp(emit, emit.sub(_scores(emit, z, left), emit.splat(m)))
    emit.store(value, out)
    return [emit.add(total[0], value)]


@block(lambda *_: float32)
def sum_lanes(emit, spec, total):
    """The sum of the lanes."""
    return emit.sum(total[0])


@always_inlined
def exponentials(spec, z, m, out):
    """Write exp(z − m) to whole vectors of `out`; returns their sum."""
    total = zeros(1)
    for at in range(0, spec.classes, LANES):
        left = spec.classes - at
        total = add_exponentials(spec, total, advance(z, at), m, left, advance(out, at))
    return sum_lanes(spec, total)


@block(nothing)
def keep_share(emit, spec, value, factor, left, p):
    """Write a vector of probabilities, and nothing after the last class."""
    emit.store_lanes(emit.mul(emit.load(value), emit.splat(factor)), p, 0, left)


@block(nothing)
def keep_scores(emit, spec, z, left, scores):
    """Write a vector of scores, and nothing after the last class."""
    emit.store_lanes(emit.load(z), scores, 0, left)


@always_inlined
def copy_scores(spec, z, scores):
    """Write one image's scores without padding."""
    for at in range(0, spec.classes, LANES):
        keep_scores(spec, advance(z, at), spec.classes - at, advance(scores, at))


@kernel(z=FLOATS, scores=FLOATS, p=FLOATS)
def softmax(spec, o, first, count):
    """Scores and probabilities, each [n, classes]; z is overwritten."""
    for n in range(count):
        z, p = advance(o.z, n * spec.z.size), advance(o.p, n * spec.classes)
        copy_scores(spec, z, advance(o.scores, n * spec.classes))
        factor = float32(1) / exponentials(spec, z, largest(spec, z), z)
        for at in range(0, spec.classes, LANES):
            keep_share(spec, advance(z, at), factor, spec.classes - at, advance(p, at))


def kinds() -> Iterator[tuple[Any, Spec]]:
    """Every kernel with a spec of each of its kinds."""
    yield softmax, Softmax(2)
