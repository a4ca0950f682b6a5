"""One step of an optimizer, drawn: a parameter and the probabilities, before and after."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neocog.explanation.figures.canvas import (
    COLD,
    FAINT,
    INK,
    SMALL,
    WARM,
    draw_map,
    largest_magnitude,
    new_figure,
    number,
    output,
    simplify_axes,
    strongest,
)
from neocog.explanation.figures.probabilities import draw_probabilities
from neocog.explanation.rendering import render_figure
from neocog.explanation.step import Step

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_step"]

Floats = NDArray[np.float32]


@render_figure.register(Step)
def draw_step(step: Step, parameter: str) -> "Figure":
    """Draw how a parameter changes at the left, and the probabilities at the right.

    If numbers overflow after the step, only the probabilities before it are drawn.
    """
    if not np.isfinite(step.loss):
        figure = new_figure(7, 3.6, _title(step, parameter))
        draw_probabilities(
            figure.subplots(),
            step.classes,
            step.probabilities_before,
            step.label,
            of_numbers=step.of_numbers,
        )
        return figure
    kernel = step.before[parameter].ndim == 4
    figure = new_figure(11.5 if kernel else 10, 4.0, _title(step, parameter))
    halves: Any = figure.subfigures(1, 2, width_ratios=[1.9, 1])
    left, right = halves
    (_draw_kernel if kernel else _draw_changes)(left, step, parameter)
    draw_probabilities(
        right.subplots(),
        step.classes,
        step.probabilities,
        step.label,
        step.probabilities_before,
        of_numbers=step.of_numbers,
    )
    return figure


def _draw_kernel(figure: Any, step: Step, parameter: str) -> None:
    """Draw the kernel that changes most: its input channels that change most, a column each part.

    The parts are the weights, their gradient, the optimizer's state, the change, the new weights.
    """
    before, after = step.before[parameter], step.after[parameter]
    change = after - before
    state = {key.removeprefix(f"{parameter}."): value for key, value in step.state.items()}
    state = {k: v for k, v in state.items() if v.shape == before.shape and "." not in k}
    parts = {"before": before, "gradient": step.gradients[parameter], **state}
    parts |= {"change": change, "after": after}
    largest = np.abs(change).max(axis=(2, 3))
    out = int(largest.max(axis=1).argmax())
    inputs = sorted(strongest(largest[out], 3))
    axes = figure.subplots(len(inputs), len(parts), squeeze=False)
    figure.suptitle(f"{parameter}, the kernel of channel {out}", fontsize=9, color=INK)
    for column, (name, values) in enumerate(parts.items()):
        limit = largest_magnitude(values[out, inputs])
        power = int(np.floor(np.log10(limit)))
        power = 0 if -1 <= power <= 1 else power
        if power:
            name += f" · 10$^{{{power}}}$"
        for row, channel in enumerate(inputs):
            one = axes[row, column]
            draw_map(one, values[out, channel], limit)
            _write_numbers(one, values[out, channel], limit, power)
            if row == 0:
                one.set_title(name, fontsize=SMALL)
            if column == 0:
                one.set_ylabel(f"input {channel}", fontsize=SMALL)


def _write_numbers(axes: Any, values: Floats, limit: float, power: int) -> None:
    """Write a small kernel's numbers, in units of a power of ten."""
    if values.size > 25:
        return
    for (i, j), value in np.ndenumerate(values):
        color = "white" if abs(value) > 0.6 * limit else INK
        text = f"{value / 10.0**power:.2f}".replace("-", "−")
        axes.text(j, i, text, ha="center", va="center", fontsize=6, color=color)


def _draw_changes(figure: Any, step: Step, parameter: str) -> None:
    """Draw the numbers that change most: their changes as bars, and the numbers beside them."""
    before, after = step.before[parameter], step.after[parameter]
    change = (after - before).reshape(-1)
    order = strongest(np.abs(change), 12)
    axes = figure.subplots()
    at = np.arange(len(order))
    bars = axes.barh(at, change[order], color=np.where(change[order] < 0, COLD, WARM), height=0.6)
    pairs = zip(before.reshape(-1)[order], after.reshape(-1)[order], strict=True)
    notes = [f"{number(old)} → {number(new)}" for old, new in pairs]
    axes.bar_label(bars, notes, fontsize=7, padding=4, color=INK)
    places = [np.unravel_index(one, before.shape) for one in order]
    axes.set_yticks(at, [str([int(i) for i in place]) for place in places])
    axes.axvline(0, color=FAINT, lw=0.8)
    axes.margins(x=0.35)
    axes.invert_yaxis()
    axes.set_title(f"{parameter}: the numbers that change most, and their change", fontsize=9)
    simplify_axes(axes)


def _title(step: Step, parameter: str) -> str:
    optimizer = f"{type(step.optimizer).__name__} with a learning rate of {step.optimizer.lr:g}"
    if not np.isfinite(step.loss):
        return (
            f"One step of {optimizer} from a loss of {number(step.loss_before)}. Numbers overflow "
            "after it, so that there is no new loss. Shown: what it gave before the step."
        )
    name, label = step.classes[step.label], step.label
    before = output(step.probabilities_before[label], step.of_numbers)
    after = output(step.probabilities[label], step.of_numbers)
    what = name if step.of_numbers else f"the probability of {name}"
    change = np.abs(step.after[parameter] - step.before[parameter]).max()
    return (
        f"One step of {optimizer} takes the loss from {number(step.loss_before)} to "
        f"{number(step.loss)}, and {what} from {before} to {after}.\n"
        f"{parameter} changes by at most {number(change)}."
    )
