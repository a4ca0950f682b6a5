"""The view of a sum, also that of a residual block."""

import numpy as np

from neocog.explanation.explanation import Explanation
from neocog.explanation.page.numbers import number
from neocog.explanation.page.views.registry import LayerView, view
from neocog.explanation.trace import LayerExplanation
from neocog.layers import Add, Residual

__all__ = ["AdditionView"]


@view(Add, Residual)
class AdditionView(LayerView):
    """Two maps, added number by number."""

    kind = "sum"

    def forward(self, explanation: Explanation, layer: LayerExplanation) -> str:
        """How large the numbers of both maps are."""
        second = layer.input if layer.addend is None else layer.addend
        sizes = [number(float(np.abs(part).mean())) for part in (layer.input, second)]
        return (
            f"The two lanes are added, number by number. The mean magnitude of a number is "
            f"{sizes[0]} in the first lane and {sizes[1]} in the second."
        )

    def backward(self, explanation: Explanation, layer: LayerExplanation) -> str:
        """Both get the same gradient."""
        return "A sum passes its gradient to both lanes, unchanged."
