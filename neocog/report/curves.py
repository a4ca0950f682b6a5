"""Curves of a run: losses, accuracy and learning rate over its epochs."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.training.history import Epoch, History

__all__ = ["curves", "lr_curve", "thinned"]

# Largest number of points of a curve, about a screen's width, and of rows of the table of epochs.
_MOST_POINTS, _MOST_ROWS = 400, 500

Reals = NDArray[np.float64]


def curves(history: History, learning_rates: Reals | None = None) -> dict[str, Any]:
    """The curves of a run, each with ``x`` in epochs and ``y``.

    Args:
        history: history of the run. `validation_loss`, `validation_accuracy` and `lr` of its epochs
            are shown if they are known.
        learning_rates: rate of every step, if known; otherwise those of the epochs are shown.

    Returns:
        ``running``, the logged losses; ``loss``, ``validation_loss``, ``validation_accuracy`` and
        ``lr``, each if there is something to show; and ``epochs``, the same numbers as a table with
        rows ``[epoch, loss, validation loss, validation accuracy, lr, seconds]``.
    """
    found: dict[str, Any] = {}
    batches = max((entry.batch for entry in history.logged), default=0)
    if batches:
        x = [entry.epoch - 1 + entry.batch / batches for entry in history.logged]
        found["running"] = thinned(x, [entry.loss for entry in history.logged])
    at = [float(epoch.epoch) for epoch in history.epochs]
    columns = {
        name: [_known(epoch, name) for epoch in history.epochs]
        for name in ("loss", "validation_loss", "validation_accuracy", "lr", "seconds")
    }
    for name in ("loss", "validation_loss", "validation_accuracy", "lr"):
        if any(value is not None for value in columns[name]):
            found[name] = thinned(at, columns[name])
    if learning_rates is not None and len(learning_rates):
        last = max(at, default=1.0)
        found["lr"] = thinned(np.linspace(0, last, len(learning_rates)), learning_rates)
    rows = [list(row) for row in zip(at, *columns.values(), strict=True)]
    every = max(1, -(-len(rows) // _MOST_ROWS))
    # Counted from the end, so that the last epoch is always included.
    found["epochs"] = [[int(row[0]), *row[1:]] for row in rows[::-1][::every][::-1]]
    return found


def lr_curve(rates: Sequence[float] | Reals, losses: Sequence[float] | Reals) -> dict[str, Any]:
    """The losses of a learning-rate range test, ``x`` being log₁₀ of the rates."""
    return thinned(np.log10(np.array(rates, np.float64)), losses)


def _known(epoch: Epoch, name: str) -> float | None:
    value = getattr(epoch, name)
    return float(value) if value is not None and math.isfinite(value) else None


def thinned(
    x: Sequence[float] | Reals, y: Sequence[float | None] | Reals
) -> dict[str, list[float | None]]:
    """A curve of at most `_MOST_POINTS` points: means of neighbors, with minima and maxima.

    Returns ``x``, ``y``, and ``low`` and ``high`` if points were merged. Numbers have six digits;
    those that are not finite become None.
    """
    xs = np.array(x, np.float64)
    ys = np.array([math.nan if value is None else value for value in y], np.float64)
    ys[~np.isfinite(ys)] = math.nan
    if len(xs) <= _MOST_POINTS:
        return {"x": _rounded(xs), "y": _rounded(ys)}
    parts = np.array_split(np.arange(len(xs)), _MOST_POINTS)
    known = [ys[part][np.isfinite(ys[part])] for part in parts]
    return {
        "x": _rounded([xs[part].mean() for part in parts]),
        "y": _rounded([some.mean() if len(some) else math.nan for some in known]),
        "low": _rounded([some.min(initial=math.inf) for some in known]),
        "high": _rounded([some.max(initial=-math.inf) for some in known]),
    }


def _rounded(values: Sequence[float] | Reals) -> list[float | None]:
    return [float(f"{v:.6g}") if math.isfinite(v) else None for v in values]
