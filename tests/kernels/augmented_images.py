"""Runs the steps of an augmentation, as the engine does, on a batch of images."""

import numpy as np
from cases import unwritten
from kernel_caller import Buffer, call, flat, maps, read, step

from neocog.kernels.input.augmentation import augmentation_plan, augmentation_rooms

_TYPES = {
    "drawn": np.int64,
    "other": np.float32,
    "crop_numbers": np.int32,
    "level_counts": np.int32,
}


def load(spec, bytes_, order, settings, pixels, parts, *, begin=0, images=None):
    """The batch that the steps give [N, C, H, W], in the calls that are asked for.

    Args:
        spec: an `Augmented`.
        bytes_: all images.
        order: the epoch's order, or as many images as are loaded.
        settings: those of the augmentation.
        pixels: scale and shift of a row of pixels.
        parts: (first, count) of each round of calls.
        begin: the first of the batch's images.
        images: of the batch; None: all.
    """
    n = len(order) if images is None else images
    x = unwritten(spec.x, n)
    buffers = {
        "images": flat(bytes_, np.uint8),
        "order": flat(order, np.int64),
        "step": step(n, begin=begin, total=len(order)),
        "augment": flat(settings, np.int64),
        "scale": flat(pixels[0]),
        "shift": flat(pixels[1]),
        "input": x,
    }
    each = {"input"}
    for name, room in augmentation_rooms(spec).items():
        kind = np.dtype(_TYPES.get(name, np.uint8))
        buffers[name] = Buffer(n if room.per_image else 1, room.bytes // kind.itemsize, kind)
        if kind != np.float32:
            buffers[name].items[:] = 77  # whatever was there before
        if room.per_image:
            each.add(name)
    if "other" in buffers:
        shape = n, spec.x.channels, spec.x.height, spec.x.width
        buffers["other"] = maps(spec.x, np.zeros(shape))
    for first, count in parts:
        for one in augmentation_plan(spec):
            of = {
                name: (buffers[role], first) if role in each else buffers[role]
                for name, role in one.operands.items()
            }
            call(one.kernel, one.spec, count=count, first=first, **of)
    return read(spec.x, x)
