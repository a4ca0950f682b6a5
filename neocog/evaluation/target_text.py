"""Evaluations of several labels an image, and of numbers, for people."""

import math
from collections.abc import Sequence

from neocog.errors import printable
from neocog.evaluation.result import Evaluation
from neocog.evaluation.target_measures import LabelsEvaluation, NumbersEvaluation
from neocog.evaluation.text import (
    MOST_MISTAKES,
    accuracy_line,
    counted_images,
    name_ending,
    percent,
    summary,
    text_table,
)

__all__ = ["result_line", "result_summary"]

# Labels that are listed; with more, those with the least F1.
_MOST_LABELS = 30
_LONG = 24


def result_line(result: Evaluation | LabelsEvaluation | NumbersEvaluation, part: str) -> str:
    """The result in a line.

    Args:
        result: an evaluation of any kind.
        part: name of the part of the data, such as "test"; "all" for data without parts.
    """
    if isinstance(result, Evaluation):
        return accuracy_line(result, part)
    what = "Result" if part == "all" else part.capitalize()
    if isinstance(result, NumbersEvaluation):
        return (
            f"{what}: mean absolute error {result.mae:.4g}, RMSE {result.rmse:.4g}, "
            f"R² {_number(result.r2)} on {counted_images(len(result))}"
        )
    return (
        f"{what}: mean F1 {percent(_known(result.f1))}, mean average precision "
        f"{percent(_known(result.mean_precision))} on {counted_images(len(result))}"
    )


def result_summary(
    result: Evaluation | LabelsEvaluation | NumbersEvaluation,
    part: str = "all",
    *,
    top_k: int | None = None,
    threshold: float | None = None,
) -> str:
    """All results, from the loss to the worst mistakes; arguments as of `summary`."""
    if isinstance(result, Evaluation):
        return summary(result, part, top_k=top_k, threshold=threshold)
    head = [f"Loss: {result.loss:.4g}", result_line(result, part)]
    if isinstance(result, NumbersEvaluation):
        blocks = [head, _outputs(result), _farthest(result)]
    else:
        head.append(f"Labels that are right: {percent(result.accuracy)}")
        blocks = [head, _labels(result), _surest(result)]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _labels(result: LabelsEvaluation) -> list[str]:
    scores = result.precisions, result.recalls, result.f1_scores, result.average_precisions
    columns = [column.tolist() for column in (result.counts, *scores)]
    rows = list(zip(result.classes, *columns, strict=True))
    lines = []
    if len(rows) > _MOST_LABELS:
        rows.sort(key=lambda row: -1.0 if math.isnan(row[4]) else row[4])
        rows = rows[:_MOST_LABELS]
        lines = [f"The weakest of {len(result.classes):,} labels (--json has all):"]
    table = [["label", "count", "precision", "recall", "F1", "average precision"]]
    for name, count, *parts in rows:
        cells = (percent(_known(part)) for part in parts)
        table.append([printable(name, _LONG), f"{count:,}", *cells])
    return [
        *lines,
        *text_table(table),
        f"Labels are given from a probability of {result.threshold:g} on (--threshold).",
    ]


def _surest(result: LabelsEvaluation) -> list[str]:
    lines = []
    for one in result.mistakes[:MOST_MISTAKES]:
        what = "has it" if one.there else "does not have it"
        label = printable(one.label, _LONG)
        lines.append((one.name, f": {label} {percent(one.probability)}, {what}"))
    return _listed("Surest mistakes", len(result.mistakes), lines)


def _outputs(result: NumbersEvaluation) -> list[str]:
    if len(result.classes) == 1:
        return []
    table = [["number", "mean absolute error", "R²"]]
    for name, mae, r2 in zip(result.classes, result.maes, result.r2_scores, strict=True):
        table.append([printable(name, _LONG), f"{mae:.4g}", _number(r2)])
    return text_table(table)


def _farthest(result: NumbersEvaluation) -> list[str]:
    lines = []
    for one in result.mistakes[:MOST_MISTAKES]:
        name = printable(one.output, _LONG)
        lines.append((one.name, f": {name} {one.predicted:.5g}, it is {one.target:.5g}"))
    return _listed("Farthest off", len(result.mistakes), lines)


def _listed(title: str, count: int, lines: Sequence[tuple[str, str]]) -> list[str]:
    if not lines:
        return []
    return [
        f"{title} of {count:,} (--mistakes FILE.csv writes all):",
        *(f"  {name_ending(name, end)}{end}" for name, end in lines),
    ]


def _known(number: float) -> float | None:
    return None if math.isnan(number) else float(number)


def _number(number: float) -> str:
    return "–" if math.isnan(number) else f"{number:.4f}"
