"""What a prediction says of one picture: its most probable classes, as people and JSON have them.

With a threshold, the answer for a picture whose most probable class has less is "none of these":
its ``label`` is None, and ``guess`` has the most probable class. A network whose outputs are labels
of their own answers with all ``labels`` that have the threshold, and one whose outputs are numbers
with these ``values``.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.losses import least_probability
from neocog.network import Network
from neocog.settings.training import LOSSES

__all__ = [
    "Best",
    "answer_of",
    "answered",
    "best_of",
    "class_labels",
    "given_labels",
    "is_none",
    "text_of",
    "threshold_fields",
    "top_fields",
]

#: The most probable classes of a picture, best first, with their probabilities.
Best = list[tuple[str, float]]

_CLASSES, _LABELS, _NUMBERS = LOSSES


def class_labels(network: Network) -> tuple[str, ...]:
    """The names of a network's classes, or their numbers where it knows no names."""
    return network.classes or tuple(str(k) for k in range(network.output_shape[0]))


def best_of(row: NDArray[np.float32], labels: tuple[str, ...], top: int) -> Best:
    """The most probable classes of a row of probabilities, [classes]."""
    return [(labels[k], float(row[k])) for k in np.argsort(-row, kind="stable")[:top]]


def given_labels(
    row: NDArray[np.float32], labels: tuple[str, ...], threshold: float | None
) -> Best:
    """The labels that have the threshold, best first, with their probabilities."""
    least = least_probability(threshold)
    return [one for one in best_of(row, labels, len(labels)) if one[1] >= least]


def text_of(
    row: NDArray[np.float32], labels: tuple[str, ...], loss: str, threshold: float | None = None
) -> str:
    """The answer for a picture in a line: the class, the labels it is given, or the numbers.

    Args:
        row: what `Network.predict_proba` gives for it, [outputs].
        labels: names of the outputs.
        loss: that the network was trained by.
        threshold: the probability that one of several labels needs; None for the usual one.
    """
    if loss == _NUMBERS:
        pairs = zip(labels, row.tolist(), strict=True)
        return ", ".join(f"{label} {number:.6g}" for label, number in pairs)
    best = best_of(row, labels, 1)
    found = given_labels(row, labels, threshold) if loss == _LABELS else best
    said = ", ".join(f"{label} {100 * p:.1f} %" for label, p in found or best)
    return said if found else f"no label (likeliest: {said})"


def is_none(best: Best, threshold: float | None) -> bool:
    """Whether the answer is "none of these"."""
    return threshold is not None and best[0][1] < threshold


def threshold_fields(best: Best, threshold: float | None) -> dict[str, Any]:
    """With a threshold: the class or None, and the class that would be the answer without one."""
    if threshold is None:
        return {}
    label, _probability = best[0]
    return {"label": None if is_none(best, threshold) else label, "guess": label}


def top_fields(best: Best) -> list[dict[str, Any]]:
    """The most probable classes, for JSON."""
    return [{"label": label, "probability": p} for label, p in best]


def answered(
    name: str, best: Best, error: str | None = None, threshold: float | None = None
) -> dict[str, Any]:
    """The object of a picture in ``neocog predict --json``; with an error, why it has no answer."""
    if error is not None:
        return {"image": name, "error": error}
    return {"image": name, **threshold_fields(best, threshold), "top": top_fields(best)}


def answer_of(
    name: str,
    row: NDArray[np.float32],
    labels: tuple[str, ...],
    loss: str,
    top: int,
    threshold: float | None,
) -> dict[str, Any]:
    """The object of a picture for JSON.

    Args:
        name: of the picture.
        row: what `Network.predict_proba` gives for it, [outputs].
        labels: names of the outputs.
        loss: that the network was trained by, which says what its outputs mean.
        top: number of classes or labels with their probabilities.
        threshold: the probability that an answer needs; None if nobody says.
    """
    if loss == _NUMBERS:
        values = zip(labels, map(float, row), strict=True)
        return {"image": name, "values": [{"label": one, "value": value} for one, value in values]}
    best = best_of(row, labels, top)
    if loss == _CLASSES:
        return answered(name, best, threshold=threshold or None)
    least = least_probability(threshold)
    found = [label for label, p in zip(labels, row, strict=True) if float(p) >= least]
    return {"image": name, "labels": found, "top": top_fields(best)}
