"""What a network looked at in a misclassified image, by occlusion.

A square of the image is covered, at every position, and each pixel gets the mean drop of a class's
log odds over the squares that cover it:

    log odds of class k = log(p_k / (1 − p_k)) = z_k − log Σ_{j ≠ k} exp(z_j)

where z are the scores. Near certainty probabilities hardly change, but log odds do. Unlike Grad-CAM
this needs only predictions, by the program that has just evaluated the data, so nothing more is
compiled; and it shows the evidence for both the predicted and the true class.

M. D. Zeiler and R. Fergus, "Visualizing and understanding convolutional networks" (2014).
"""

import math

import numpy as np
from numpy.typing import NDArray

from neocog.explanation.faithfulness import cover_color
from neocog.network import Network
from neocog.summary import cost

__all__ = ["covered_maps", "explained"]

# Limit of multiply-adds of all predictions together: a second or two on two cores.
_MOST_WORK = 100_000_000_000
_MOST_PICTURES = 12
# Squares have a quarter of the image's side, and their distance is half of their side.
_SQUARE, _APART = 4, 2
# Largest side of a map.
_KEPT = 56

Floats = NDArray[np.float32]
Images = NDArray[np.uint8]


def explained(network: Network) -> int:
    """Number of pictures to explain, so that it takes a second or two; 0 for large networks."""
    work = max(1, cost(network).multiply_adds)
    squares = math.prod(len(_begins(side)) for side in network.input_shape[1:])
    return min(_MOST_PICTURES, _MOST_WORK // (work * (squares + 1)))


def covered_maps(
    network: Network, image: Images, labels: tuple[int, ...], threads: int | None = None
) -> Floats:
    """How far the log odds of each label drop where the image is covered.

    Args:
        network: with weights.
        image: uint8 [height, width, channels].
        labels: class numbers.
        threads: number of workers; None uses all available cores.

    Returns:
        float32 [labels, rows, columns], the mean drop at each pixel; for large images, at evenly
        spaced pixels.
    """
    height, width = image.shape[:2]
    tops, lefts = _begins(height), _begins(width)
    places = [(top, left) for top in tops for left in lefts]
    tall, wide = _side(height), _side(width)
    shown = np.repeat(image[None], len(places) + 1, axis=0)
    color = cover_color(network)
    for one, (top, left) in zip(shown, places, strict=False):
        one[top : top + tall, left : left + wide] = color
    odds = _log_odds(network.predict_scores(shown, threads=threads), labels)
    falls = odds[-1] - odds[:-1]
    total, times = np.zeros((len(labels), height, width)), np.zeros((height, width))
    for fall, (top, left) in zip(falls, places, strict=True):
        total[:, top : top + tall, left : left + wide] += fall[:, None, None]
        times[top : top + tall, left : left + wide] += 1
    rows, columns = (_kept(side) for side in (height, width))
    return np.asarray((total / times)[:, rows][:, :, columns], np.float32)


def _log_odds(scores: Floats, labels: tuple[int, ...]) -> NDArray[np.float64]:
    """The log odds of each label in each row of scores, float64 [n, labels]."""
    found = []
    for label in labels:
        others = np.delete(scores.astype(np.float64), label, axis=1)
        top = others.max(axis=1)
        total = np.log(np.exp(others - top[:, None]).sum(axis=1)) + top
        found.append(scores[:, label] - total)
    return np.stack(found, axis=1)


def _side(side: int) -> int:
    return max(1, side // _SQUARE)


def _begins(side: int) -> list[int]:
    """The positions of squares along a side, the last one at its end."""
    square = _side(side)
    return sorted({*range(0, side - square, -(-square // _APART)), side - square})


def _kept(side: int) -> NDArray[np.int64]:
    return np.linspace(0, side - 1, min(side, _KEPT)).round().astype(np.int64)
