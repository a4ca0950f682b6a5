"""The worst mistakes: the most confident wrong predictions, and where the network looked."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.errors import printable
from neocog.evaluation import Evaluation
from neocog.explanation.page.message import Block
from neocog.network import Network
from neocog.report.attention import covered_maps, explained
from neocog.report.grad_cam import grad_cams as grad_cams_of
from neocog.report.thumbnails import sheet

__all__ = ["MOST_MISTAKES", "name_of_image", "short_name", "worst_mistakes"]

#: Number of mistakes that are listed.
MOST_MISTAKES = 24
_SIDE, _MOST_BYTES = 128, 320_000
# Rows and columns of a map of Grad-CAM.
_MOST_ROWS = 56
_LONGEST_NAME, _LONGEST_READ = 120, 10_000


def worst_mistakes(
    evaluation: Evaluation,
    images: NDArray[np.uint8],
    network: Network | None,
    block: Block,
    threads: int | None = None,
) -> dict[str, Any]:
    """The most confident mistakes.

    Args:
        evaluation: the evaluation with the mistakes.
        images: the images that were evaluated, uint8 [n, height, width, channels].
        network: the network that was evaluated; without it, no maps are made.
        block: gets the maps.
        threads: number of workers; None uses all available cores.

    Returns:
        ``count`` of all; ``items``, each with ``index``, ``name``, ``label``, ``predicted``,
        ``probability`` and ``label_probability``; ``grad_cam`` [2, rows, columns], of the predicted
        and the true class, if the network has maps; and for the first ones ``maps``, the same by
        occlusion. ``pictures``, a sheet of them.
    """
    worst = evaluation.mistakes[:MOST_MISTAKES]
    count = int((evaluation.predicted != evaluation.labels).sum())
    if not worst:
        return {"count": 0, "items": []}
    indices = [mistake.index for mistake in worst]
    with_maps, grad_cams = 0, None
    if network is not None:
        with_maps = explained(network)
        pairs = [(int(evaluation.predicted[n]), int(evaluation.labels[n])) for n in indices]
        grad_cams = grad_cams_of(network, images[indices], pairs, threads)
    items: list[dict[str, Any]] = []
    for number, mistake in enumerate(worst):
        label, predicted = evaluation.labels[mistake.index], evaluation.predicted[mistake.index]
        item: dict[str, Any] = {
            "index": mistake.index,
            "name": name_of_image(evaluation, mistake.index),
            "label": int(label),
            "predicted": int(predicted),
            "probability": mistake.probability,
            "label_probability": mistake.label_probability,
        }
        if grad_cams is not None:
            item["grad_cam"] = block.add(brief(grad_cams[number]))
        if network is not None and number < with_maps:
            classes = int(predicted), int(label)
            maps = covered_maps(network, images[mistake.index], classes, threads)
            # Three digits are enough for a picture, and take half the space.
            item["maps"] = block.add(maps.round(3))
        items.append(item)
    pictures = sheet(images, indices, _SIDE, _MOST_BYTES)
    return {"count": count, "items": items, "pictures": pictures}


def brief(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same with three digits of the largest, at evenly spaced places if they are many."""
    apart = -(-max(maps.shape[1:]) // _MOST_ROWS)
    maps = maps[:, ::apart, ::apart]
    largest = float(maps.max(initial=0))
    return (maps / largest).round(3) if np.isfinite(largest) and largest > 0 else 0 * maps


def name_of_image(evaluation: Evaluation, index: int) -> str | None:
    """The name of an image, its end if it is long; None if it has no name."""
    if evaluation.names is None:
        return None
    return short_name(evaluation.names[index])


def short_name(name: str) -> str:
    """A name, its end if it is long."""
    text = printable(str(name), _LONGEST_READ)
    return text if len(text) <= _LONGEST_NAME else f"…{text[1 - _LONGEST_NAME :]}"
