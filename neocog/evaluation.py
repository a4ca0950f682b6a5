"""How good a network is on images it has not seen.

Where asked, the scores of an image are the means of those of several *views* of it (test-time
augmentation), as in K. Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024:

    flip            ½ image + ½ its mirror image, left and right
    flip+shift      ½ flip of the image, ¼ flip of the image shifted by a pixel down and to the
                    right, ¼ flip of it shifted up and to the left

What a shift brings in at the edges is the image mirrored at its outermost pixels.
"""

import math
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neocog.arrays import as_images
from neocog.data.images import Dataset, as_dataset
from neocog.engine.trainer import check_labels
from neocog.errors import DataError, NeocogError
from neocog.network import Network, check_network
from neocog.validation import choice

__all__ = [
    "VIEWS",
    "ClassScore",
    "Evaluation",
    "check_views",
    "evaluate",
    "mean_scores",
    "predict_proba",
]

#: The ways of looking at an image more than once.
VIEWS = ("flip", "flip+shift")

# Images at a time at most, and bytes of them, so that their views take some tens of megabytes.
_CHUNK, _BYTES = 4096, 4096 * 32 * 32 * 3


@dataclass(frozen=True)
class ClassScore:
    """One class: of what was called it, the part that is (precision); of what is, the part found.

    Precision is None where nothing was called this class, recall where there is no such image.
    """

    name: str
    precision: float | None
    recall: float | None
    count: int


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Loss and accuracy, and where the errors are.

    Attributes:
        loss: mean cross-entropy.
        accuracy: the part of images whose most probable class is right, 0 to 1.
        confusion: int64 [classes, classes], images of class (row) that were called (column).
        classes: names of the classes.
        seconds: how long the predictions took.
    """

    loss: float
    accuracy: float
    confusion: NDArray[np.int64]
    classes: tuple[str, ...]
    seconds: float

    @property
    def per_class(self) -> list[ClassScore]:
        """Precision, recall and count of each class."""
        right = self.confusion.diagonal()
        called, count = self.confusion.sum(axis=0), self.confusion.sum(axis=1)
        return [
            ClassScore(
                name,
                float(right[k] / called[k]) if called[k] else None,
                float(right[k] / count[k]) if count[k] else None,
                int(count[k]),
            )
            for k, name in enumerate(self.classes)
        ]

    def __repr__(self) -> str:
        images = int(self.confusion.sum())
        return (
            f"<Evaluation of {images} images in {len(self.classes)} classes: "
            f"accuracy={self.accuracy:.4f}, loss={self.loss:.4g}>"
        )

    def to_dict(self) -> dict[str, object]:
        """All of it as plain data."""
        return {
            "loss": self.loss,
            "accuracy": self.accuracy,
            "count": int(self.confusion.sum()),
            "classes": [
                {"name": c.name, "precision": c.precision, "recall": c.recall, "count": c.count}
                for c in self.per_class
            ],
            "confusion": self.confusion.tolist(),
            "seconds": self.seconds,
        }


def check_views(tta: str | None) -> None:
    """Raise `NeocogError` unless it is None or one of `VIEWS`."""
    if tta is not None:
        choice("tta", tta, VIEWS, wanted=f"None or one of {', '.join(map(repr, VIEWS))}")


def _shifted(images: NDArray[np.uint8], by: int) -> NDArray[np.uint8]:
    """The images shifted down and to the right by so many pixels, 1 or −1."""
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
    """The network's outputs before softmax, float64 [n, classes], means over an image's views.

    Args:
        network: with weights.
        images: uint8 [n, height, width, channels].
        tta: None, "flip" or "flip+shift", as this module says.
        threads: workers; the cores there are, if None.
    """
    check_views(tta)
    images = as_images(images)
    if tta is None:
        return network.predict_scores(images, threads=threads).astype(np.float64)
    # Without images: for what may be wrong with their shape.
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
    """Probabilities of the classes, float32 [n, classes]: softmax of `mean_scores`.

    One image is a batch of one: ``image[None]``.
    """
    network = check_network(network)
    if tta is None:
        return network.predict_proba(images, threads=threads)
    scores = mean_scores(network, images, tta=tta, threads=threads)
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True), np.float32)


def evaluate(
    network: Network, data: Dataset, *, tta: str | None = None, threads: int | None = None
) -> Evaluation:
    """Predict every image and compare with its class.

    Args:
        network: with weights.
        data: images and their classes, a `Dataset` or a tuple (images, labels).
        tta: None, "flip" or "flip+shift": average the scores of several views of each image.
        threads: workers; the cores there are, if None.

    Raises:
        DataError: images or classes that are not the network's.
        NeocogError: outputs that are not numbers, as of weights from a training that diverged;
            or threads below 1.
    """
    check_views(tta)
    network = check_network(network).copy()  # which nobody changes meanwhile
    data = as_dataset(data, "evaluate(network, data.test)")
    if len(data) == 0:
        raise DataError("There are no images to evaluate on.")
    classes = network.output_shape[0]
    check_labels(classes, data.labels)
    began = time.perf_counter()
    scores = mean_scores(network, data.images, tta=tta, threads=threads)
    seconds = time.perf_counter() - began
    if not np.isfinite(scores).all():
        raise NeocogError(
            "The network's outputs are NaN or infinite for some images: its weights are damaged, "
            "or come from a training that diverged."
        )
    top = scores.max(axis=1)
    log_sum = np.log(np.exp(scores - top[:, None]).sum(axis=1)) + top
    loss = (log_sum - scores[np.arange(len(data)), data.labels]).mean()
    called = scores.argmax(axis=1)
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (data.labels, called), 1)
    names = network.classes or tuple(str(k) for k in range(classes))
    accuracy = float((called == data.labels).mean())
    return Evaluation(float(loss), accuracy, confusion, names, seconds)
