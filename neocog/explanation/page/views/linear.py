"""The view of a linear layer."""

from typing import Any, cast

from neocog.explanation.explanation import Explanation
from neocog.explanation.page.numbers import counted, number
from neocog.explanation.page.views.registry import LayerView, view
from neocog.explanation.trace import LayerExplanation
from neocog.layers import Linear
from neocog.losses import OUTPUT_OF

__all__ = ["LinearView"]


@view(Linear)
class LinearView(LayerView):
    """Outputs that are sums over all inputs; the last such layer gives the scores."""

    kind = "linear"

    def summary(self, layer: LayerExplanation) -> str:
        """Its numbers of inputs and outputs."""
        linear = cast(Linear, layer.layer)
        return f"{linear.in_features:,} → {linear.out_features:,}"

    def forward(self, explanation: Explanation, layer: LayerExplanation) -> str:
        """How many products an output has, and the largest output."""
        outputs = layer.output.reshape(-1)
        best = int(outputs.argmax())
        name = explanation.classes[best] if _is_last(explanation, layer) else f"output {best}"
        return (
            f"Each of {counted(len(outputs), 'output')} is a sum of "
            f"{counted(layer.input.size, 'product')}. The largest is {name} with "
            f"{number(outputs[best])}."
        )

    def backward(self, explanation: Explanation, layer: LayerExplanation) -> str:
        """How the weights' gradients are made."""
        if not _is_last(explanation, layer):
            return "A weight’s gradient is its output’s gradient times its input."
        label = explanation.label
        delta = number(float(layer.output_gradient.reshape(-1)[label]))
        return (
            f"The gradient of every {_last_outputs(explanation)}: for {explanation.classes[label]} "
            f"it is {delta}. A weight’s gradient is its output’s δ times its input."
        )

    def options(self, layer: LayerExplanation) -> dict[str, Any]:
        """The shape of the map whose numbers are its inputs."""
        return {"map": list(layer.input.shape)}


def _last_outputs(explanation: Explanation) -> str:
    """What a score is called, and the formula of its gradient."""
    many = len(explanation.classes)
    share = f" / {many}" if many > 1 else ""
    match OUTPUT_OF[explanation.network.loss]:
        case "class":
            return "score is δ = y − t"
        case "label":
            return f"score is δ = (y − t){share}" if share else "score is δ = y − t"
    if explanation.targets is None:
        return "number is δ, 1 for the explained one"
    return f"number is δ = 2 (z − t){share}"


def _is_last(explanation: Explanation, layer: LayerExplanation) -> bool:
    return layer.name == list(explanation)[-1]
