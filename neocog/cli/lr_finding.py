"""``neocog train --lr find``: the test, what it says on stderr, and the file of its curve."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.cli.terminal import is_terminal, say, say_compiling
from neocog.cli.training_setup import Setup
from neocog.errors import FormatError, NeocogError
from neocog.files import write_bytes
from neocog.run_files import LR
from neocog.settings.override import override
from neocog.training.lr_finder import LrCurve, find_lr, with_lr
from neocog.write_errors import why_not_written

__all__ = ["FIND", "take_find", "with_found_lr", "write_curve"]

#: The value of ``--lr`` that starts a learning-rate range test.
FIND = "find"

_OPTION = "optimizer.lr"
_BARS = "▁▂▃▄▅▆▇█"
_COLUMNS = 60


def take_find(changes: dict[str, Any], resume: str | None) -> bool:
    """Remove ``--lr find`` from the options of a command; returns whether it was there.

    Raises:
        NeocogError: the run is a continued one.
    """
    if changes.get(_OPTION) != FIND:
        return False
    if resume is not None:
        raise NeocogError(
            f"--lr find is for a run that begins, and --resume {resume} has a learning rate "
            "already: leave one of them out."
        )
    del changes[_OPTION]
    return True


def with_found_lr(setup: Setup) -> tuple[Setup, LrCurve]:
    """The setup with the rate found by a range test, and its curve; the network is unchanged."""
    curve = find_lr(setup.network, setup.data.train, setup.recipe, on_compile=say_compiling)
    changes = with_lr(setup.recipe, curve.suggestion)
    say(f"Learning rate: {_shown(changes)}, {curve.reason}")
    if is_terminal():
        for line in _drawn(curve):
            say(line)
    return replace(setup, recipe=override(setup.recipe, **changes)), curve


def _shown(changes: Mapping[str, Any]) -> str:
    if len(changes) == 1:
        return f"{next(iter(changes.values())):g}"
    return " ".join(f"--{name.replace('_', '-')} {value:g}" for name, value in changes.items())


def _drawn(curve: LrCurve) -> list[str]:
    """The smoothed loss as a row of bars, and the rates below its ends."""
    encoding = getattr(sys.stderr, "encoding", None) or "ascii"
    try:
        _BARS.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return []
    values = _columns(curve.smoothed)
    # Scaled by the losses at the first rates, which change little; higher losses are clipped.
    start = float(np.median(values[: max(1, len(values) // 4)]))
    low, high = min(float(values.min()), 0.8 * start), 1.2 * start
    heights = np.clip((values - low) / (high - low), 0, 1) * (len(_BARS) - 1)
    bars = "".join(_BARS[round(height)] for height in heights)
    first, last = f"{curve.rates[0]:.0e}", f"{curve.rates[-1]:.1e}"
    return [f"  {bars} loss", f"  {first}{last:>{max(1, len(bars) - len(first))}} learning rate"]


def _columns(values: NDArray[np.float64]) -> NDArray[np.float64]:
    parts = np.array_split(values, min(_COLUMNS, len(values)))
    return np.array([part.mean() for part in parts])


def write_curve(folder: Path, curve: LrCurve) -> None:
    """Write the rates and losses into the folder of the run.

    Raises:
        FormatError: they cannot be written.
    """
    try:
        write_bytes(folder / LR, curve.to_csv().encode())
    except OSError as error:
        raise FormatError(why_not_written(folder / LR, error)) from error
