"""The views of layers that change every number on its own."""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from neocog.explanation.explanation import Explanation
from neocog.explanation.page.numbers import number
from neocog.explanation.page.views.measures import value_range
from neocog.explanation.page.views.registry import LayerView, view
from neocog.explanation.trace import LayerExplanation
from neocog.layers import (
    ELU,
    GELU,
    Hardsigmoid,
    Hardswish,
    LeakyReLU,
    Mish,
    PReLU,
    ReLU,
    ReLU6,
    Scale,
    Sigmoid,
    SiLU,
    Softplus,
    Tanh,
)

__all__ = [
    "ActivationView",
    "ELUView",
    "GELUView",
    "LeakyReLUView",
    "PReLUView",
    "ReLUView",
    "ScaleView",
    "SoftplusView",
]


@view(SiLU, Sigmoid, Tanh, ReLU6, Hardsigmoid, Hardswish, Mish)
class ActivationView(LayerView):
    """A function of one number."""

    kind = "activation"

    def forward(self, explanation: Explanation, layer: LayerExplanation) -> str:
        """The ranges before and after."""
        return (
            f"{layer.type} is applied to every number on its own: the inputs go "
            f"{value_range(layer.input)}, the outputs {value_range(layer.output)}."
        )

    def backward(self, explanation: Explanation, layer: LayerExplanation) -> str:
        """The chain rule."""
        size = float(np.abs(layer.output_gradient).max())
        return (
            f"Each gradient is multiplied by the slope of {layer.type} at its input. The "
            f"largest that arrives is {number(size)}."
        )


@view(LeakyReLU)
class LeakyReLUView(ActivationView):
    """An activation with a slope."""

    def options(self, layer: LayerExplanation) -> dict[str, Any]:
        """Its slope below 0."""
        return {"function": layer.type, "slope": cast(LeakyReLU, layer.layer).negative_slope}


@view(PReLU)
class PReLUView(ActivationView):
    """An activation with learned slopes."""

    def forward(self, explanation: Explanation, layer: LayerExplanation) -> str:
        """The slopes, and how many numbers they change."""
        slopes = layer.parameters["weight"]
        below = float((layer.input <= 0).mean())
        learned = f"a learned slope, {number(float(slopes[0]))}"
        if len(slopes) > 1:
            each = "channel" if layer.output.ndim == 3 else "number"
            learned = f"a slope that its {each} has learned, {value_range(slopes)}"
        return (
            f"Positive numbers stay as they are. The others, {100 * below:.0f} % of "
            f"{layer.output.size:,}, are multiplied by {learned}."
        )

    def arrays(
        self, explanation: Explanation, layer: LayerExplanation
    ) -> Mapping[str, NDArray[np.float32]]:
        """The slopes and their gradients."""
        return {
            "slopes": layer.parameters["weight"],
            "slope_gradients": layer.gradients["weight"],
        }


@view(ELU)
class ELUView(ActivationView):
    """An activation with a lower limit."""

    def options(self, layer: LayerExplanation) -> dict[str, Any]:
        """Its limit."""
        return {"function": layer.type, "alpha": cast(ELU, layer.layer).alpha}


@view(Softplus)
class SoftplusView(ActivationView):
    """An activation of some steepness."""

    def options(self, layer: LayerExplanation) -> dict[str, Any]:
        """Its steepness, and where it ends in a line."""
        softplus = cast(Softplus, layer.layer)
        numbers = {"beta": softplus.beta, "threshold": softplus.threshold}
        return {"function": layer.type, **numbers}


@view(GELU)
class GELUView(ActivationView):
    """An activation that is computed in two ways."""

    def options(self, layer: LayerExplanation) -> dict[str, Any]:
        """Whether tanh approximates it."""
        return {"function": layer.type, "tanh": cast(GELU, layer.layer).approximate == "tanh"}


@view(ReLU)
class ReLUView(ActivationView):
    """Negative numbers become 0."""

    def forward(self, explanation: Explanation, layer: LayerExplanation) -> str:
        """How many become 0."""
        zeros = float((layer.input <= 0).mean())
        return (
            f"Negative numbers become zero: {100 * zeros:.0f} % of {layer.output.size:,}. "
            f"The other {100 * (1 - zeros):.0f} % stay as they are."
        )

    def backward(self, explanation: Explanation, layer: LayerExplanation) -> str:
        """How many gradients become 0."""
        if layer.input_gradient is None:
            return "Nothing before this layer learns."
        arrives = layer.output_gradient != 0
        blocked = float(((layer.input <= 0) & arrives).sum() / max(1, arrives.sum()))
        return (
            f"Where the input was not positive, the gradient becomes zero: {100 * blocked:.0f} % "
            f"of the {int(arrives.sum()):,} gradients that arrive."
        )


@view(Scale)
class ScaleView(ActivationView):
    """A constant factor."""

    def forward(self, explanation: Explanation, layer: LayerExplanation) -> str:
        """The factor."""
        return f"Every number is multiplied by {number(cast(Scale, layer.layer).factor)}."

    def backward(self, explanation: Explanation, layer: LayerExplanation) -> str:
        """The same factor."""
        return f"Every gradient is multiplied by {number(cast(Scale, layer.layer).factor)} too."

    def options(self, layer: LayerExplanation) -> dict[str, Any]:
        """The factor."""
        return {"function": layer.type, "factor": cast(Scale, layer.layer).factor}
