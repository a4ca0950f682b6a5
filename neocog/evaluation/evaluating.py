"""Predicts every image and compares the predictions with the labels."""

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from neocog.data.images import Dataset, as_dataset
from neocog.errors import DataError, NeocogError
from neocog.evaluation.measures import image_scores
from neocog.evaluation.result import Evaluation
from neocog.evaluation.target_measures import LabelsEvaluation, NumbersEvaluation
from neocog.evaluation.views import check_views, mean_scores
from neocog.losses import check_classifier, check_targets, has_targets, least_probability
from neocog.network import Network, check_network
from neocog.reference import binary_cross_entropy, sigmoid_forward, squared_error

__all__ = ["AnyEvaluation", "evaluate", "evaluate_classes", "scores_of", "target_evaluation"]


#: The result of an evaluation, by the loss that the network was trained by.
AnyEvaluation = Evaluation | LabelsEvaluation | NumbersEvaluation


def evaluate(
    network: Network, data: Dataset, *, tta: str | None = None, threads: int | None = None
) -> AnyEvaluation:
    """Evaluate a network: predict every image and compare the predictions with the labels.

    Networks that were trained by another loss than cross-entropy give another result: after binary
    cross-entropy a `LabelsEvaluation`, after squared error a `NumbersEvaluation`.

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
    network = check_network(network).copy()  # a copy that no other thread can change
    if not has_targets(network.loss):
        return evaluate_classes(network, data, tta=tta, threads=threads)
    data, scores, seconds = _predicted(network, data, tta, threads)
    names = _names(network)
    return target_evaluation(
        network.loss,
        scores if network.loss == "mse" else scores / network.temperature,
        data.labels.copy(),
        names,
        seconds=seconds,
        images=data.names,
        threshold=network.threshold,
    )


def target_evaluation(
    loss: str,
    scores: NDArray[np.float64],
    targets: NDArray[np.float32],
    names: tuple[str, ...],
    *,
    seconds: float = 0.0,
    images: Sequence[str] | None = None,
    threshold: float | None = None,
) -> LabelsEvaluation | NumbersEvaluation:
    """The evaluation of outputs for several labels an image, or for numbers.

    Args:
        loss: that the outputs are of.
        scores: the outputs, float64 [n, outputs].
        targets: float32 [n, outputs].
        names: of the outputs.
        seconds: that the predictions took.
        images: their names, if they have any.
        threshold: the least probability of a label; None for the usual one.
    """
    wide = targets.astype(np.float64)
    if loss == "mse":
        mean = float(squared_error(scores, wide).mean())
        return NumbersEvaluation(mean, names, targets, scores, seconds, images)
    mean = float(binary_cross_entropy(scores, wide).mean())
    likely, least = sigmoid_forward(scores), least_probability(threshold)
    return LabelsEvaluation(mean, names, targets, likely, seconds, images, least)


def evaluate_classes(
    network: Network, data: Dataset, *, tta: str | None = None, threads: int | None = None
) -> Evaluation:
    """`evaluate` for networks that choose one class, which were trained by cross-entropy.

    Raises:
        NeocogError: as there; or the network was trained by another loss.
    """
    network = check_network(network).copy()
    check_classifier(network.loss, "This evaluation")
    data, scores, seconds = _predicted(network, data, tta, threads)
    found = image_scores(scores, data.labels, network.temperature)
    return Evaluation(
        loss=float(found.losses.mean()),
        classes=_names(network),
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


def _predicted(
    network: Network, data: Dataset, tta: str | None, threads: int | None
) -> tuple[Dataset, NDArray[np.float64], float]:
    """The data, the network's outputs, and the seconds that these took."""
    check_views(tta)
    data = as_dataset(data, "evaluate(network, data.test)")
    began = time.perf_counter()
    scores = scores_of(network, data, tta=tta, threads=threads)
    return data, scores, time.perf_counter() - began


def _names(network: Network) -> tuple[str, ...]:
    return network.classes or tuple(str(k) for k in range(network.output_shape[0]))


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
    check_targets(network.loss, network.output_shape[0], data.labels)
    scores = mean_scores(network, data.images, tta=tta, threads=threads)
    if not np.isfinite(scores).all():
        raise NeocogError(
            "The network's outputs are NaN or infinite for some images: its weights are damaged, "
            "or come from a training that diverged."
        )
    return scores
