"""The losses that networks are trained by, and what each makes of data and of scores."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.errors import ArchitectureError, DataError, NeocogError
from neocog.reference import sigmoid_forward, softmax
from neocog.settings.training import LOSSES

__all__ = [
    "OUTPUT_OF",
    "WEIGHTS",
    "answers_of",
    "check_classifier",
    "check_targets",
    "check_weights",
    "gives_numbers",
    "has_targets",
    "least_probability",
    "probabilities_of",
]

Floats = NDArray[np.float32]

_CLASSES, _LABELS, _NUMBERS = LOSSES
#: What each output of a network is of, by the loss that it was trained by.
OUTPUT_OF = {_CLASSES: "class", _LABELS: "label", _NUMBERS: "number"}
#: Settings that weight a loss, and what each has a number for.
WEIGHTS = {"class_weights": "class", "pos_weight": "output"}


def gives_numbers(loss: str) -> bool:
    """Whether the outputs of a network trained by a loss are numbers, and no probabilities."""
    return loss == _NUMBERS


def has_targets(loss: str) -> bool:
    """Whether a loss compares every output with a target, and not all with one class."""
    return loss != _CLASSES


def check_targets(loss: str, outputs: int, labels: NDArray[Any]) -> None:
    """Check that labels fit a loss, and a network with so many outputs.

    Args:
        loss: one of `LOSSES`.
        outputs: of the network.
        labels: int64 [n] for cross-entropy, else targets, float32 [n, outputs].

    Raises:
        DataError: they do not.
    """
    if not has_targets(loss):
        if labels.ndim != 1:
            raise DataError(
                f"labels must be one number for each image, not {list(labels.shape)}: write "
                "labels.argmax(axis=1), if they have a column for each class, or give another loss "
                f"than cross-entropy: loss={_LABELS!r} for several labels an image."
            )
        if len(labels) and not 0 <= labels.min() <= labels.max() < outputs:
            raise DataError(
                f"The labels go from {labels.min()} to {labels.max()}, but the network has "
                f"{outputs} classes, 0 to {outputs - 1}."
            )
        return
    if labels.ndim != 2:
        raise DataError(
            f"loss={loss!r} needs targets, float32 [n, {outputs}] with one for each output, and "
            "these data have a class for each image."
        )
    if labels.shape[1] != outputs:
        raise DataError(
            f"The targets are {list(labels.shape)}, but the network has {outputs} outputs."
        )
    if not np.isfinite(labels).all():
        raise DataError("The targets must be finite numbers.")
    if loss == _LABELS and len(labels) and not 0 <= labels.min() <= labels.max() <= 1:
        raise DataError(
            f"The targets of {loss} must be from 0 to 1, and go from {labels.min():g} to "
            f"{labels.max():g}."
        )


def check_weights(setting: str, outputs: int, weights: tuple[float, ...]) -> Floats:
    """The weights of a setting in `WEIGHTS`, float32 [outputs].

    Raises:
        ArchitectureError: there are not as many as the network has outputs.
    """
    if len(weights) != outputs:
        each = WEIGHTS[setting]
        raise ArchitectureError(
            f"{setting} must be {outputs} numbers, one for each {each}, not {len(weights)}."
        )
    return np.array(weights, np.float32)


def check_classifier(loss: str, what: str) -> None:
    """Check that a network was trained by cross-entropy.

    Args:
        loss: of the network.
        what: what is to be done, for the message, as in "Calibrating".

    Raises:
        NeocogError: it was not.
    """
    if has_targets(loss):
        raise NeocogError(
            f"{what} is for networks that choose one class, trained by {_CLASSES}; this one was "
            f"trained by {loss}."
        )


def least_probability(threshold: float | None) -> float:
    """The probability that a label needs to be given: a half, unless somebody says otherwise."""
    return 0.5 if threshold is None else threshold


def answers_of(loss: str, probabilities: Floats, threshold: float | None) -> NDArray[Any]:
    """What a network answers, as `neocog.Network.predict` gives it.

    Args:
        loss: by which it was trained.
        probabilities: float32 [n, outputs], as of `probabilities_of`.
        threshold: the least probability of an answer.
    """
    if loss == _NUMBERS:
        return probabilities
    if loss == _LABELS:
        return (probabilities >= least_probability(threshold)).astype(np.int64)
    best: NDArray[np.int64] = probabilities.argmax(axis=1)
    if threshold:
        best[~(probabilities.max(axis=1).astype(np.float64) >= threshold)] = -1
    return best


def probabilities_of(loss: str, scores: Floats, temperature: float = 1.0) -> Floats:
    """What scores mean: softmax of them, σ of each, or they themselves, float32 [n, outputs].

    Args:
        loss: by which the network was trained.
        scores: float32 [n, outputs].
        temperature: by which scores are divided before softmax and σ.
    """
    if loss == _NUMBERS:
        return scores
    wide = scores.astype(np.float64)
    found = softmax(wide, temperature) if loss == _CLASSES else sigmoid_forward(wide / temperature)
    return found.astype(np.float32)
