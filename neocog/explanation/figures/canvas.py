"""What all figures share: the figure itself, and how maps, images and numbers are drawn."""

import io
import textwrap
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neocog.errors import NeocogError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "COLD",
    "FAINT",
    "GREEN",
    "INK",
    "QUIET",
    "SMALL",
    "WARM",
    "draw_bars",
    "draw_color_bar",
    "draw_frame",
    "draw_image",
    "draw_map",
    "figure_type",
    "largest_magnitude",
    "new_figure",
    "number",
    "output",
    "percent",
    "simplify_axes",
    "strongest",
]

Floats = NDArray[np.float32]

INK, QUIET, FAINT = "#222222", "#6b6b6b", "#c9c9c9"
WARM, COLD, GREEN = "#c4472b", "#2f6db5", "#1b9e77"
#: Points of small print.
SMALL = 8


@cache
def figure_type() -> "type[Figure]":
    """The class of all figures: matplotlib's, which notebooks show as they show pyplot's.

    Matplotlib is imported here, when the first figure is drawn.

    Raises:
        NeocogError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise NeocogError(
            "Figures are drawn by matplotlib, which is not installed: pip install 'neocog[figures]'"
        ) from error

    class NotebookFigure(Figure):
        def _repr_png_(self) -> bytes:
            content = io.BytesIO()
            self.savefig(content, format="png", dpi=110)
            return content.getvalue()

    return NotebookFigure


def new_figure(width: float, height: float, title: str) -> "Figure":
    """An empty figure of this size in inches; each sentence of the title begins a line."""
    figure = figure_type()(figsize=(width, height), layout="constrained")
    lines = [textwrap.fill(line, int(13 * width)) for line in title.splitlines()]
    figure.suptitle("\n".join(lines), x=0.01, ha="left", fontsize=9.5, color=INK)
    return figure


def strongest(values: Floats, most: int) -> list[int]:
    """The indices of the `most` largest numbers, the largest first."""
    indices: list[int] = np.argsort(-values, kind="stable")[:most].tolist()
    return indices


def largest_magnitude(values: Floats) -> float:
    """The end of a symmetric color scale for these values; 1 if all of them are 0."""
    return float(np.abs(values).max(initial=0)) or 1.0


def draw_map(axes: Any, values: Floats, limit: float, **options: Any) -> Any:
    """Numbers as pixels: red for `limit` and more, white for 0, blue for −`limit` and less."""
    draw_frame(axes)
    scale = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
    return axes.imshow(values, interpolation="nearest", **scale, **options)


def draw_frame(axes: Any) -> None:
    """A faint line around the axes, and no ticks."""
    axes.set(xticks=[], yticks=[])
    for side in axes.spines.values():
        side.set(color=FAINT, linewidth=0.6)


def draw_color_bar(figure: Any, drawn: Any, axes: Any) -> Any:
    """The color scale of a map that was drawn, beside its axes."""
    bar = figure.colorbar(drawn, ax=axes, shrink=0.9, pad=0.01)
    bar.solids.set_alpha(1)
    bar.ax.tick_params(labelsize=7)
    bar.outline.set_visible(False)
    return bar


def draw_image(axes: Any, image: NDArray[np.uint8]) -> None:
    """Draw an image, uint8 [height, width, channels]: three channels in color, else the first."""
    draw_frame(axes)
    if image.shape[2] == 3:
        axes.imshow(image, interpolation="nearest")
    else:
        axes.imshow(image[:, :, 0], cmap="gray", vmin=0, vmax=255, interpolation="nearest")


def draw_bars(axes: Any, values: Floats, names: list[str]) -> None:
    """One bar for each number, colored by its sign, above its name."""
    axes.bar(range(len(values)), values, color=np.where(values < 0, COLD, WARM))
    axes.axhline(0, color=QUIET, lw=0.8)
    axes.set_xticks(range(len(names)), names)
    simplify_axes(axes)


def simplify_axes(axes: Any, *without: str) -> None:
    """Leave faint lines at the left and the bottom only, without the sides that are named."""
    axes.tick_params(labelsize=SMALL, color=FAINT)
    for side, line in axes.spines.items():
        line.set_visible(side in ("left", "bottom") and side not in without)
        line.set_color(FAINT)


def number(value: Any) -> str:
    """A number with three significant digits, and a true minus sign."""
    return f"{float(value):#.3g}".rstrip(".").replace("-", "−")


def output(value: Any, of_numbers: bool) -> str:
    """What a network gives: a number as it is, or a probability as a percentage."""
    return f"{float(value):.6g}".replace("-", "−") if of_numbers else percent(value)


def percent(value: Any) -> str:
    """A fraction as a percentage with one decimal."""
    return f"{100 * float(value):.1f} %"
