"""The worst mistakes: the most confident wrong predictions, and where the network looked."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.errors import printable
from neocog.evaluation import Evaluation
from neocog.explanation.page.message import Block
from neocog.network import Network
from neocog.report.attention import covered_maps, explained
from neocog.report.thumbnails import sheet

__all__ = ["MOST_MISTAKES", "name_of_image", "worst_mistakes"]

#: Number of mistakes that are listed.
MOST_MISTAKES = 24
_SIDE, _MOST_BYTES = 128, 320_000
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
        ``probability`` and ``label_probability``, and for the first ones ``maps``
        [2, rows, columns], of the predicted and the true class; ``pictures``, a sheet of them.
    """
    worst = evaluation.mistakes[:MOST_MISTAKES]
    count = int((evaluation.predicted != evaluation.labels).sum())
    if not worst:
        return {"count": 0, "items": []}
    with_maps = explained(network) if network is not None else 0
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
        if network is not None and number < with_maps:
            classes = int(predicted), int(label)
            maps = covered_maps(network, images[mistake.index], classes, threads)
            # Three digits are enough for a picture, and take half the space.
            item["maps"] = block.add(maps.round(3))
        items.append(item)
    pictures = sheet(images, [mistake.index for mistake in worst], _SIDE, _MOST_BYTES)
    return {"count": count, "items": items, "pictures": pictures}


def name_of_image(evaluation: Evaluation, index: int) -> str | None:
    """The name of an image, its end if it is long; None if it has no name."""
    if evaluation.names is None:
        return None
    text = printable(str(evaluation.names[index]), _LONGEST_READ)
    return text if len(text) <= _LONGEST_NAME else f"…{text[1 - _LONGEST_NAME :]}"
