"""The probabilities of classes, as bars in a figure."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.explanation.figures.canvas import (
    FAINT,
    INK,
    QUIET,
    WARM,
    percent,
    simplify_axes,
    strongest,
)

__all__ = ["draw_probabilities"]

Floats = NDArray[np.float32]


def draw_probabilities(
    axes: Any, names: Sequence[str], values: Floats, label: int, before: Floats | None = None
) -> None:
    """Draw the ten most probable classes and the label as bars, each with its probability.

    With `before`, each class has two bars: one for that and one for `values`.
    """
    order = strongest(values, 10)
    if label not in order:
        order[-1] = label
    at = np.arange(len(order))
    colors = [WARM if k == label else QUIET for k in order]
    ends, notes = values[order], [percent(values[k]) for k in order]
    if before is None:
        axes.barh(at, values[order], 0.7, color=colors)
    else:
        axes.barh(at - 0.2, before[order], 0.38, color=FAINT, label="before the step")
        axes.barh(at + 0.2, values[order], 0.38, color=colors)
        ends = np.maximum(values, before)[order]
        notes = [f"{percent(before[k])} → {percent(values[k])}" for k in order]
        axes.legend(fontsize=7, frameon=False, loc="lower right")
    for place, end, note in zip(at, ends, notes, strict=True):
        axes.text(end + 0.02, place, note, fontsize=7, va="center", color=INK)
    axes.set_yticks(at, [names[k] for k in order])
    axes.invert_yaxis()
    axes.set(xlim=(0, 1.35 if before is None else 1.7), xticks=[])
    axes.set_title("probabilities", fontsize=9)
    simplify_axes(axes, "bottom")
