"""The view of each layer: how the page describes it, by the layer's class.

``@view(GELU)`` above a class derived from `LayerView` makes it the view of `GELU`.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from neocog.errors import NeocogError
from neocog.explanation.explanation import Explanation
from neocog.explanation.trace import LayerExplanation
from neocog.layers import LAYERS, Layer

__all__ = ["LayerView", "layers_without_view", "view", "view_of"]


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


_VIEWS: dict[type[Layer] | None, LayerView] = {}

V = TypeVar("V", bound=LayerView)


def view(*layers: type[Layer] | None) -> Callable[[type[V]], type[V]]:
    """Make a class the view of some layers; None stands for the image."""

    def register(of_layers: type[V]) -> type[V]:
        for layer in layers:
            if layer in _VIEWS:
                name = "The image" if layer is None else layer.__name__
                raise ValueError(f"{name} has a view already: {type(_VIEWS[layer]).__name__}.")
            _VIEWS[layer] = of_layers()
        return of_layers

    return register


def view_of(layer: LayerExplanation) -> LayerView:
    """The view of a layer.

    Raises:
        NeocogError: no view is registered for its class.
    """
    key = None if layer.layer is None else type(layer.layer)
    if key not in _VIEWS:
        raise NeocogError(
            f"{layer.name} cannot be shown: there is no view of a {layer.type}. Register one with "
            "@view in neocog/explanation/page/views."
        )
    return _VIEWS[key]


def layers_without_view(
    layers: Mapping[str, type[Layer]] | None = None,
) -> list[str]:
    """The names of those layers that no view is registered for.

    Args:
        layers: classes by name; None for all that there are, `LAYERS`.
    """
    named = LAYERS if layers is None else layers
    return sorted(name for name, layer in named.items() if layer not in _VIEWS)
