"""Augmentation of images while they are loaded: crops, rotations, shifts, flips, colors, mixup.

p are an image's bytes, H × W × C; the steps are in this order, each only if it is asked for.

    draw        which image, whether it is flipped, how far it is shifted; see `draws`
    crop        p = a random rectangle of the stored image, resampled to H × W; see `crop`
    rotate      p = p rotated by an angle uniform in ± rotate degrees; see `warp`
    vary        p = p after one of fourteen changes; see `trivial_augment`
    place       x = p, shifted, flipped and normalized; see `placement`
    color       brightness, contrast, saturation; see `color_jitter`
    cut         x = 0 in a square around a uniformly random pixel; see `cutout`
    mix         x ← λ x + (1 − λ) x of the partner, which has its own draws; see `mixup`

Each step is a kernel over the same images; `augmentation_plan` lists them. Crop, rotate and vary
give bytes. Flipping after them has the same distribution as flipping before, since each of their
results is as likely as its mirror image. So the code that places bytes need not know whether they
were stored or made.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from neocog.kernels.compiler.jit import Kernel
from neocog.kernels.input.augmented import DRAWN, Augmented, Pictures
from neocog.kernels.input.byte_changes import LEVELS
from neocog.kernels.input.color_jitter import color_images
from neocog.kernels.input.crop import crop_pictures
from neocog.kernels.input.cutout import cut_images
from neocog.kernels.input.draws import Draws, draw_images
from neocog.kernels.input.mixed_images import mix_images
from neocog.kernels.input.placement import Placement, place_images
from neocog.kernels.input.trivial_augment import vary_pictures
from neocog.kernels.input.warp import rotate_pictures

__all__ = ["AugmentStep", "Room", "augmentation_plan", "augmentation_rooms"]

_INT, _LONG, _FLOAT = 4, 8, 4


@dataclass(frozen=True)
class AugmentStep:
    """A kernel over the images of a batch.

    `operands` gives each operand's role: ``images`` (the bytes of all of them), ``order``,
    ``step``, ``scale``, ``shift``, ``augment`` (its settings), ``input`` (the map x), and the names
    of `augmentation_rooms`.
    """

    kernel: Kernel
    spec: Augmented
    operands: Mapping[str, str]


class Room(NamedTuple):
    """Temporary memory: so many bytes for each image, or for each worker."""

    bytes: int
    per_image: bool


def augmentation_rooms(spec: Augmented) -> dict[str, Room]:
    """The temporary memory of an augmentation's steps, by name.

    ``other`` must be zero before the first step.
    """
    how, channels = spec.augment, spec.x.channels
    rooms = {"drawn": Room(len(DRAWN) * _LONG, True)}
    if how.crop or how.rotate or how.trivial_augment:
        rooms |= {name: Room(spec.picture_room, True) for name in ("picture", "next_picture")}
    if how.crop:
        rooms["crop_rows"] = Room(spec.crop_bytes, False)
        rooms["crop_numbers"] = Room(spec.crop_numbers * _INT, False)
    if how.trivial_augment:
        rooms["level_counts"] = Room(LEVELS * _INT, False)
        rooms["level_table"] = Room(LEVELS * channels, False)
    if how.mixes:
        rooms["other"] = Room(spec.x.size * _FLOAT, True)
    return rooms


def augmentation_plan(spec: Augmented) -> list[AugmentStep]:
    """The steps of an augmentation, in order; each is for all images before the next begins."""
    steps = _one(spec, "input", of_partner=False)
    if spec.augment.mixes:
        names = ("step", "other")
        operands = {**{name: name for name in names}, "settings": "augment", "x": "input"}
        steps += _one(spec, "other", of_partner=True)
        steps.append(AugmentStep(mix_images, spec, operands))
    return steps


def _one(spec: Augmented, x: str, *, of_partner: bool) -> list[AugmentStep]:
    """The steps up to the map of each image, or of each image's partner."""
    how = spec.augment
    order = {"order": "order"} if spec.images.gathered else {}
    draws = Draws(spec.images, how, spec.stored, of_partner=of_partner)
    chosen = {"data": "images", **order, "step": "step", "settings": "augment", "drawn": "drawn"}
    steps = [AugmentStep(draw_images, draws, chosen)]
    source, following = "images", ["picture", "next_picture"]
    numbers = {"rows": "crop_rows", "numbers": "crop_numbers"}
    levels = {"counts": "level_counts", "table": "level_table"}
    changes: tuple[tuple[Any, Kernel, dict[str, str]], ...] = (
        (how.crop, crop_pictures, numbers),
        (how.rotate, rotate_pictures, {}),
        (how.trivial_augment, vary_pictures, levels),
    )
    for asked, kernel, rooms in changes:
        if asked:
            of = Pictures.like(spec if source == "images" else spec.of_picture)
            operands = {"source": source, "drawn": "drawn", "picture": following[0], **rooms}
            steps.append(AugmentStep(kernel, of, operands))
            source, following = following[0], following[::-1]
    placed = Placement.like(spec if source == "images" else spec.of_picture)
    by = {"scale": "scale", "shift": "shift"}
    to = {"drawn": "drawn", "x": x}
    steps.append(AugmentStep(place_images, placed, {"source": source, **to, **by}))
    if how.colored:
        steps.append(AugmentStep(color_images, spec, {**to, **by}))
    if how.cutout:
        steps.append(AugmentStep(cut_images, spec, to))
    return steps
