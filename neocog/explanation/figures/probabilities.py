"""The probabilities of classes or labels, or numbers, as bars in a figure."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.explanation.figures.canvas import (
    FAINT,
    INK,
    QUIET,
    WARM,
    output,
    simplify_axes,
    strongest,
)

__all__ = ["draw_probabilities"]

Floats = NDArray[np.float32]


def draw_probabilities(
    axes: Any,
    names: Sequence[str],
    values: Floats,
    label: int,
    before: Floats | None = None,
    *,
    of_numbers: bool = False,
) -> None:
    """Draw the ten most probable classes and the label as bars, each with its probability.

    With `before`, each class has two bars: one for that and one for `values`. `of_numbers` the
    values are no probabilities, and the largest ones are drawn.
    """
    order = strongest(values, 10)
    if label not in order:
        order[-1] = label
    at = np.arange(len(order))
    colors = [WARM if k == label else QUIET for k in order]
    ends, notes = values[order], [output(values[k], of_numbers) for k in order]
    if before is None:
        axes.barh(at, values[order], 0.7, color=colors)
    else:
        axes.barh(at - 0.2, before[order], 0.38, color=FAINT, label="before the step")
        axes.barh(at + 0.2, values[order], 0.38, color=colors)
        ends = np.maximum(values, before)[order]
        notes = [
            f"{output(before[k], of_numbers)} → {output(values[k], of_numbers)}" for k in order
        ]
        axes.legend(fontsize=7, frameon=False, loc="lower right")
    most = (np.abs(ends).max() or 1) if of_numbers else 1
    for place, end, note in zip(at, ends, notes, strict=True):
        axes.text(max(0, end) + 0.02 * most, place, note, fontsize=7, va="center", color=INK)
    axes.set_yticks(at, [names[k] for k in order])
    axes.invert_yaxis()
    least = min(0, ends.min() if before is None else min(values[order].min(), before[order].min()))
    axes.set(xlim=(least, (1.35 if before is None else 1.7) * most), xticks=[])
    axes.set_title("numbers" if of_numbers else "probabilities", fontsize=9)
    simplify_axes(axes, "bottom")
