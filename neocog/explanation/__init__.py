"""Seeing through a network: every number of one image's way through it, and what it looks at."""

from neocog.explanation.attribution import Attribution
from neocog.explanation.explanation import Explanation, LayerExplanation, explain
from neocog.explanation.filters import Filters, TopActivation
from neocog.explanation.step import Step

__all__ = [
    "Attribution",
    "Explanation",
    "Filters",
    "LayerExplanation",
    "Step",
    "TopActivation",
    "explain",
]
