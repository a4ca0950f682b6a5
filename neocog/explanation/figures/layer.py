"""A layer's maps and their gradients, drawn."""

from typing import TYPE_CHECKING, Any

from neocog.explanation.figures.canvas import (
    QUIET,
    SMALL,
    draw_bars,
    draw_color_bar,
    draw_map,
    largest_magnitude,
    new_figure,
    number,
    strongest,
)
from neocog.explanation.rendering import render_figure
from neocog.explanation.trace import LayerExplanation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_layer"]


@render_figure.register(LayerExplanation)
def draw_layer(layer: LayerExplanation, most: int = 16) -> "Figure":
    """Draw a layer's maps above and their gradients below; a vector as bars.

    Only the `most` channels that matter most for the loss are drawn.
    """
    order = strongest(layer.importance(), most)
    draw = _draw_vector if layer.output.ndim == 1 else _draw_maps
    return draw(layer, order, _title(layer, len(order)))


def _draw_vector(layer: LayerExplanation, order: list[int], title: str) -> "Figure":
    figure = new_figure(8, 4.6, title)
    halves = (layer.output, "value"), (layer.output_gradient, "∂loss/∂value")
    for row, (values, label) in enumerate(halves):
        axes = figure.add_subplot(2, 1, row + 1)
        draw_bars(axes, values[order], [str(k) for k in order])
        axes.set_ylabel(label, fontsize=SMALL)
    axes.set_xlabel("number of the output", fontsize=SMALL)
    return figure


def _draw_maps(layer: LayerExplanation, order: list[int], title: str) -> "Figure":
    columns = min(8, len(order))
    rows = -(-len(order) // columns)
    figure = new_figure(max(7, 1.15 * columns + 1.2), 2.6 * rows + 0.9, title)
    grid: Any = figure.subplots(2 * rows, columns, squeeze=False)
    halves = (layer.output, "value"), (layer.output_gradient, "∂loss/∂value")
    for axes, (maps, label) in zip((grid[:rows], grid[rows:]), halves, strict=True):
        limit = largest_magnitude(maps[order])
        for one, channel in zip(axes.flat, order, strict=False):
            drawn = draw_map(one, maps[channel], limit)
            one.set_title(f"channel {channel}", fontsize=7, color=QUIET, pad=2)
        for one in axes.flat[len(order) :]:
            one.axis("off")
        draw_color_bar(figure, drawn, axes).set_label(label, fontsize=SMALL)
    return figure


def _title(layer: LayerExplanation, shown: int) -> str:
    output, slope = layer.output, layer.output_gradient
    size = " × ".join(str(n) for n in output.shape[1:])
    what = f"{len(output)} maps of {size}" if size else f"{len(output)} numbers"
    which = "all of them" if shown == len(output) else f"the {shown} that matter most for the loss"
    return (
        f"{layer.name} ({layer.type}) gives {what}; shown: {which}.\n"
        f"Values go from {number(output.min())} to {number(output.max())}, "
        f"the loss's gradients for them from {number(slope.min())} to {number(slope.max())}."
    )
