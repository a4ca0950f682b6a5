"""``neocog compare``."""

import json

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
from neocog.cli.terminal import counted
from neocog.errors import NeocogError
from neocog.training.run_records import RunRecord, differing_settings, read_run

__all__ = ["compare"]

_WIDEST_CELL, _NARROWEST_CELL = 34, 12
_WIDEST_TITLE = 26
# Measures that are no parts of a whole, which are shown in percent.
_NO_PARTS = ("loss", "mae", "rmse", "r2")


def compare(folders: list[str], json_: bool) -> int:
    """Print runs side by side: their status, results, and the settings that differ."""
    if len(folders) < 2:
        raise NeocogError("To compare, name at least two run folders. neocog runs lists them.")
    records = [read_run(folder) for folder in folders]
    differing = differing_settings(records)
    if json_:
        found = {"differing": differing, "runs": [record.to_dict() for record in records]}
        print(json.dumps(found))
        return 0
    for number, block in enumerate(_blocks(records)):
        if number:
            print()
        for line in _lines(block, records, differing):
            print(line)
    names = {name for record in records for name in record.settings}
    print(f"\n{counted(len(names) - len(differing), 'other setting')}: the same in all.")
    return 0


def _blocks(records: list[RunRecord]) -> list[list[RunRecord]]:
    """Split the runs into blocks that fit the terminal's width."""
    room = table_width() - _WIDEST_TITLE
    count = max(1, room // (_NARROWEST_CELL + 2))
    return [records[start : start + count] for start in range(0, len(records), count)]


def _lines(block: list[RunRecord], records: list[RunRecord], differing: list[str]) -> list[str]:
    most = min(_WIDEST_CELL, (table_width() - _WIDEST_TITLE) // len(block) - 2)
    names = names_within([run.name for run in records], most)
    titles = ["run"]
    cells = [[names[records.index(run)] for run in block]]
    for name, values in _rows(block, records, differing):
        titles.append(cut(name, _WIDEST_TITLE))
        cells.append([cut(value, most) for value in values])
    columns = [titles, *([row[number] for row in cells] for number in range(len(block)))]
    return table(columns, [False, *(True for _ in block)])


def _rows(
    block: list[RunRecord], records: list[RunRecord], differing: list[str]
) -> list[tuple[str, list[str]]]:
    measures = dict.fromkeys(name for record in records for name in record.results)
    rows = [
        ("status", [run.status for run in block]),
    ]
    for name in measures:
        if not name.endswith(("_low", "_high")):
            show = three_digits if name.endswith(_NO_PARTS) else percent
            rows.append((name.replace(".", " "), [show(run.results.get(name)) for run in block]))
        elif name.endswith("_low"):
            rows.append(("  95 % interval", [_interval(run, name) for run in block]))
    rows += [
        ("epochs finished", ["–" if run.epochs is None else str(run.epochs) for run in block]),
        ("training time", [duration(run.seconds) for run in block]),
    ]
    for name, title in zip(differing, short_names(differing), strict=True):
        rows.append((title, [setting(run.settings.get(name)) for run in block]))
    return rows


def _interval(run: RunRecord, low: str) -> str:
    ends = run.results.get(low), run.results.get(low.replace("_low", "_high"))
    if ends[0] is None or ends[1] is None:
        return "–"
    return f"{100 * ends[0]:.1f}–{100 * ends[1]:.1f} %"
