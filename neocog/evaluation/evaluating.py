"""Every image predicted, and compared with its class."""

import time

import numpy as np
from numpy.typing import NDArray

from neocog.data.images import Dataset, as_dataset
from neocog.engine.trainer import check_labels
from neocog.errors import DataError, NeocogError
from neocog.evaluation.measures import image_scores
from neocog.evaluation.result import Evaluation
from neocog.evaluation.views import check_views, mean_scores
from neocog.network import Network, check_network

__all__ = ["evaluate", "scores_of"]


def evaluate(
    network: Network, data: Dataset, *, tta: str | None = None, threads: int | None = None
) -> Evaluation:
    """Predict every image and compare with its class.

    Args:
        network: with weights; probabilities are by its `temperature`.
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
    began = time.perf_counter()
    scores = scores_of(network, data, tta=tta, threads=threads)
    seconds = time.perf_counter() - began
    found = image_scores(scores, data.labels, network.temperature)
    return Evaluation(
        loss=float(found.losses.mean()),
        classes=network.classes or tuple(str(k) for k in range(scores.shape[1])),
        labels=data.labels.copy(),  # which nobody changes later
        predicted=found.predicted,
        confidence=found.confidence,
        ranks=found.ranks,
        label_probability=found.label_probability,
        seconds=seconds,
        names=data.names,
        temperature=network.temperature,
        threshold=network.threshold,
    )


def scores_of(
    network: Network, data: Dataset, *, tta: str | None = None, threads: int | None = None
) -> NDArray[np.float64]:
    """The network's outputs for all images of some data: `mean_scores`, and that they are numbers.

    Raises:
        DataError: there are no images, or they or their classes are not the network's.
        NeocogError: as `evaluate` does.
    """
    if len(data) == 0:
        raise DataError("There are no images to evaluate on.")
    check_labels(network.output_shape[0], data.labels)
    scores = mean_scores(network, data.images, tta=tta, threads=threads)
    if not np.isfinite(scores).all():
        raise NeocogError(
            "The network's outputs are NaN or infinite for some images: its weights are damaged, "
            "or come from a training that diverged."
        )
    return scores
