"""`write_report`: writes the page that shows how a run went.

The page is one file of less than 3 MB, usually of about 1 MB: the number and the bytes of pictures
are limited (`_SHEET_BYTES` and those of `mistakes`), and so is the length of every list. It takes
half a second besides the predictions for maps of attention, whose number is limited too
(`attention`).
"""

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.data.images import Dataset, as_dataset
from neocog.errors import DataError, NeocogError, printable
from neocog.evaluation import AnyEvaluation, Evaluation, LabelsEvaluation, NumbersEvaluation
from neocog.explanation.page.html import page
from neocog.explanation.page.message import Block
from neocog.explanation.page.payload import Packed
from neocog.files import user_path, write_bytes
from neocog.network import Network, check_network
from neocog.report.confusion import choose_pictures, confusion
from neocog.report.curves import curves, lr_curve
from neocog.report.first_filters import first_filters
from neocog.report.mistakes import name_of_image, worst_mistakes
from neocog.report.tables import fact_rows, setting_rows
from neocog.report.targets import of_targets
from neocog.report.thumbnails import most_that_fit, sheet
from neocog.training.history import History
from neocog.validation import file_path, instance, refuse
from neocog.write_errors import why_not_written

__all__ = ["write_report"]

_PACKAGE, _ENTRY = "neocog.report", "report.js"
# For the confusion matrix: number of pictures, their side, pixels of all, and bytes of their file.
_MOST_PICTURES, _SIDE, _SHEET_PIXELS, _SHEET_BYTES = 900, 80, 2_200_000, 1_200_000
_MOST_CLASSES, _LONGEST_CLASS, _LONGEST_TITLE = 1000, 80, 120


def write_report(
    path: str | os.PathLike[str],
    *,
    title: str,
    network: Network | None = None,
    evaluation: AnyEvaluation | None = None,
    data: Dataset | None = None,
    part: str = "test",
    history: History | None = None,
    learning_rates: Sequence[float] | None = None,
    lr_test: Sequence[tuple[float, float]] | None = None,
    settings: Mapping[str, Any] | None = None,
    defaults: Mapping[str, Any] | None = None,
    facts: Mapping[str, Mapping[str, Any]] | None = None,
    threads: int | None = None,
) -> None:
    """Write a run's report as one HTML file, which needs no network and no other file.

    Only what is given is shown.

    Args:
        path: of the file.
        title: what the run is called.
        network: that was trained: its filters, and what it looks at.
        evaluation: of the network.
        data: the images that were evaluated, a `Dataset` or a tuple (images, labels); for pictures
            of them.
        part: what the images are called, such as "test".
        history: of the training.
        learning_rates: of every step, where the history does not say enough.
        lr_test: of a learning-rate range test, (rate, loss) for each step.
        settings: by name, which may be tables of settings.
        defaults: the same of a run in which nothing was chosen, to show what was.
        facts: tables by their title, such as timings, the machine and versions.
        threads: workers for predictions; the cores there are, if None.

    Raises:
        DataError: `data` are not those that were evaluated.
        NeocogError: the file cannot be written, or an argument is of the wrong type.
    """
    path = user_path(file_path("path", path))
    title = printable(instance("title", title, str, "a text"), _LONGEST_TITLE)
    tables = _mapping("facts", facts)
    block = Block()
    structure: dict[str, Any] = {
        "title": title,
        "written": datetime.now(UTC).isoformat(timespec="minutes"),
        "facts": {
            printable(str(name)): fact_rows(_mapping(f"facts[{name!r}]", table))
            for name, table in tables.items()
        },
        "settings": setting_rows(_mapping("settings", settings), _mapping("defaults", defaults)),
        "compared": defaults is not None,
    }
    if history is not None:
        instance("history", history, History, "a History, as fit gives it")
        structure["history"] = _of_history(history, _rates(learning_rates))
        if lr_test is not None:
            structure["history"]["lr_test"] = lr_curve(*_pairs(lr_test).T)
    if network is not None:
        network = check_network(network)
        structure["filters"] = first_filters(network, block)
    if isinstance(evaluation, LabelsEvaluation | NumbersEvaluation):
        part = printable(instance("part", part, str, "a text"))
        images = None if data is None else _evaluated(data, evaluation, evaluation.targets).images
        structure["targets"] = of_targets(evaluation, part, images, network, block, threads)
    elif evaluation is not None:
        instance("evaluation", evaluation, Evaluation, "an Evaluation, as evaluate gives it")
        part = printable(instance("part", part, str, "a text"))
        structure["evaluation"] = _of_evaluation(evaluation, part)
        if data is not None:
            images = _evaluated(data, evaluation, evaluation.labels).images
            structure["pictures"] = _pictures(evaluation, images)
            found = worst_mistakes(evaluation, images, network, block, threads)
            structure["mistakes"] = found
    packed = Packed(structure, block.bytes())
    text = page(packed, package=_PACKAGE, entry=_ENTRY, title=f"{title} — neocog")
    content = text.encode()
    try:
        write_bytes(path, content)
    except OSError as error:
        raise NeocogError(why_not_written(path, error, size=len(content))) from error


def _mapping(name: str, value: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if value is None or isinstance(value, Mapping):
        return value or {}
    raise refuse(name, value, "a table of values by name")


def _rates(given: Sequence[float] | None) -> NDArray[np.float64] | None:
    if given is None:
        return None
    try:
        found = np.asarray(given, np.float64)
    except (TypeError, ValueError, OverflowError):
        found = np.empty(())
    if found.ndim != 1:
        raise refuse("learning_rates", given, "a number for every step")
    return found


def _pairs(given: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
    try:
        found = np.asarray(given, np.float64)
    except (TypeError, ValueError, OverflowError):
        found = np.empty(())
    if found.ndim != 2 or found.shape[1] != 2 or not (found[:, 0] > 0).all():
        raise refuse("lr_test", given, "pairs of a learning rate above 0 and a loss")
    return found


def _of_history(history: History, learning_rates: NDArray[np.float64] | None) -> dict[str, Any]:
    return {
        **curves(history, learning_rates),
        "steps": history.steps,
        "seconds": history.seconds,
        "compile_seconds": history.compile_seconds,
        "interrupted": history.interrupted,
        "stopped": history.stopped,
    }


def _of_evaluation(evaluation: Evaluation, part: str) -> dict[str, Any]:
    low, high = evaluation.accuracy_interval()
    k = evaluation.usual_top
    scores = evaluation.per_class[:_MOST_CLASSES]
    return {
        "part": part,
        "count": len(evaluation),
        "accuracy": evaluation.accuracy,
        "interval": [low, high],
        "loss": evaluation.loss,
        "top_k": None if k is None else [k, evaluation.top_k(k)],
        "macro": evaluation.macro,
        "classes": [printable(name, _LONGEST_CLASS) for name in evaluation.classes[:_MOST_CLASSES]],
        "all_classes": len(evaluation.classes),
        "scores": [[one.count, one.precision, one.recall, one.f1] for one in scores],
        "confusion": confusion(evaluation),
        "calibration": evaluation.reliability().to_dict(),
        "temperature": evaluation.temperature,
        "seconds": evaluation.seconds,
    }


def _evaluated(data: Dataset, evaluation: AnyEvaluation, labels: NDArray[Any]) -> Dataset:
    data = as_dataset(data, "write_report(…, data=data.test)")
    if len(data) != len(evaluation) or not np.array_equal(data.labels, labels):
        raise DataError(
            f"data are {len(data):,} images that are not the {len(evaluation):,} of the "
            "evaluation. Give write_report the data that were evaluated."
        )
    return data


def _pictures(evaluation: Evaluation, images: NDArray[np.uint8]) -> dict[str, Any]:
    """A sheet of the pictures in the cells, with the index and name of each."""
    most = min(_MOST_PICTURES, most_that_fit(images.shape[1:], _SIDE, _SHEET_PIXELS))
    chosen = choose_pictures(evaluation, most)
    items = [
        [
            int(evaluation.labels[index]),
            int(evaluation.predicted[index]),
            round(float(evaluation.confidence[index]), 4),
            index,
            name_of_image(evaluation, index),
        ]
        for index in chosen
    ]
    return {**sheet(images, chosen, _SIDE, _SHEET_BYTES), "items": items}
