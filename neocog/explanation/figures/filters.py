"""A convolution's filters, and the parts of images that activate them most, drawn."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neocog.explanation.figures.canvas import (
    QUIET,
    draw_frame,
    draw_image,
    draw_map,
    largest_magnitude,
    new_figure,
    number,
)
from neocog.explanation.filters import Filters, TopActivation
from neocog.explanation.rendering import render_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_filters"]

Floats = NDArray[np.float32]


@render_figure.register(Filters)
def draw_filters(filters: Filters, most: int = 32) -> "Figure":
    """Draw the first `most` filters, each beside the parts of images that activate it most."""
    shown = min(most, len(filters.weight))
    tiles = 1 + max((len(row) for row in filters.top_activations), default=0)
    across = max(1, min(shown, 12 // tiles if tiles > 1 else 8))
    rows = -(-shown // across)
    figure = new_figure(max(6.5, 0.85 * tiles * across), 0.95 * rows + 0.9, _title(filters))
    # A grid by hand: with so many axes, matplotlib's own layout would take seconds.
    figure.set_layout_engine("none")
    lines = figure.get_suptitle().count("\n") + 1
    top = 1 - (0.4 + 0.17 * lines) / figure.get_figheight()
    blocks = figure.add_gridspec(
        rows, across, left=0.01, right=0.99, top=top, bottom=0.01, wspace=0.12, hspace=0.3
    )
    kernels = _kernels(filters.weight)
    for channel in range(shown):
        block = blocks[channel // across, channel % across].subgridspec(1, tiles, wspace=0.06)
        first, *others = (figure.add_subplot(block[0, tile]) for tile in range(tiles))
        _draw_kernel(first, kernels[channel])
        first.set_title(f"filter {channel}", fontsize=7, color=QUIET, pad=2)
        best = filters.top_activations[channel] if filters.top_activations else ()
        for axes, activation in zip(others, best, strict=False):
            _draw_activation(axes, activation)
        for axes in others[len(best) :]:
            axes.axis("off")
    return figure


def _draw_kernel(axes: Any, kernel: Floats) -> None:
    """Three channels as colors around gray, one as a map."""
    limit = largest_magnitude(kernel)
    if len(kernel) == 1:
        draw_map(axes, kernel[0], limit)
        return
    axes.imshow(0.5 + kernel.transpose(1, 2, 0) / (2 * limit), interpolation="nearest")
    draw_frame(axes)


def _draw_activation(axes: Any, activation: TopActivation) -> None:
    if activation.patch.size:
        draw_image(axes, activation.patch)
    axes.set_title(number(activation.value), fontsize=6, color=QUIET, pad=2)


def _kernels(weight: Floats) -> Floats:
    """What is drawn of each filter, [out, 3 or 1, kh, kw].

    All of three input channels; of another number of them, the one with the largest weights.
    """
    if weight.shape[1] == 3:
        return weight
    best = (weight**2).sum(axis=(2, 3)).argmax(axis=1)
    chosen: Floats = weight[np.arange(len(weight)), best][:, None]
    return chosen


def _title(filters: Filters) -> str:
    out, inputs, kh, kw = filters.weight.shape
    title = f"The {out} filters of {filters.layer}, {kh} × {kw} of {inputs} input channels each"
    if inputs == 3:
        title += ", as colors around gray, each on its own scale"
    elif inputs > 1:
        title += "; only the channel with the largest weights is drawn, each on its own scale"
    if not filters.top_activations:
        return f"{title}."
    return (
        f"{title}.\nBeside each are the parts of images that activate it most, with their numbers."
    )
