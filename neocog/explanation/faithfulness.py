"""How faithful an attribution map is to the network: deletion and insertion.

A map is faithful if the pixels that it points at matter to the network. Deletion covers the pixels
with the highest values first and measures how the class's probability falls; insertion starts from
a covered image and uncovers them (V. Petsiuk et al., "RISE", 2018). Each is the area under the
probability over the fraction of pixels, from 0 to 1, by trapezoids. A good map has a low deletion
and a high insertion.
"""

import numpy as np
from numpy.typing import NDArray

from neocog.explanation.effort import effort_for
from neocog.network import Network

__all__ = ["area_under", "cover_color", "faithfulness"]

Floats = NDArray[np.float32]
Images = NDArray[np.uint8]


def cover_color(network: Network) -> Images:
    """The color that covers pixels, uint8 [channels]: the data's mean, so the input is 0 there."""
    mean = np.array(network.preprocessing.mean) * 255
    color: Images = np.clip(np.rint(mean), 0, 255).astype(np.uint8)
    return color


def faithfulness(
    network: Network, image: Images, label: int, values: Floats
) -> tuple[Floats, Floats]:
    """The label's probability while a map's highest pixels are covered, and while uncovered.

    Args:
        network: that predicts.
        image: uint8 [height, width, channels].
        label: the number of the class.
        values: the map, float32 [height, width]. Of equal values those in earlier rows come first.

    Returns:
        Two arrays, float32 [21], for 0 %, 5 %, … 100 % of the pixels. For a network of more than
        100 million multiply-adds they are [11], for 0 %, 10 %, … 100 %, of more than 2 billion [6].
    """
    steps = effort_for(network).steps
    order = np.argsort(-values.reshape(-1), kind="stable")
    pixels = image.reshape(-1, image.shape[2])
    covered = np.broadcast_to(cover_color(network), pixels.shape)
    deleted = np.repeat(pixels[None], steps + 1, axis=0)
    inserted = np.repeat(covered[None], steps + 1, axis=0)
    for step in range(1, steps + 1):
        highest = order[: round(step / steps * len(order))]
        deleted[step, highest] = covered[highest]
        inserted[step, highest] = pixels[highest]
    images = np.concatenate([deleted, inserted]).reshape(-1, *image.shape)
    of_label = network.predict_proba(images)[:, label].reshape(2, -1)
    return of_label[0], of_label[1]


def area_under(curve: Floats) -> float:
    """The area under a curve over equal steps from 0 to 1, by trapezoids."""
    total = curve.sum(dtype=np.float64) - (float(curve[0]) + float(curve[-1])) / 2
    return float(total / (len(curve) - 1))
