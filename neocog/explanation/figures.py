"""What an explanation holds, drawn by matplotlib.

Red is positive, blue negative and white zero in every map, each row of maps on one scale. Figures
are free of matplotlib's global state: nothing has to be closed, and a notebook shows them.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neocog.explanation.drawing import (
    COLD,
    FAINT,
    GREEN,
    INK,
    QUIET,
    SMALL,
    WARM,
    Picture,
    draw_bars,
    draw_image,
    draw_map,
    draw_scale,
    frame,
    limit_of,
    new_figure,
    number,
    percent,
    plain,
    strongest,
)

if TYPE_CHECKING:
    from neocog.explanation.attribution import Attribution
    from neocog.explanation.explanation import Explanation, LayerExplanation
    from neocog.explanation.filters import Filters
    from neocog.explanation.step import Step

__all__ = [
    "draw_attribution",
    "draw_explanation",
    "draw_filters",
    "draw_layer",
    "draw_step",
]

Floats = NDArray[np.float32]


def draw_layer(layer: "LayerExplanation", most: int = 16) -> Picture:
    """A layer's maps above, their gradients below; bars for a vector."""
    order = strongest(layer.importance(), most)
    output, slope = layer.output, layer.output_gradient
    what = _title_of_layer(layer, len(order))
    if output.ndim == 1:
        figure = new_figure(8, 4.6, what)
        for at, (values, label) in enumerate(((output, "value"), (slope, "∂loss/∂value"))):
            axes = figure.add_subplot(2, 1, at + 1)
            draw_bars(axes, values[order], [str(k) for k in order])
            axes.set_ylabel(label, fontsize=SMALL)
        axes.set_xlabel("number of the output", fontsize=SMALL)
        return figure
    columns = min(8, len(order))
    rows = -(-len(order) // columns)
    figure = new_figure(max(7, 1.15 * columns + 1.2), 2.6 * rows + 0.9, what)
    grid: Any = figure.subplots(2 * rows, columns, squeeze=False)
    halves = (output, "value"), (slope, "∂loss/∂value")
    for axes, (maps, label) in zip((grid[:rows], grid[rows:]), halves, strict=True):
        limit = limit_of(maps[order])
        for one, channel in zip(axes.flat, order, strict=False):
            drawn = draw_map(one, maps[channel], limit)
            one.set_title(f"channel {channel}", fontsize=7, color=QUIET, pad=2)
        for one in axes.flat[len(order) :]:
            one.axis("off")
        draw_scale(figure, drawn, axes).set_label(label, fontsize=SMALL)
    return figure


def draw_explanation(explanation: "Explanation") -> Picture:
    """The image and the probabilities at the left, every layer's strongest maps at the right."""
    e = explanation
    layers = list(e.layers.values())
    columns = min(8, len(layers))
    rows = -(-len(layers) // columns)
    figure = new_figure(3 + 1.25 * columns, max(4.8, 1.5 * rows + 0.9), _title_of_image(e))
    parts: Any = figure.subfigures(1, 2, width_ratios=[3, 1.25 * columns])
    left, right = parts
    image, chances = left.subplots(2, 1)
    draw_image(image, e.image)
    _probabilities(chances, e.classes, e.probabilities, e.label)
    axes = right.subplots(rows, columns, squeeze=False)
    for one, layer in zip(axes.flat, layers, strict=False):
        _glance(one, layer)
    for one in axes.flat[len(layers) :]:
        one.axis("off")
    return figure


def draw_attribution(
    found: "Attribution", image: NDArray[np.uint8], chance: "Attribution | None" = None
) -> Picture:
    """The image, the map over it, and the probability while pixels are covered and uncovered."""
    figure = new_figure(10.5, 3.9, _title_of_attribution(found, chance))
    alone, over, curves = figure.subplots(1, 3, width_ratios=[1, 1.13, 1.4])
    draw_image(alone, image)
    gray = image.mean(axis=2) / 255
    over.imshow(0.45 + 0.55 * gray, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    limit = limit_of(found.map)
    strength = np.clip(np.abs(found.map) / limit, 0, 1)
    drawn = draw_map(over, found.map, limit, alpha=0.9 * strength)
    draw_scale(figure, drawn, over)
    over.set_title(f"{found.method}: red speaks for {found.class_name}", fontsize=SMALL)
    part = np.linspace(0, 100, len(found.deleted))
    both = [(found, "-", "reddest first")] + ([(chance, ":", "at random")] if chance else [])
    for one, line, first in both:
        curves.plot(part, one.deleted, line, color=INK, lw=1.6, label=f"covered, {first}")
        curves.plot(part, one.inserted, line, color=GREEN, lw=1.6, label=f"uncovered, {first}")
    curves.set(xlim=(0, 100), ylim=(0, 1.02))
    curves.set_xlabel("% of the pixels", fontsize=SMALL)
    curves.set_title(f"probability of {found.class_name}", fontsize=SMALL)
    curves.legend(fontsize=7, frameon=False)
    plain(curves)
    return figure


def draw_filters(found: "Filters", most: int = 32) -> Picture:
    """Each filter, and beside it the parts of images that excite it most."""
    shown = min(most, len(found.weight))
    tiles = 1 + max((len(row) for row in found.top_activations), default=0)
    across = max(1, min(shown, 12 // tiles if tiles > 1 else 8))
    rows = -(-shown // across)
    figure = new_figure(
        max(6.5, 0.85 * tiles * across), 0.95 * rows + 0.9, _title_of_filters(found)
    )
    # Laid out by hand: so many axes would take matplotlib's own layout seconds.
    figure.set_layout_engine("none")
    lines = figure.get_suptitle().count("\n") + 1
    top = 1 - (0.4 + 0.17 * lines) / figure.get_figheight()
    blocks = figure.add_gridspec(
        rows, across, left=0.01, right=0.99, top=top, bottom=0.01, wspace=0.12, hspace=0.3
    )
    kernels, color = _kernels(found.weight)
    for channel in range(shown):
        limit = limit_of(kernels[channel])
        block = blocks[channel // across, channel % across].subgridspec(1, tiles, wspace=0.06)
        axes = [figure.add_subplot(block[0, tile]) for tile in range(tiles)]
        if color:
            kernel = 0.5 + kernels[channel].transpose(1, 2, 0) / (2 * limit)
            axes[0].imshow(kernel, interpolation="nearest")
            frame(axes[0])
        else:
            draw_map(axes[0], kernels[channel, 0], limit)
        axes[0].set_title(f"filter {channel}", fontsize=7, color=QUIET, pad=2)
        best = found.top_activations[channel] if found.top_activations else ()
        for one, top_activation in zip(axes[1:], best, strict=False):
            if top_activation.patch.size:
                draw_image(one, top_activation.patch)
            one.set_title(number(top_activation.value), fontsize=6, color=QUIET, pad=2)
        for one in axes[1 + len(best) :]:
            one.axis("off")
    return figure


def draw_step(step: "Step", parameter: str) -> Picture:
    """What becomes of a parameter at the left, and of the probabilities at the right.

    Of a step to where numbers overflow, only the probabilities before it.
    """
    if not np.isfinite(step.loss):
        figure = new_figure(7, 3.6, _title_of_step(step, parameter))
        values = step.probabilities_before
        _probabilities(figure.subplots(), step.classes, values, step.label)
        return figure
    before, after = step.before[parameter], step.after[parameter]
    change = after - before
    kept = {k.removeprefix(f"{parameter}."): v for k, v in step.state.items()}
    kept = {k: v for k, v in kept.items() if v.shape == before.shape and "." not in k}
    parts = {"before": before, "gradient": step.gradients[parameter], **kept}
    parts |= {"change": change, "after": after}
    kernel = before.ndim == 4
    figure = new_figure(11.5 if kernel else 10, 4.0, _title_of_step(step, parameter))
    halves: Any = figure.subfigures(1, 2, width_ratios=[1.9, 1])
    left, right = halves
    if kernel:
        _draw_kernel(left, parameter, parts, change)
    else:
        _draw_changes(left, parameter, before, after)
    axes = right.subplots()
    _probabilities(axes, step.classes, step.probabilities, step.label, step.probabilities_before)
    return figure


# Parts of figures


def _draw_kernel(figure: Any, parameter: str, parts: dict[str, Floats], change: Floats) -> None:
    """Of the kernel that changes most, the input channels that change most, each part a column."""
    largest = np.abs(change).max(axis=(2, 3))
    out = int(largest.max(axis=1).argmax())
    inputs = sorted(strongest(largest[out], 3))
    axes = figure.subplots(len(inputs), len(parts), squeeze=False)
    figure.suptitle(f"{parameter}, the kernel of channel {out}", fontsize=9, color=INK)
    for column, (name, values) in enumerate(parts.items()):
        limit = limit_of(values[out, inputs])
        power = int(np.floor(np.log10(limit)))
        power = 0 if -1 <= power <= 1 else power
        if power:
            name += f" · 10$^{{{power}}}$"
        for row, channel in enumerate(inputs):
            one = axes[row, column]
            draw_map(one, values[out, channel], limit)
            _numbers(one, values[out, channel], limit, power)
            if row == 0:
                one.set_title(name, fontsize=SMALL)
            if column == 0:
                one.set_ylabel(f"input {channel}", fontsize=SMALL)


def _numbers(axes: Any, values: Floats, limit: float, power: int) -> None:
    """A small kernel's numbers, in units of a power of ten."""
    if values.size > 25:
        return
    for (i, j), value in np.ndenumerate(values):
        color = "white" if abs(value) > 0.6 * limit else INK
        text = f"{value / 10.0**power:.2f}".replace("-", "−")
        axes.text(j, i, text, ha="center", va="center", fontsize=6, color=color)


def _draw_changes(figure: Any, parameter: str, before: Floats, after: Floats) -> None:
    """The numbers that change most, by how much, and from what to what."""
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
    plain(axes)


def _glance(axes: Any, layer: "LayerExplanation") -> None:
    """Up to four of a layer's maps side by side in one picture, or a vector's strongest numbers."""
    axes.set_title(f"{layer.name}\n{layer.type}", fontsize=6.5, color=INK, pad=3)
    if layer.layer is None:
        order = list(range(len(layer.output)))[:4]
    else:
        order = strongest(layer.importance(), 4 if layer.output.ndim == 3 else 16)
    if layer.output.ndim == 1:
        values = layer.output[order]
        axes.bar(range(len(order)), values, color=np.where(values < 0, COLD, WARM))
        axes.axhline(0, color=QUIET, lw=0.6)
        axes.set(xticks=[], yticks=[], box_aspect=1)
    else:
        draw_map(axes, _mosaic(layer.output[order]), limit_of(layer.output[order]))
    for side in axes.spines.values():
        side.set_visible(False)


def _mosaic(maps: Floats) -> Floats:
    """Up to four maps two by two, with a gap of no number between them.

    Small ones have every number several times, so that the gap is narrow.
    """
    times = max(1, 24 // min(maps.shape[1:]))
    maps = maps.repeat(times, axis=1).repeat(times, axis=2)
    count, height, width = maps.shape
    gap = max(1, min(height, width) // 20)
    rows, columns = (1 if count <= 2 else 2), (1 if count == 1 else 2)
    size = (rows * (height + gap) - gap, columns * (width + gap) - gap)
    whole = np.full(size, np.nan, np.float32)
    for at, one in enumerate(maps):
        top, left = at // columns * (height + gap), at % columns * (width + gap)
        whole[top : top + height, left : left + width] = one
    return whole


def _probabilities(
    axes: Any, names: Sequence[str], values: Floats, label: int, before: Floats | None = None
) -> None:
    """The ten likeliest classes and the label, as bars with their numbers."""
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
    plain(axes, "bottom")


def _kernels(weight: Floats) -> tuple[Floats, bool]:
    """What is drawn of each filter, and whether its three channels are colors.

    Of more input channels, the one with the largest weights is drawn, [out, 1, kh, kw].
    """
    if weight.shape[1] == 3:
        return weight, True
    best = (weight**2).sum(axis=(2, 3)).argmax(axis=1)
    return weight[np.arange(len(weight)), best][:, None], False


# Titles


def _title_of_layer(layer: "LayerExplanation", shown: int) -> str:
    output, slope = layer.output, layer.output_gradient
    size = " × ".join(str(n) for n in output.shape[1:])
    what = f"{len(output)} maps of {size}" if size else f"{len(output)} numbers"
    which = "all of them" if shown == len(output) else f"the {shown} that matter most for the loss"
    return (
        f"{layer.name} ({layer.type}) gives {what}; shown: {which}.\n"
        f"Values go from {number(output.min())} to {number(output.max())}, "
        f"the loss's gradients for them from {number(slope.min())} to {number(slope.max())}."
    )


def _title_of_image(e: "Explanation") -> str:
    best = int(e.probabilities.argmax())
    of_label, of_best = percent(e.probabilities[e.label]), percent(e.probabilities[best])
    if best == e.label:
        says = f"The network gives {e.classes[best]} {of_best}, rightly by the label"
    else:
        says = f"The network says {e.classes[best]} ({of_best}), the label {e.classes[e.label]}"
        says += f" ({of_label})"
    return (
        f"{says}: a loss of {number(e.loss)}.\n"
        f"From left to right what its {len(e) - 1} layers make of the image: of each the maps that "
        "matter most for the loss, red positive, blue negative."
    )


def _title_of_attribution(found: "Attribution", chance: "Attribution | None") -> str:
    where = "the image" if found.layer == "image" else f"the layer {found.layer}"
    deleted, inserted = number(found.deletion), number(found.insertion)
    if chance is not None:
        deleted += f" ({number(chance.deletion)} at random)"
        inserted += f" ({number(chance.insertion)} at random)"
    return (
        f"Where {found.method} of {where} finds what speaks for {found.class_name}.\n"
        f"The mean probability while pixels are covered, the reddest first: {deleted}; "
        f"while they are uncovered: {inserted}."
    )


def _title_of_filters(found: "Filters") -> str:
    out, inputs, kh, kw = found.weight.shape
    what = f"The {out} filters of {found.layer}, {kh} × {kw} of {inputs} input channels each"
    if inputs == 3:
        what += ", as colors about gray, each on a scale of its own"
    elif inputs > 1:
        what += ", of which the one with the largest weights is drawn, each on a scale of its own"
    if not found.top_activations:
        return f"{what}."
    return (
        f"{what}.\nBeside each what excites it most in the data, with the largest number it gave."
    )


def _title_of_step(step: "Step", parameter: str) -> str:
    name, label = step.classes[step.label], step.label
    first, then = percent(step.probabilities_before[label]), percent(step.probabilities[label])
    kind = f"{type(step.optimizer).__name__} at a rate of {step.optimizer.lr:g}"
    if not np.isfinite(step.loss):
        return (
            f"One step of {kind} from a loss of {number(step.loss_before)} leads to where numbers "
            "overflow: there is no loss behind it. Shown are the probabilities before."
        )
    change = np.abs(step.after[parameter] - step.before[parameter]).max()
    return (
        f"One step of {kind} takes the loss from {number(step.loss_before)} to "
        f"{number(step.loss)} and {name} from {first} to {then}.\n"
        f"{parameter} changes by at most {number(change)}."
    )
