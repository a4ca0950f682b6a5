"""The views of sums and products of several layers' outputs."""

from collections.abc import Iterable

import numpy as np

from neocog.explanation.explanation import Explanation
from neocog.explanation.page.numbers import number
from neocog.explanation.page.views.measures import value_range
from neocog.explanation.page.views.registry import LayerView, view
from neocog.explanation.trace import LayerExplanation
from neocog.layers import Add, Multiply, Residual

__all__ = ["AdditionView", "ProductView"]


@view(Add, Residual)
class AdditionView(LayerView):
    """Several maps, added number by number."""

    kind = "sum"

    def summary(self, layer: LayerExplanation) -> str:
        """What is added; of a residual block the page shows it."""
        return "" if isinstance(layer.layer, Residual) else " + ".join(layer.reads)

    def forward(self, explanation: Explanation, layer: LayerExplanation) -> str:
        """How large the numbers of each are."""
        sizes = (
            f"{number(float(np.abs(explanation[name].output).mean()))} in {name}"
            for name in layer.reads
        )
        return (
            f"{len(layer.reads)} inputs are added, number by number. The mean magnitude of a "
            f"number is {_listed(sizes)}."
        )

    def backward(self, explanation: Explanation, layer: LayerExplanation) -> str:
        """All get the same gradient."""
        return "A sum passes its gradient to each of its inputs, unchanged."


@view(Multiply)
class ProductView(LayerView):
    """Several maps, multiplied number by number, or whole channels by a factor."""

    kind = "product"

    def summary(self, layer: LayerExplanation) -> str:
        """What is multiplied."""
        return " · ".join(layer.reads)

    def forward(self, explanation: Explanation, layer: LayerExplanation) -> str:
        """The range of each, and which have one number for each channel."""
        inputs = {name: explanation[name].output for name in layer.reads}
        ranges = (f"{value_range(output)} in {name}" for name, output in inputs.items())
        factors = [name for name, output in inputs.items() if output.size < layer.output.size]
        told = f" Of {_listed(factors)} there is one number for each channel." if factors else ""
        return (
            f"{len(layer.reads)} inputs are multiplied, number by number. The numbers go "
            f"{_listed(ranges)}.{told}"
        )

    def backward(self, explanation: Explanation, layer: LayerExplanation) -> str:
        """The product rule."""
        told = ""
        if any(explanation[name].output.size < layer.output.size for name in layer.reads):
            told = " The gradient of a factor of a whole channel is the sum over all of its places."
        return f"The gradient of each input is that of the product times the other inputs.{told}"


def _listed(words: Iterable[str]) -> str:
    """``a, b and c``."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
