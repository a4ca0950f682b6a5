"""The view of each layer, by the layer's class: how the page describes it.

``@view(GELU)`` above a class derived from `LayerView` makes it the view of `GELU`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.explanation.explanation import Explanation
from neocog.explanation.trace import LayerExplanation
from neocog.layers.dispatch import Dispatch

__all__ = ["LayerView", "view"]


class LayerView:
    """How the page describes a layer.

    Attributes:
        kind: the name of the program's view in ``static/page.js``; None for a layer that is not
            shown.
    """

    kind: str | None = None

    def summary(self, layer: LayerExplanation) -> str:
        """The layer in a few words, as ``3 × 3, 3 → 16 channels, padding 1``."""
        return ""

    def forward(self, explanation: Explanation, layer: LayerExplanation) -> str:
        """What the layer does with its input, in sentences with its own numbers."""
        raise NotImplementedError

    def backward(self, explanation: Explanation, layer: LayerExplanation) -> str:
        """What the layer does with the gradient, which is not 0 everywhere, in sentences."""
        raise NotImplementedError

    def options(self, layer: LayerExplanation) -> dict[str, Any]:
        """The plain values that the program needs for the layer's formula."""
        return {"function": layer.type}

    def arrays(
        self, explanation: Explanation, layer: LayerExplanation
    ) -> Mapping[str, NDArray[np.float32]]:
        """The arrays that it needs for the formula besides maps, weight and bias."""
        return {}


#: The views, each under the layers that it is of.
view: Dispatch[type[LayerView]] = Dispatch()
