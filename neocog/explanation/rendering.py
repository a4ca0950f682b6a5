"""How values become figures and pages: `figures/` and `page/` register their functions here.

So a value has a method that shows it, and imports nothing that draws.
"""

from functools import singledispatch
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["render_figure", "render_html"]


@singledispatch
def render_figure(value: object, *options: Any) -> "Figure":
    """A value as a figure; `figures/` has one function for each type of value."""
    raise TypeError(f"No figure is registered for a {type(value).__name__}.")


@singledispatch
def render_html(value: object, *options: Any) -> str:
    """A value as the text of an HTML page; `page/` has the functions."""
    raise TypeError(f"No page is registered for a {type(value).__name__}.")
