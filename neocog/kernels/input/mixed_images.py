"""Mixes each image of a batch with its partner: x ← λ x + (1 − λ) x′; see `mixup`."""

from collections.abc import Iterator
from typing import Any

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.pointers import advance
from neocog.kernels.codegen.vector_types import FLOATS, LANES, LONGS, float32
from neocog.kernels.compiler.jit import inlined, kernel
from neocog.kernels.input.augmented import Augment, Augmented
from neocog.kernels.input.image import Images
from neocog.kernels.input.mixup import draw_mixing
from neocog.kernels.layout import FeatureMap

__all__ = ["kinds", "mix_images"]


@block(nothing)
def mix(emit, spec, share, rest, x, other):
    """One vector: share · x + rest · other."""
    of_other = emit.mul(emit.splat(rest), emit.load(other))
    emit.store(emit.fma(emit.splat(share), emit.load(x), of_other), x)


@inlined
def mix_maps(spec, share, rest, x, other):
    """Mix every row of two maps."""
    size = spec.x.width * spec.x.pixel
    whole = size // LANES * LANES
    for row in range(spec.x.height):
        to, by = advance(x, row * spec.x.row), advance(other, row * spec.x.row)
        for at in range(0, whole, LANES):
            mix(spec, share, rest, advance(to, at), advance(by, at))
        for at in range(whole, size):
            to[at] = share * to[at] + rest * by[at]


@kernel(step=LONGS, settings=LONGS, other=FLOATS, x=FLOATS)
def mix_images(spec, o, first, count):
    """Mix images first … first + count with their partners in `other`."""
    share, _ = draw_mixing(spec.augment.alpha, o.settings, o.step)
    for n in range(count):
        at = n * spec.x.size + spec.x.start
        x, other = advance(o.x, at), advance(o.other, at)
        mix_maps(spec, float32(share), float32(1.0 - share), x, other)


def kinds() -> Iterator[tuple[Any, Any]]:
    """The kernel with a spec of the only kind that it has."""
    yield mix_images, Augmented(Images(FeatureMap(1, 1, 1, dense=True), True), Augment())
