"""An explanation, drawn: the image, every layer's maps and the probabilities."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neocog.answers import text_of
from neocog.explanation.explanation import Explanation
from neocog.explanation.figures.canvas import (
    COLD,
    INK,
    QUIET,
    WARM,
    draw_image,
    draw_map,
    largest_magnitude,
    new_figure,
    number,
    percent,
    strongest,
)
from neocog.explanation.figures.probabilities import draw_probabilities
from neocog.explanation.rendering import render_figure
from neocog.explanation.trace import LayerExplanation
from neocog.losses import has_targets

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_explanation"]

Floats = NDArray[np.float32]


@render_figure.register(Explanation)
def draw_explanation(explanation: Explanation) -> "Figure":
    """Draw the image and the probabilities at the left, every layer's maps at the right."""
    layers = list(explanation.layers.values())
    columns = min(8, len(layers))
    rows = -(-len(layers) // columns)
    size = 3 + 1.25 * columns, max(4.8, 1.5 * rows + 0.9)
    figure = new_figure(*size, _title(explanation))
    halves: Any = figure.subfigures(1, 2, width_ratios=[3, 1.25 * columns])
    left, right = halves
    image, probabilities = left.subplots(2, 1)
    draw_image(image, explanation.image)
    draw_probabilities(
        probabilities,
        explanation.classes,
        explanation.probabilities,
        explanation.label,
        of_numbers=explanation.of_numbers,
    )
    axes = right.subplots(rows, columns, squeeze=False)
    for one, layer in zip(axes.flat, layers, strict=False):
        _draw_layer_small(one, layer)
    for one in axes.flat[len(layers) :]:
        one.axis("off")
    return figure


def _draw_layer_small(axes: Any, layer: LayerExplanation) -> None:
    """Up to four of a layer's maps in one picture; of a vector, the numbers that matter most."""
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
        maps = layer.output[order]
        draw_map(axes, _mosaic(maps), largest_magnitude(maps))
    for side in axes.spines.values():
        side.set_visible(False)


def _mosaic(maps: Floats) -> Floats:
    """Up to four maps in two rows of two, with a gap of NaN between them.

    The numbers of small maps are repeated, so that the gap is narrow beside them.
    """
    times = max(1, 24 // min(maps.shape[1:]))
    maps = maps.repeat(times, axis=1).repeat(times, axis=2)
    count, height, width = maps.shape
    gap = max(1, min(height, width) // 20)
    rows, columns = (1 if count <= 2 else 2), (1 if count == 1 else 2)
    size = (rows * (height + gap) - gap, columns * (width + gap) - gap)
    mosaic = np.full(size, np.nan, np.float32)
    for at, one in enumerate(maps):
        top, left = at // columns * (height + gap), at % columns * (width + gap)
        mosaic[top : top + height, left : left + width] = one
    return mosaic


def _title(explanation: Explanation) -> str:
    loss = f" The loss is {number(explanation.loss)}." if explanation.targets is not None else ""
    return (
        f"{_prediction(explanation)}.{loss}\n"
        f"From left to right: the outputs of its {len(explanation) - 1} layers, of each the maps "
        f"that matter most for the {'loss' if loss else 'number'}. Red is positive, blue negative."
    )


def _prediction(explanation: Explanation) -> str:
    network, classes = explanation.network, explanation.classes
    probabilities, label = explanation.probabilities, explanation.label
    if has_targets(network.loss):
        answer = text_of(probabilities, classes, network.loss, network.threshold)
        return f"The network gives {answer}; explained is {classes[label]}"
    best = int(probabilities.argmax())
    prediction = f"The network predicts {classes[best]} ({percent(probabilities[best])})"
    if best == label:
        return f"{prediction}, which is the label"
    return f"{prediction}; the label is {classes[label]} ({percent(probabilities[label])})"
