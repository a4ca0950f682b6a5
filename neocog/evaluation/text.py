"""An evaluation for people, in lines of text of up to 80 characters."""

from collections.abc import Sequence

import numpy as np

from neocog.errors import printable
from neocog.evaluation.measures import ClassScore
from neocog.evaluation.reliability import BINS
from neocog.evaluation.result import Evaluation
from neocog.evaluation.threshold import Answered

__all__ = [
    "MOST_MISTAKES",
    "accuracy_line",
    "counted_images",
    "name_ending",
    "percent",
    "summary",
    "text_table",
]

# Columns that fit a terminal of the usual size.
_WIDTH = 80
# If there are more classes than this, only the weakest are listed.
_MOST_CLASSES = 30
_WEAKEST = 10
# Number of confused pairs, if the whole matrix does not fit.
_MOST_PAIRS = 10
#: Number of mistakes that are listed.
MOST_MISTAKES = 10
# Longest names of classes, in a table and within a line.
_LONG, _SHORT = 24, 16
_THRESHOLDS = (0.5, 0.7, 0.9, 0.95, 0.99)
_WANTED = 0.99


def accuracy_line(result: Evaluation, part: str) -> str:
    """The accuracy with its confidence interval.

    Args:
        result: the evaluation.
        part: name of the part of the data, such as "test"; "all" for data without parts.
    """
    what = "Accuracy" if part == "all" else f"{part.capitalize()} accuracy"
    low, high = result.accuracy_interval()
    return (
        f"{what}: {100 * result.accuracy:.2f} % of {counted_images(len(result))} "
        f"(95 % CI: {100 * low:.2f} to {100 * high:.2f} %)"
    )


def summary(
    result: Evaluation,
    part: str = "all",
    *,
    top_k: int | None = None,
    threshold: float | None = None,
) -> str:
    """All results, from the loss to the most confident mistakes.

    Args:
        result: the evaluation.
        part: as in `accuracy_line`.
        top_k: k of the top-k accuracy; by default 5 if there are more than five classes.
        threshold: threshold to report; by default the network's.
    """
    k = result.usual_top if top_k is None else top_k
    head = [f"Loss: {result.loss:.4f}", accuracy_line(result, part)]
    if k is not None:
        head.append(f"Top-{k} accuracy: {100 * result.top_k(k):.2f} %")
    blocks = [
        head,
        _classes(result),
        _confusion(result),
        _probabilities(result, result.told(threshold)),
        _mistakes(result),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _classes(result: Evaluation) -> list[str]:
    scores = result.per_class
    shown, lines = scores, []
    if len(scores) > _MOST_CLASSES:
        shown = sorted((one for one in scores if one.count), key=lambda one: one.f1 or 0.0)
        shown = shown[:_WEAKEST]
        lines = [f"The weakest of {len(scores):,} classes (--json has all):"]
    precision, recall, f1 = result.macro
    mean = ClassScore("mean of the classes", precision, recall, f1, len(result))
    head = ["class", "count", "precision", "recall", "F1"]
    return lines + text_table([head, *(_row(one) for one in (*shown, mean))])


def _row(one: ClassScore) -> list[str]:
    percents = [percent(part) for part in (one.precision, one.recall, one.f1)]
    return [printable(one.name, _LONG), f"{one.count:,}", *percents]


def _confusion(result: Evaluation) -> list[str]:
    """The confusion matrix if it fits, otherwise the pairs that were confused most often."""
    names, confusion = [printable(name, _LONG) for name in result.classes], result.confusion
    room = (_WIDTH - max(map(len, names))) // len(names) - 1
    digits = max(3, len(str(confusion.max())))
    if digits <= room:
        cell = min(room, max(digits, *map(len, names)))
        across = max(map(len, names))
        head = "".join(f" {name[:cell]:>{cell}}" for name in names)
        rows = [
            f"{name:<{across}}" + "".join(f" {count:>{cell}}" for count in row)
            for name, row in zip(names, confusion.tolist(), strict=True)
        ]
        return [
            "How many images of a class (row) were taken for which class (column):",
            f"{'':<{across}}{head}".rstrip(),
            *rows,
        ]
    pairs = np.argwhere(confusion > 0).tolist()
    wrong = [(int(confusion[k, taken]), k, taken) for k, taken in pairs if k != taken]
    wrong.sort(key=lambda one: (-one[0], one[1:]))
    if not wrong:
        return []
    lines = [f"  {names[k]} taken for {names[taken]}: {n:,}" for n, k, taken in wrong]
    return ["Most often mixed up (--json has all):", *lines[:_MOST_PAIRS]]


def _probabilities(result: Evaluation, told: Answered | None) -> list[str]:
    found = result.reliability()
    scaled = f" (temperature {result.temperature:.4g})" if result.temperature != 1 else ""
    lines = [
        f"Mean confidence: {100 * found.confidence:.2f} %{scaled}",
        f"Expected calibration error: {100 * found.ece:.2f} % ({BINS} bins)",
        "",
        "With no answer below a threshold (--threshold):",
    ]
    rows = [["  threshold", "answered", "right"]]
    for threshold in _THRESHOLDS:
        one = result.answered(threshold)
        rows.append([f"  {threshold:.2f}", percent(one.coverage), percent(one.accuracy)])
    lines += text_table(rows)
    wanted = result.threshold_for(_WANTED)
    if wanted == 0:
        lines.append(f"{100 * _WANTED:g} % of the answers are right without a threshold.")
    elif wanted is None:
        lines.append(f"No threshold makes {100 * _WANTED:g} % of the answers right.")
    else:
        coverage = result.answered(wanted).coverage
        lines.append(
            f"{100 * _WANTED:g} % of the answers are right with a threshold of {wanted:.4f}, "
            f"which answers {percent(coverage)}."
        )
    if told is not None:
        lines += ["", *_told(told, len(result))]
    return lines


def _told(one: Answered, count: int) -> list[str]:
    lines = [
        f"Threshold {one.threshold:.4g}: {one.count:,} of {counted_images(count)} answered "
        f"({percent(one.coverage)})"
    ]
    if one.accuracy is not None:
        low, high = one.interval
        lines.append(
            f"Accuracy of the answers: {100 * one.accuracy:.2f} % "
            f"(95 % CI: {100 * low:.2f} to {100 * high:.2f} %)"
        )
    return lines


def _mistakes(result: Evaluation) -> list[str]:
    mistakes = result.mistakes
    if not mistakes:
        return []
    lines = []
    for one in mistakes[:MOST_MISTAKES]:
        label, predicted = (printable(name, _SHORT) for name in (one.label, one.predicted))
        end = f": {label} taken for {predicted}, {percent(one.probability)}"
        lines.append(f"  {name_ending(one.name, end)}{end}")
    of_all = f"of {len(mistakes):,} " if len(mistakes) > 1 else ""
    return [f"Surest mistakes {of_all}(--mistakes FILE.csv writes all):", *lines]


def name_ending(name: str, text: str) -> str:
    """As much of a file's name as fits in front of a text: its end distinguishes it best."""
    shown, room = printable(name, len(name)), _WIDTH - 2 - len(text)
    return shown if len(shown) <= room else f"…{shown[len(shown) - room + 1 :]}"


def text_table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines, the first cells to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [f"{first:<{widths[0]}}"]
        cells += [f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return lines


def counted_images(count: int) -> str:
    """A number of images in words."""
    return f"{count:,} image{'' if count == 1 else 's'}"


def percent(part: float | None) -> str:
    """A part of 1 in percent."""
    return "–" if part is None else f"{100 * part:.1f} %"
