"""Classes of which there are many more images than of others, made to count alike.

By *weights*: an image's loss counts n / (k · n_c), for n images in k classes, n_c of them of its
class c. The weights of all images add up to n, and those of each class to the same.

By *sampling*: an epoch shows n images still, but of each class as many as of any other, to within
one. Of a class that has more, those that come first in the epoch's shuffled order are shown; of one
that has fewer, all of them again and again in that order. Where in the epoch a class comes is drawn
too, so that an epoch draws two permutations from the stream and not one. An image that is shown
twice in an epoch is varied alike both times, as what happens to it depends on the epoch and itself.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from neocog.random.torch_stream import TorchStream

__all__ = ["BALANCES", "balanced_order", "balancing_weights", "is_uneven"]

#: The ways to balance classes.
BALANCES = ("sample", "weight")

# From this ratio of the largest class to the smallest on it is worth a word.
_UNEVEN = 3


def is_uneven(counts: Iterable[int]) -> bool:
    """Whether the largest of these classes has over three times the images of the smallest."""
    there = [count for count in counts if count > 0]
    return bool(there) and max(there) > _UNEVEN * min(there)


def balancing_weights(labels: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """The weight of each class, float32 [classes]; 1 for a class without images."""
    counts = np.bincount(labels, minlength=classes)
    there = counts > 0
    weights = np.ones(classes, np.float64)
    weights[there] = len(labels) / (there.sum() * counts[there])
    return weights.astype(np.float32)


def balanced_order(stream: TorchStream, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """An epoch's order of images in which every class is shown equally often, int64 [n].

    Args:
        stream: from which two permutations of n are drawn.
        labels: int64 [n], of the images.
    """
    n = len(labels)
    order, slots = stream.epoch_order(n), stream.epoch_order(n)
    there = np.unique(labels)
    # Slot j is of class j mod k, and comes where the second permutation has it.
    shown = np.empty(n, np.int64)
    of_order = labels[order]
    for number, label in enumerate(there):
        images = order[of_order == label]
        places = np.flatnonzero(slots % len(there) == number)
        shown[places] = images[np.arange(len(places)) % len(images)]
    return shown
