"""A report of several labels an image, or of numbers: measures, points and worst mistakes."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.errors import printable
from neocog.evaluation import LabelsEvaluation, NumbersEvaluation
from neocog.evaluation.target_mistakes import LabelMistake, NumberMistake
from neocog.explanation.page.message import Block
from neocog.network import Network
from neocog.report.grad_cam import grad_cams
from neocog.report.mistakes import MOST_MISTAKES, brief, short_name
from neocog.report.thumbnails import sheet

__all__ = ["of_targets"]

# Of names, of labels that are listed, of outputs with a plot, and of the points of each.
_LONGEST, _MOST_LABELS, _MOST_PLOTS, _MOST_POINTS = 80, 1000, 12, 2000
_SIDE, _MOST_BYTES = 128, 320_000


def of_targets(
    evaluation: LabelsEvaluation | NumbersEvaluation,
    part: str,
    images: NDArray[np.uint8] | None = None,
    network: Network | None = None,
    block: Block | None = None,
    threads: int | None = None,
) -> dict[str, Any]:
    """The part of the page's structure that is of labels or numbers.

    Args:
        evaluation: of the network.
        part: what the images are called, such as "test".
        images: those that were evaluated, uint8 [n, height, width, channels], for pictures of the
            worst mistakes.
        network: that was evaluated, for what it looked at in these; None to leave that out.
        block: gets the maps' numbers.
        threads: number of workers; None uses all available cores.
    """
    if isinstance(evaluation, LabelsEvaluation):
        found = _of_labels(evaluation)
    else:
        found = _of_numbers(evaluation)
    worst: Sequence[LabelMistake | NumberMistake] = evaluation.mistakes
    items = [_item(one, named=evaluation.names is not None) for one in worst[:MOST_MISTAKES]]
    wrong: dict[str, Any] = {"count": len(worst), "items": items}
    if images is not None and items:
        places = [one.index for one in worst[:MOST_MISTAKES]]
        wrong["pictures"] = sheet(images, places, _SIDE, _MOST_BYTES)
        if network is not None and block is not None:
            outputs = [
                (evaluation.classes.index(_output_of(one)),) for one in worst[:MOST_MISTAKES]
            ]
            maps = grad_cams(network, images[places], outputs, threads) or ()
            for item, one in zip(items, maps, strict=False):
                item["grad_cam"] = block.add(brief(one))
    head = {"part": part, "count": len(evaluation), "loss": evaluation.loss}
    return {**head, **found, "wrong": wrong}


def _output_of(one: LabelMistake | NumberMistake) -> str:
    return one.label if isinstance(one, LabelMistake) else one.output


def _item(one: LabelMistake | NumberMistake, *, named: bool) -> dict[str, Any]:
    item = {"index": one.index, "name": short_name(one.name) if named else None}
    if isinstance(one, LabelMistake):
        said = {"label": _short(one.label), "there": one.there, "probability": one.probability}
        return {**item, **said}
    return {
        **item,
        "label": _short(one.output),
        "target": one.target,
        "predicted": one.predicted,
    }


def _of_labels(evaluation: LabelsEvaluation) -> dict[str, Any]:
    columns = (
        evaluation.precisions,
        evaluation.recalls,
        evaluation.f1_scores,
        evaluation.average_precisions,
    )
    rows = zip(evaluation.counts.tolist(), *(column.tolist() for column in columns), strict=True)
    scores = [[count, *map(_known, parts)] for count, *parts in rows]
    means = [_known(float(np.nanmean(c)) if not np.isnan(c).all() else math.nan) for c in columns]
    return {
        "kind": "labels",
        "accuracy": evaluation.accuracy,
        "f1": _known(evaluation.f1),
        "mean_precision": _known(evaluation.mean_precision),
        "threshold": evaluation.threshold,
        "names": [_short(name) for name in evaluation.classes[:_MOST_LABELS]],
        "scores": scores[:_MOST_LABELS],
        "means": means,
        "all_labels": len(evaluation.classes),
    }


def _of_numbers(evaluation: NumbersEvaluation) -> dict[str, Any]:
    count = len(evaluation)
    some = np.unique(np.linspace(0, count - 1, min(count, _MOST_POINTS)).astype(int))
    outputs = [
        {
            "name": _short(name),
            "mae": float(evaluation.maes[k]),
            "r2": _known(float(evaluation.r2_scores[k])),
            "target": _rounded(evaluation.targets[some, k]),
            "predicted": _rounded(evaluation.outputs[some, k]),
        }
        for k, name in enumerate(evaluation.classes[:_MOST_PLOTS])
    ]
    return {
        "kind": "numbers",
        "mae": evaluation.mae,
        "rmse": evaluation.rmse,
        "r2": _known(evaluation.r2),
        "outputs": outputs,
    }


def _rounded(numbers: NDArray[Any]) -> list[float]:
    """More digits than a plot shows."""
    return [float(f"{number:.5g}") for number in numbers.tolist()]


def _short(name: str) -> str:
    return printable(name, _LONGEST)


def _known(number: float) -> float | None:
    return None if math.isnan(number) else float(number)
