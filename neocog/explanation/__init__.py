"""Seeing through a network: every number of one image's way through it, and what it looks at.

Values are at the bottom: `trace`, `step`, `attribution`, `filters`, and `explanation`, which has
them all. `figures` and `page` show them, and register themselves in `rendering`, by which the
values' methods find them.
"""

from neocog.explanation import figures, page
from neocog.explanation.attribution import Attribution
from neocog.explanation.explanation import Explanation, explain
from neocog.explanation.filters import Filters, TopActivation
from neocog.explanation.step import Step
from neocog.explanation.trace import LayerExplanation

__all__ = [
    "Attribution",
    "Explanation",
    "Filters",
    "LayerExplanation",
    "Step",
    "TopActivation",
    "explain",
    "figures",
    "page",
]
