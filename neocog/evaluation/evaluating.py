"""Predicts every image and compares the predictions with the labels."""

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
    """Evaluate a network: predict every image and compare the predictions with the labels.

    Args:
        network: with weights; its `temperature` determines probabilities.
        data: images and labels, a `Dataset` or a tuple (images, labels).
        tta: None, "flip" or "flip+shift": average the scores of several views of each image.
        threads: number of workers; None uses all available cores.

    Raises:
        DataError: the images or classes are not the network's.
        NeocogError: outputs are NaN or infinite, as after a training that diverged; or threads is
            below 1.
    """
    check_views(tta)
    network = check_network(network).copy()  # a copy that no other thread can change
    data = as_dataset(data, "evaluate(network, data.test)")
    began = time.perf_counter()
    scores = scores_of(network, data, tta=tta, threads=threads)
    seconds = time.perf_counter() - began
    found = image_scores(scores, data.labels, network.temperature)
    return Evaluation(
        loss=float(found.losses.mean()),
        classes=network.classes or tuple(str(k) for k in range(scores.shape[1])),
        labels=data.labels.copy(),  # later changes of the array have no effect
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
    """The network's outputs for all images, as `mean_scores`; checks that they are finite.

    Raises:
        DataError: there are no images, or the images or classes are not the network's.
        NeocogError: as in `evaluate`.
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
