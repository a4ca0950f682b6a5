"""The view of the image, the network's input."""

from neocog.explanation.explanation import Explanation
from neocog.explanation.page.numbers import number
from neocog.explanation.page.views.measures import largest, place_of_largest, value_range
from neocog.explanation.page.views.registry import LayerView
from neocog.explanation.trace import LayerExplanation
from neocog.losses import has_targets

__all__ = ["ImageView"]


class ImageView(LayerView):
    """The image after preprocessing."""

    kind = "image"

    def forward(self, explanation: Explanation, layer: LayerExplanation) -> str:
        """How its numbers were made of bytes."""
        preprocessing = explanation.network.preprocessing
        means = ", ".join(number(mean) for mean in preprocessing.mean)
        deviations = ", ".join(number(deviation) for deviation in preprocessing.std)
        return (
            f"The network’s input: every byte of the image is divided by 255, then the mean "
            f"({means}) is subtracted, and the result is divided by the standard deviation "
            f"({deviations}). The numbers go {value_range(layer.output)}."
        )

    def backward(self, explanation: Explanation, layer: LayerExplanation) -> str:
        """The largest gradient."""
        loss = "the loss"
        if not has_targets(explanation.network.loss):
            loss += f" for {explanation.classes[explanation.label]}"
        _, row, column = place_of_largest(layer.output_gradient)
        return (
            f"How the loss would change with each pixel. The largest gradient is "
            f"{largest(layer.output_gradient)}, at row {row}, column {column}: a change there "
            f"affects {loss} most."
        )
