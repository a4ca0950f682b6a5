"""What is drawn for every image of a batch: which it is, its key, its flip and its shift.

    flip    "random": with probability ½; "alternating": so in epoch 0, and after that in every
            epoch that follows one without a flip
    shift   dy and dx uniform in −T … T

Everything random follows from the seed: an image's draws from the seed, the epoch and its index in
the data, a batch's from the seed, the epoch and its beginning. No result depends on how images are
divided among calls. With `fixed`, flip and shift are given instead of drawn, for the views of an
image whose predictions are averaged in testing.

Alternating flips: K. Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from neocog.kernels.codegen.pointers import advance
from neocog.kernels.codegen.vector_types import BYTES, LONGS
from neocog.kernels.compiler.jit import inlined, kernel
from neocog.kernels.compiler.operands import maybe
from neocog.kernels.compiler.optional import optional
from neocog.kernels.input.augmented import AUGMENT_SETTINGS, DRAWN, Augment, Augmented
from neocog.kernels.input.image import Images, fetch
from neocog.kernels.input.mixup import draw_mixing, mix_nothing, partner
from neocog.kernels.layout import FeatureMap
from neocog.kernels.random import drawn_below, random_bits

__all__ = ["Draws", "draw_images", "key_of", "kinds", "placement_of", "source_of"]

_SEED, _EPOCH, _FLIP, _DOWN, _RIGHT = range(len(AUGMENT_SETTINGS))

# Purposes of an image's random numbers; `cutout` and others use the numbers after these.
_OF_FLIP, _OF_DOWN, _OF_RIGHT = range(3)

_INDEX, _KEY, _IS_FLIPPED, _ROWS, _COLUMNS = range(len(DRAWN))
_NUMBERS = len(DRAWN)


@dataclass(frozen=True)
class Draws(Augmented):
    """Draws for each image of a batch, or with `of_partner` for its partner in mixup."""

    of_partner: bool = False

    constants = ("of_partner",)


# What other kernels read


@inlined
def key_of(drawn, n):
    """The key of the random numbers of the n-th image."""
    return np.uint64(drawn[n * _NUMBERS + _KEY])


@inlined
def source_of(spec, source, drawn, n):
    """The bytes of the n-th image: a picture of its own, or one of all stored images."""
    if spec.made:
        return advance(source, n * spec.picture_room)
    return advance(source, drawn[n * _NUMBERS + _INDEX] * spec.stored_size)


@inlined
def placement_of(drawn, n):
    """Whether the n-th image is flipped, and its shift down and to the right."""
    at = n * _NUMBERS
    return drawn[at + _IS_FLIPPED] != 0, drawn[at + _ROWS], drawn[at + _COLUMNS]


# Drawing


@inlined
def coin(key):
    """A random boolean."""
    return random_bits(key, _OF_FLIP, 0) & np.uint64(1) == np.uint64(1)


@inlined
def is_flipped(spec, settings, key, index):
    """Whether an image is flipped in this epoch."""
    if spec.augment.fixed:
        return settings[_FLIP] != 0
    if spec.augment.random_flip:
        return coin(key)
    if spec.augment.alternating:
        first = coin(random_bits(settings[_SEED], 0, index))
        return first != (settings[_EPOCH] % 2 == 1)
    return False


@inlined
def shift_of(spec, settings, key):
    """How far an image is shifted."""
    if spec.augment.fixed:
        return settings[_DOWN], settings[_RIGHT]
    most = spec.augment.translate
    if most > 0:
        down = drawn_below(2 * most + 1, key, _OF_DOWN) - most
        return down, drawn_below(2 * most + 1, key, _OF_RIGHT) - most
    return 0, 0


mixing_of = optional(lambda spec: spec.of_partner, draw_mixing, mix_nothing)


@kernel(data=BYTES, order=maybe(LONGS), step=LONGS, settings=LONGS, drawn=LONGS)
def draw_images(spec, o, first, count):
    """Draw for images first … first + count of the step, and prefetch the next step's.

    `settings` are int64, see `AUGMENT_SETTINGS`, and `drawn` gets `DRAWN`.
    """
    _, rotation = mixing_of(spec)(spec.augment.alpha, o.settings, o.step)
    for n in range(count):
        index = o.step[0] + partner(first + n, o.step[1], rotation)
        if spec.images.gathered:
            following = index + o.step[1]
            if spec.fetches and not spec.of_partner and following < o.step[3]:
                fetch(spec.images, advance(o.data, o.order[following] * spec.stored_size))
            index = o.order[index]
        key = random_bits(o.settings[_SEED], o.settings[_EPOCH], index)
        down, right = shift_of(spec, o.settings, key)
        to = advance(o.drawn, n * _NUMBERS)
        to[_INDEX], to[_KEY] = index, key
        to[_IS_FLIPPED] = 1 if is_flipped(spec, o.settings, key, index) else 0
        to[_ROWS], to[_COLUMNS] = down, right


def kinds() -> Iterator[tuple[Any, Any]]:
    """The kernel with a spec of each of its kinds."""
    images = Images(FeatureMap(1, 1, 1, dense=True), True)
    for of_partner in (False, True):
        yield draw_images, Draws(images, Augment(), of_partner=of_partner)
