"""The view of Flatten."""

from neocog.explanation.explanation import Explanation
from neocog.explanation.page.views.registry import LayerView, view
from neocog.explanation.trace import LayerExplanation
from neocog.layers import Flatten

__all__ = ["FlattenView"]


@view(Flatten)
class FlattenView(LayerView):
    """The same numbers, in one row."""

    kind = "flatten"

    def forward(self, explanation: Explanation, layer: LayerExplanation) -> str:
        """The order of the numbers."""
        channels, height, width = (*layer.input.shape, 1, 1)[:3]
        return (
            f"The numbers stay the same and are put in one row: {channels} × {height} × {width} = "
            f"{layer.output.size:,}, channel after channel, row after row."
        )

    def backward(self, explanation: Explanation, layer: LayerExplanation) -> str:
        """Back to where they were."""
        return "Each gradient goes back to the place that its number came from."
