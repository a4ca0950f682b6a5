"""``neocog runs``."""

import json
import math
import textwrap
from collections.abc import Callable

from neocog.cli.run_tables import (
    cut,
    duration,
    names_within,
    percent,
    setting,
    short_names,
    table,
    table_width,
    three_digits,
)
from neocog.errors import printable
from neocog.training.run_records import RunRecord, differing_settings, read_runs

__all__ = ["runs"]

# Settings whose columns are dropped first on a narrow terminal.
_LEAST_TELLING = ("seed", "threads", "log_every")
_LONGEST_NAME = 34
_LONGEST_CELL = 20
# Width of the longest status and an accuracy beside a name.
_BESIDE_NAME = 25
# Settings that are listed when there is no room for their columns.
_NAMED = 8

# Measures that only some losses have: of several labels, and of numbers.
_OF_TARGETS = (("mAP", "mAP", percent), ("RMSE", "rmse", three_digits), ("R²", "r2", three_digits))
# Settings that are called like a measure.
_TITLES = {"loss": "minimized"}

_ORDERS: dict[str, Callable[[RunRecord], tuple[object, ...]]] = {
    "accuracy": lambda run: (_last_if_none(run.result("accuracy"), -1), run.name),
    "loss": lambda run: (_last_if_none(run.result("loss")), run.name),
    "time": lambda run: (_last_if_none(run.seconds), run.name),
    "name": lambda run: (run.name,),
}


def runs(folder: str, sort: str, json_: bool) -> int:
    """List the runs in a folder: their status, results, and the settings that differ."""
    records = read_runs(folder)
    if sort == "started":
        records.sort(key=lambda run: (run.started or "", run.name), reverse=True)
    else:
        records.sort(key=_ORDERS[sort])
    if json_:
        print(json.dumps([record.to_dict() for record in records]))
        return 0
    if not records:
        print(f"There are no runs in {printable(folder)}. Begin one: neocog train")
        return 0
    for line in _lines(records):
        print(line)
    return 0


def _last_if_none(value: float | None, sign: int = 1) -> float:
    return math.inf if value is None else sign * value


def _lines(records: list[RunRecord]) -> list[str]:
    differing = differing_settings(records) if len(records) > 1 else []
    differing.sort(key=lambda name: name in _LEAST_TELLING)
    name_width = min(_LONGEST_NAME, table_width() - _BESIDE_NAME)
    head = [
        ["run", *names_within([run.name for run in records], name_width)],
        ["status", *(run.status for run in records)],
        ["accuracy", *(percent(run.result("accuracy")) for run in records)],
    ]
    of_settings = [
        [
            _TITLES.get(title, title),
            *(cut(setting(run.settings.get(name)), _LONGEST_CELL) for run in records),
        ]
        for name, title in zip(differing, short_names(differing), strict=True)
    ]
    of_targets = [
        [title, *(show(run.result(name)) for run in records)]
        for title, name, show in _OF_TARGETS
        if any(run.result(name) is not None for run in records)
    ]
    tail = [
        ["loss", *(three_digits(run.result("loss")) for run in records)],
        ["time", *(duration(run.seconds) for run in records)],
    ]
    shown, left = _fitting(head, [*of_targets, *of_settings, *tail])
    lines = table(shown, [False, False, *(True for _ in shown[2:])])
    hidden = [column[0] for column in left if column in of_settings]
    if hidden:
        more = f" and {len(hidden) - _NAMED} more" if len(hidden) > _NAMED else ""
        text = f"These differ too: {', '.join(hidden[:_NAMED])}{more}. A wider window shows them, "
        lines += ["", *textwrap.wrap(f"{text}or --json.", table_width())]
    return lines


def _fitting(
    head: list[list[str]], rest: list[list[str]]
) -> tuple[list[list[str]], list[list[str]]]:
    """The columns that fit the terminal, and those that do not."""
    room = table_width() - sum(max(map(len, column)) + 2 for column in head) + 2
    shown, left = list(head), []
    for column in rest:
        width = max(map(len, column)) + 2
        if width <= room:
            room -= width
            shown.append(column)
        else:
            left.append(column)
    return shown, left
