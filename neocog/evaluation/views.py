"""Test-time augmentation: predictions from several *views* of each image.

The scores of an image are weighted means of those of its views, as in K. Jordan, "94% on CIFAR-10
in 3.29 seconds on a single GPU", 2024:

    flip            ½ image + ½ its mirror image, left and right
    flip+shift      ½ flip of the image, ¼ flip of the image shifted by a pixel down and to the
                    right, ¼ flip of it shifted up and to the left

Pixels that a shift brings in at the edges are the image mirrored at its outermost pixels.
"""

import math

import numpy as np
from numpy.typing import NDArray

from neocog.arrays import as_images
from neocog.network import Network, check_network
from neocog.reference import softmax
from neocog.validation import choice

__all__ = ["VIEWS", "check_views", "mean_scores", "predict_proba"]

#: Names of the sets of views.
VIEWS = ("flip", "flip+shift")

# Largest number of images at a time, and of their bytes, so that views take some tens of megabytes.
_CHUNK, _BYTES = 4096, 4096 * 32 * 32 * 3


def check_views(tta: str | None) -> None:
    """Raise `NeocogError` unless it is None or one of `VIEWS`."""
    if tta is not None:
        choice("tta", tta, VIEWS, wanted=f"None or one of {', '.join(map(repr, VIEWS))}")


def _shifted(images: NDArray[np.uint8], by: int) -> NDArray[np.uint8]:
    """The images shifted down and to the right by 1 pixel, or by −1."""
    height, width = images.shape[1:3]
    wide = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), "reflect")
    return wide[:, 1 - by : 1 - by + height, 1 - by : 1 - by + width]


def mean_scores(
    network: Network,
    images: NDArray[np.uint8],
    *,
    tta: str | None = None,
    threads: int | None = None,
) -> NDArray[np.float64]:
    """The network's outputs before softmax, float64 [n, classes], averaged over views.

    Args:
        network: with weights.
        images: uint8 [n, height, width, channels].
        tta: None, "flip" or "flip+shift", see above.
        threads: number of workers; None uses all available cores.
    """
    check_views(tta)
    images = as_images(images)
    if tta is None:
        return network.predict_scores(images, threads=threads).astype(np.float64)
    # Without images, a prediction still checks their shape.
    found = [network.predict_scores(images[:0], threads=threads).astype(np.float64)]
    count = max(1, min(_CHUNK, _BYTES // max(1, math.prod(images.shape[1:]))))
    for first in range(0, len(images), count):
        part = images[first : first + count]
        views = [(part, 1.0)]
        if tta == "flip+shift":
            views = [(part, 0.5), (_shifted(part, 1), 0.25), (_shifted(part, -1), 0.25)]
        total = np.zeros((len(part), network.output_shape[0]))
        for view, share in views:
            for seen in (view, view[:, :, ::-1]):
                scores = network.predict_scores(np.ascontiguousarray(seen), threads=threads)
                total += share / 2 * scores
        found.append(total)
    return np.concatenate(found)


def predict_proba(
    network: Network,
    images: NDArray[np.uint8],
    *,
    tta: str | None = None,
    threads: int | None = None,
) -> NDArray[np.float32]:
    """Probabilities of the classes, float32 [n, classes]: softmax(scores / temperature).

    The scores are `mean_scores`, the temperature is the network's. A single image is passed as a
    batch of one: ``image[None]``.
    """
    network = check_network(network).copy()  # a copy that no other thread can change
    if tta is None:
        return network.predict_proba(images, threads=threads)
    scores = mean_scores(network, images, tta=tta, threads=threads)
    return softmax(scores, network.temperature).astype(np.float32)
