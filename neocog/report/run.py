"""The report of a run folder, from its ``history.csv`` and ``run.json`` and an evaluation."""

import csv
import dataclasses
import io
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from neocog.data.images import Dataset
from neocog.errors import FormatError, printable
from neocog.evaluation import AnyEvaluation
from neocog.files import exists, read_bytes
from neocog.network import Network
from neocog.report.report import write_report
from neocog.run_files import LR
from neocog.settings.recipe import Recipe
from neocog.summary import cost
from neocog.training.history import Epoch, History, Logged
from neocog.training.run_process import read_info

__all__ = ["REPORT", "read_history", "write_run_report"]

#: Name of the report's file in a run folder.
REPORT = "report.html"
_HISTORY = "history.csv"
# A line has some 30 bytes, so this allows a million lines.
_MOST_BYTES = 32 * 2**20
# Settings of the recipe itself, which is named elsewhere on the page.
_OF_A_RECIPE = ("name", "about")
_MACHINE = {"vector_floats": "vector width (floats)"}


def write_run_report(
    folder: str | Path,
    network: Network,
    *,
    evaluation: AnyEvaluation | None = None,
    data: Dataset | None = None,
    part: str = "test",
    history: History | None = None,
    defaults: Mapping[str, Any] | None = None,
    path: str | Path | None = None,
    threads: int | None = None,
) -> Path:
    """Write a run's ``report.html``; returns its path.

    Args:
        folder: the run folder, whose ``run.json`` has the settings, timings, machine and versions.
        network: the trained network.
        evaluation: evaluation of the network, if there is one.
        data: the images that were evaluated.
        part: name of their part, such as "test".
        history: history of the training; by default the one in the folder.
        defaults: default settings, to show which ones differ; by default those of a `Recipe`.
        path: file to write; by default ``report.html`` in the folder.
        threads: number of workers for predictions; None uses all available cores.

    Raises:
        FormatError: ``history.csv`` is damaged.
        NeocogError: as in `write_report`.
    """
    folder = Path(folder)
    info = read_info(folder)
    if history is None:
        history = read_history(folder, info)
    target = folder / REPORT if path is None else Path(path)
    write_report(
        target,
        title=folder.resolve().name,
        network=network,
        evaluation=evaluation,
        data=data,
        part=part,
        history=history,
        lr_test=_lr_test(folder / LR) or None,
        settings={k: v for k, v in _table(info, "settings").items() if k not in _OF_A_RECIPE},
        defaults=Recipe().to_dict() if defaults is None else defaults,
        facts=_facts(info, history, network, evaluation),
        threads=threads,
    )
    return target


def read_history(folder: Path, info: Mapping[str, Any] | None = None) -> History:
    """The history of a run folder: the losses of ``history.csv``, the epochs of ``run.json``.

    Args:
        folder: the run folder.
        info: content of ``run.json``, if it is already read.

    Raises:
        FormatError: ``history.csv`` is damaged or cannot be read.
    """
    info = read_info(folder) if info is None else info
    timings = _table(info, "timings")
    return History(
        logged=_logged(folder / _HISTORY),
        epochs=_epochs(info.get("epochs")),
        steps=int(_number(info.get("steps")) or 0),
        compile_seconds=_number(timings.get("compile_seconds")) or 0.0,
        seconds=_number(timings.get("training_seconds")) or 0.0,
        interrupted=info.get("status") == "interrupted",
    )


def _logged(path: Path) -> list[Logged]:
    if not exists(path):
        return []
    try:
        text = read_bytes(path, _MOST_BYTES).decode()
        rows = csv.DictReader(io.StringIO(text), strict=True)
        return [
            Logged(int(row["epoch"]), int(row["batch"]), float(row["loss"]), float(row["seconds"]))
            for row in rows
        ]
    except OSError as error:
        reason = error.strerror or str(error)
    except (ValueError, KeyError, TypeError, csv.Error):
        reason = "it is not a table of epoch, batch, loss and seconds"
    shown = printable(str(path), 300)
    raise FormatError(f"{shown} cannot be read: {reason}. Remove it to go on without it.")


def _lr_test(path: Path) -> list[tuple[float, float]]:
    """The rates and smoothed losses of ``lr.csv``; none where it is missing or damaged."""
    if not exists(path):
        return []
    try:
        rows = csv.DictReader(io.StringIO(read_bytes(path, _MOST_BYTES).decode()), strict=True)
        found = [(float(row["lr"]), float(row["smoothed_loss"])) for row in rows]
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return []
    return [(rate, loss) for rate, loss in found if rate > 0]


def _epochs(found: object) -> list[Epoch]:
    """The epochs in ``run.json``, as far as they are valid."""
    known = {field.name for field in dataclasses.fields(Epoch)} - {"epoch", "loss", "seconds"}
    epochs = []
    for place, one in enumerate(found if isinstance(found, list) else []):
        numbers = {k: _number(v) for k, v in one.items()} if isinstance(one, dict) else {}
        loss, seconds = numbers.get("loss"), numbers.get("seconds")
        if loss is not None and seconds is not None:
            more = {k: v for k, v in numbers.items() if k in known and v is not None}
            epochs.append(Epoch(int(numbers.get("epoch") or place + 1), loss, seconds, **more))
    return epochs


def _facts(
    info: Mapping[str, Any],
    history: History,
    network: Network,
    evaluation: AnyEvaluation | None,
) -> dict[str, dict[str, Any]]:
    """Tables of facts about a run besides its settings and results."""
    network_cost = cost(network)
    machine = _table(info, "machine")
    data, transfer = _table(info, "data"), _table(info, "transfer")
    depth = str(transfer.get("depth"))
    step = history.seconds / history.steps if history.steps else None
    return {
        "Timings": {
            "started": _time(info.get("started")),
            "compiling": _seconds(history.compile_seconds),
            "computing maps": _seconds(_number(transfer.get("preparing_seconds")))
            if depth == "blocks"
            else None,
            "training": _seconds(history.seconds),
            "a step": _seconds(step),
            "evaluation": _seconds(evaluation.seconds) if evaluation is not None else None,
            "status": info.get("status"),
            "signal": info.get("signal"),
        },
        "Network": {
            "input": " × ".join(map(str, network.input_shape)),
            "parameters": network_cost.parameters,
            "multiply-adds": network_cost.multiply_adds,
        },
        **({"Transfer": _transfer(transfer, depth)} if transfer else {}),
        "Data": {
            "name": data.get("name"),
            "source": data.get("source") if data.get("source") != data.get("name") else None,
            "evaluated": f"{len(evaluation):,} images" if evaluation is not None else None,
        },
        "Machine": {_MACHINE.get(name, name): value for name, value in machine.items()},
        "Versions": _table(info, "versions"),
    }


def _transfer(transfer: Mapping[str, Any], depth: str) -> dict[str, Any]:
    """What learned of a network that had seen other pictures."""
    learns = {
        "head": "the last layer",
        "blocks": f"what is behind {transfer.get('place')}",
        "all": "all layers",
    }
    return {
        "weights": transfer.get("weights"),
        "learns": learns.get(depth),
        "views": transfer.get("views"),
        "strength": transfer.get("strength"),
    }


def _time(text: object) -> str | None:
    """A time of ``run.json``, as 2026-11-30 08:58 UTC; None if it is not valid."""
    if not isinstance(text, str):
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError):
        return None


def _table(info: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = info.get(name)
    return found if isinstance(found, dict) else {}


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _seconds(value: float | None) -> str | None:
    if not value:
        return None
    for unit, scale in (("µs", 1e-6), ("ms", 1e-3)):
        if value < 1000 * scale:
            return f"{value / scale:.3g} {unit}"
    minutes, seconds = divmod(value, 60)
    return f"{value:.3g} s" if minutes == 0 else f"{int(minutes):,} min {int(seconds)} s"
