"""What an explanation holds, drawn by matplotlib: one function for each type of value.

In every map red is positive, blue negative and white zero; maps that are compared share a scale.
The figures do not touch matplotlib's global state: none has to be closed, and a notebook shows
them. Matplotlib itself is imported when the first figure is drawn.
"""

from neocog.explanation.figures.attribution import draw_attribution
from neocog.explanation.figures.explanation import draw_explanation
from neocog.explanation.figures.filters import draw_filters
from neocog.explanation.figures.layer import draw_layer
from neocog.explanation.figures.step import draw_step

__all__ = ["draw_attribution", "draw_explanation", "draw_filters", "draw_layer", "draw_step"]
