"""What all figures share: how a map, an image and numbers are drawn."""

import io
import textwrap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.errors import NeocogError

try:
    from matplotlib.figure import Figure
except ImportError as error:
    raise NeocogError(
        "Figures are drawn by matplotlib, which is not installed: pip install 'neocog[figures]'"
    ) from error

__all__ = [
    "COLD",
    "FAINT",
    "GREEN",
    "INK",
    "QUIET",
    "SMALL",
    "WARM",
    "Picture",
    "draw_bars",
    "draw_image",
    "draw_map",
    "draw_scale",
    "frame",
    "limit_of",
    "new_figure",
    "number",
    "percent",
    "plain",
    "strongest",
]

Floats = NDArray[np.float32]

INK, QUIET, FAINT = "#222222", "#6b6b6b", "#c9c9c9"
WARM, COLD, GREEN = "#c4472b", "#2f6db5", "#1b9e77"
#: Points of small print.
SMALL = 8


class Picture(Figure):
    """A figure that a notebook shows, as it does pyplot's."""

    def _repr_png_(self) -> bytes:
        made = io.BytesIO()
        self.savefig(made, format="png", dpi=110)
        return made.getvalue()


def new_figure(width: float, height: float, title: str) -> Picture:
    """An empty figure of so many inches, with its title, a sentence a line, at the left."""
    figure = Picture(figsize=(width, height), layout="constrained")
    lines = [textwrap.fill(line, int(13 * width)) for line in title.splitlines()]
    figure.suptitle("\n".join(lines), x=0.01, ha="left", fontsize=9.5, color=INK)
    return figure


def strongest(values: Floats, most: int) -> list[int]:
    """The places of the largest numbers, the largest first."""
    found: list[int] = np.argsort(-values, kind="stable")[:most].tolist()
    return found


def limit_of(values: Floats) -> float:
    """The end of a scale around zero."""
    return float(np.abs(values).max(initial=0)) or 1.0


def draw_map(axes: Any, values: Floats, limit: float, **more: Any) -> Any:
    """Numbers as pixels: red for `limit` and more, white for 0, blue for −`limit` and less."""
    frame(axes)
    scale = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
    return axes.imshow(values, interpolation="nearest", **scale, **more)


def frame(axes: Any) -> None:
    """A faint line around, and no ticks."""
    axes.set(xticks=[], yticks=[])
    for side in axes.spines.values():
        side.set(color=FAINT, linewidth=0.6)


def draw_scale(figure: Any, drawn: Any, axes: Any) -> Any:
    """The scale of a map that was drawn, beside its axes."""
    bar = figure.colorbar(drawn, ax=axes, shrink=0.9, pad=0.01)
    bar.solids.set_alpha(1)
    bar.ax.tick_params(labelsize=7)
    bar.outline.set_visible(False)
    return bar


def draw_image(axes: Any, image: NDArray[np.uint8]) -> None:
    """Pixels uint8 [height, width, channels], in colors if there are three channels."""
    frame(axes)
    if image.shape[2] == 3:
        axes.imshow(image, interpolation="nearest")
    else:
        axes.imshow(image[:, :, 0], cmap="gray", vmin=0, vmax=255, interpolation="nearest")


def draw_bars(axes: Any, values: Floats, names: list[str]) -> None:
    """A bar a number, by its sign, over its name."""
    axes.bar(range(len(values)), values, color=np.where(values < 0, COLD, WARM))
    axes.axhline(0, color=QUIET, lw=0.8)
    axes.set_xticks(range(len(names)), names)
    plain(axes)


def plain(axes: Any, *without: str) -> None:
    """Faint lines at the left and below, but for the sides named."""
    axes.tick_params(labelsize=SMALL, color=FAINT)
    for side, line in axes.spines.items():
        line.set_visible(side in ("left", "bottom") and side not in without)
        line.set_color(FAINT)


def number(value: Any) -> str:
    """Three digits, with a true minus."""
    return f"{float(value):#.3g}".rstrip(".").replace("-", "−")


def percent(value: Any) -> str:
    """A part of 1 with one digit behind the point."""
    return f"{100 * float(value):.1f} %"
