"""What run folders say of their runs, as plain records that can be listed and compared."""

import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neocog.errors import FormatError, printable
from neocog.training.process_identity import is_alive
from neocog.training.run_process import read_info

__all__ = ["PARTS", "RunRecord", "differing_settings", "read_run", "read_runs"]

#: The parts of the data that a run may have been evaluated on, the one that counts first.
PARTS = ("test", "validation")

# Where each measure stands in what an evaluation says: of classes, of labels or of numbers.
_MEASURES = (
    ("accuracy", ("accuracy",)),
    ("accuracy_low", ("accuracy_interval", "low")),
    ("accuracy_high", ("accuracy_interval", "high")),
    ("f1", ("macro", "f1")),
    ("f1", ("f1",)),
    ("mAP", ("mean_average_precision",)),
    ("mae", ("mae",)),
    ("rmse", ("rmse",)),
    ("r2", ("r2",)),
    ("ece", ("calibration", "ece")),
    ("loss", ("loss",)),
)
_STATUSES = ("running", "finished", "interrupted", "failed")
# Of somebody's folder; a run of one's own has some forty settings.
_MOST_FOLDERS = 10_000
_MOST_SETTINGS = 1000
_LONGEST_TEXT = 300
_DEEPEST = 8


@dataclass(frozen=True)
class RunRecord:
    """A run, as its ``run.json`` tells it.

    Texts from the file are printable and no longer than a line or two.

    Attributes:
        path: of its folder.
        status: "running", "finished", "interrupted", "failed", "cut off" where its process has
            ended without a word, or "unknown".
        started: when, in ISO 8601; None if it does not say.
        seconds: of training; None if it does not say, as while it is running.
        steps: taken; None likewise.
        epochs: finished; None likewise.
        settings: by name, those within another one as ``optimizer.lr``; each a number, a text,
            true, false or None, or the text of a list.
        results: by name, finite numbers only: of "test" or "validation" ``test.accuracy`` (0 to 1)
            with the ends of its interval, ``test.accuracy_low`` and ``test.accuracy_high``,
            ``test.f1`` (the mean over the classes), ``test.ece`` and ``test.loss``; and
            ``train.loss``, of the last epoch.
        error: why it failed; None if it did not.
    """

    path: Path
    status: str
    started: str | None
    seconds: float | None
    steps: int | None
    epochs: int | None
    settings: Mapping[str, Any]
    results: Mapping[str, float]
    error: str | None = None

    @property
    def name(self) -> str:
        """The name of its folder, printable."""
        return printable(self.path.name or str(self.path), _LONGEST_TEXT)

    def result(self, measure: str) -> float | None:
        """Its "accuracy", "loss" and so on, of the test images, else of those for validation."""
        found = (self.results.get(f"{part}.{measure}") for part in PARTS)
        return next((value for value in found if value is not None), None)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data."""
        return {
            "name": self.name,
            "path": printable(str(self.path), 4 * _LONGEST_TEXT),
            "status": self.status,
            "started": self.started,
            "seconds": self.seconds,
            "steps": self.steps,
            "epochs": self.epochs,
            "settings": dict(self.settings),
            "results": dict(self.results),
            "error": self.error,
        }


def read_runs(folder: str | os.PathLike[str] = "runs") -> list[RunRecord]:
    """The runs whose folders lie in a folder, by name; what is no run is passed over.

    Raises:
        FormatError: the folder is missing or cannot be read, or has absurdly much in it.
    """
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - names only
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        shown = printable(str(folder), _LONGEST_TEXT)
        raise FormatError(f"{shown} cannot be read: {reason}.") from error
    if len(names) > _MOST_FOLDERS:
        raise FormatError(
            f"{printable(str(folder), _LONGEST_TEXT)} has {len(names):,} things in it; up to "
            f"{_MOST_FOLDERS:,} are looked at."
        )
    found = (_record(Path(folder, name)) for name in names)
    return [record for record in found if record is not None]


def read_run(folder: str | os.PathLike[str]) -> RunRecord:
    """The run in a folder.

    Raises:
        FormatError: there is no run.
    """
    record = _record(Path(folder))
    if record is None:
        raise FormatError(
            f"{printable(str(folder), _LONGEST_TEXT)} is no run folder: it has no run.json that "
            "can be read."
        )
    return record


def differing_settings(records: Iterable[RunRecord]) -> list[str]:
    """The names of the settings that are not the same in all of some runs, in their order."""
    all_settings = [record.settings for record in records]
    names = dict.fromkeys(name for settings in all_settings for name in settings)
    # By their text: NaN is itself, and 1 is not True.
    return [name for name in names if len({repr(s.get(name)) for s in all_settings}) > 1]


def _record(folder: Path) -> RunRecord | None:
    info = read_info(folder)
    if not info:
        return None
    timings, epochs = info.get("timings"), info.get("epochs")
    return RunRecord(
        path=folder,
        status=_status(info),
        started=_text(info.get("started")),
        seconds=_number(timings.get("training_seconds")) if isinstance(timings, dict) else None,
        steps=_count(info.get("steps")),
        epochs=len(epochs) if isinstance(epochs, list) else None,
        settings=_settings(info.get("settings")),
        results=_results(info),
        error=_text(info.get("error")),
    )


def _status(info: dict[str, Any]) -> str:
    status = info.get("status")
    if status == "running" and is_alive(info.get("process")) is False:
        return "cut off"
    return status if status in _STATUSES else "unknown"


def _settings(settings: object) -> dict[str, Any]:
    """The settings by name, those of an optimizer and the like by names with a dot."""
    found: dict[str, Any] = {}

    def add(prefix: str, values: dict[str, Any], depth: int) -> None:
        for key, value in values.items():
            name = printable(f"{prefix}{key}", _LONGEST_TEXT)
            if len(found) >= _MOST_SETTINGS:
                return
            if isinstance(value, dict) and value and depth < _DEEPEST:
                add(f"{name}.", value, depth + 1)
            elif isinstance(value, list | dict):
                found[name] = _shown(value)
            elif isinstance(value, str):
                found[name] = printable(value, _LONGEST_TEXT)
            else:
                found[name] = value

    if isinstance(settings, dict):
        add("", settings, 0)
    return found


def _shown(value: object) -> str:
    try:
        return printable(repr(value), _LONGEST_TEXT)
    except RecursionError:
        return "…"


def _results(info: dict[str, Any]) -> dict[str, float]:
    results: dict[str, float] = {}
    for part in PARTS:
        for name, keys in _MEASURES:
            value: Any = info.get(part)
            for key in keys:
                value = value.get(key) if isinstance(value, dict) else None
            if (number := _number(value)) is not None:
                results[f"{part}.{name}"] = number
    epochs = info.get("epochs")
    if isinstance(epochs, list) and epochs and isinstance(epochs[-1], dict):
        loss = _number(epochs[-1].get("loss"))
        if loss is not None:
            results["train.loss"] = loss
    return results


def _number(value: object) -> float | None:
    """A finite number; None for anything else, as a whole number that no float can be."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < 2**63 else None


def _text(value: object) -> str | None:
    return printable(value, _LONGEST_TEXT) if isinstance(value, str) else None
