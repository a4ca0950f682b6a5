"""An attribution map over its image, and its deletion and insertion curves, drawn."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neocog.explanation.attribution import Attribution
from neocog.explanation.figures.canvas import (
    GREEN,
    INK,
    SMALL,
    draw_color_bar,
    draw_image,
    draw_map,
    largest_magnitude,
    new_figure,
    number,
    simplify_axes,
)
from neocog.explanation.rendering import render_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_attribution"]


@render_figure.register(Attribution)
def draw_attribution(
    attribution: Attribution, image: NDArray[np.uint8], chance: Attribution | None = None
) -> "Figure":
    """Draw the image, the map over it, and the probability or number while pixels are covered."""
    figure = new_figure(10.5, 3.9, _title(attribution, chance))
    plain, over, curves = figure.subplots(1, 3, width_ratios=[1, 1.13, 1.4])
    draw_image(plain, image)
    gray = image.mean(axis=2) / 255
    over.imshow(0.45 + 0.55 * gray, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    limit = largest_magnitude(attribution.map)
    opacity = 0.9 * np.clip(np.abs(attribution.map) / limit, 0, 1)
    drawn = draw_map(over, attribution.map, limit, alpha=opacity)
    draw_color_bar(figure, drawn, over)
    over.set_title(f"{attribution.method}: red speaks for {attribution.class_name}", fontsize=SMALL)
    pixels = np.linspace(0, 100, len(attribution.deleted))
    both = [(attribution, "-", "reddest first")]
    if chance is not None:
        both.append((chance, ":", "in random order"))
    for one, line, order in both:
        curves.plot(pixels, one.deleted, line, color=INK, lw=1.6, label=f"covered, {order}")
        curves.plot(pixels, one.inserted, line, color=GREEN, lw=1.6, label=f"uncovered, {order}")
    curves.set(xlim=(0, 100), ylim=None if attribution.of_number else (0, 1.02))
    curves.set_xlabel("% of the pixels", fontsize=SMALL)
    curves.set_title(_measured(attribution), fontsize=SMALL)
    curves.legend(fontsize=7, frameon=False)
    simplify_axes(curves)
    return figure


def _title(attribution: Attribution, chance: Attribution | None) -> str:
    layer = attribution.layer
    where = "the image" if layer == "image" else f"the layer {layer}"
    deletion, insertion = number(attribution.deletion), number(attribution.insertion)
    if chance is not None:
        deletion += f" ({number(chance.deletion)} in random order)"
        insertion += f" ({number(chance.insertion)} in random order)"
    return (
        f"Where {attribution.method} of {where} finds evidence for {attribution.class_name}.\n"
        f"Mean {_measured(attribution)} while pixels are covered, reddest first: {deletion}; "
        f"while they are uncovered: {insertion}."
    )


def _measured(attribution: Attribution) -> str:
    of = attribution.class_name
    return of if attribution.of_number else f"probability of {of}"
