"""The views of pooling layers."""

from typing import Any, cast

from neocog.explanation.explanation import Explanation
from neocog.explanation.page.numbers import by, one_or_both
from neocog.explanation.page.views.registry import LayerView, view
from neocog.explanation.trace import LayerExplanation
from neocog.layers import AdaptiveAvgPool2d, AdaptiveMaxPool2d, AvgPool2d, MaxPool2d

__all__ = ["AveragePoolingView", "MaxPoolingView"]


_Pool = MaxPool2d | AvgPool2d | AdaptiveMaxPool2d | AdaptiveAvgPool2d


class _PoolingView(LayerView):
    kind = "pooling"

    def summary(self, layer: LayerExplanation) -> str:
        """Its region, its stride and what is special; nothing for adaptive ones."""
        pool = layer.layer
        if not isinstance(pool, MaxPool2d | AvgPool2d):
            return ""
        words = [by(pool.kernel)]
        if pool.steps != pool.kernel:
            words.append(f"stride {one_or_both(pool.steps)}")
        if pool.ceil_mode:
            words.append("ceil_mode")
        if isinstance(pool, AvgPool2d) and pool.divisor_override is not None:
            words.append(f"divided by {pool.divisor_override}")
        return ", ".join(words)

    def options(self, layer: LayerExplanation) -> dict[str, Any]:
        """The rows and columns of its regions, whether it takes the maximum, and the divisor."""
        pool = cast(_Pool, layer.layer)
        rows, columns = pool.spans(*layer.input.shape[1:])
        return {
            "rows": [(span.start, span.stop) for span in rows],
            "columns": [(span.start, span.stop) for span in columns],
            "before": getattr(pool, "before", (0, 0)),
            "most": isinstance(pool, MaxPool2d | AdaptiveMaxPool2d),
            "padded": getattr(pool, "count_include_pad", False),
            "divisor": getattr(pool, "divisor_override", None),
        }


@view(MaxPool2d, AdaptiveMaxPool2d)
class MaxPoolingView(_PoolingView):
    """The largest number of each region."""

    def forward(self, explanation: Explanation, layer: LayerExplanation) -> str:
        """How many numbers are left."""
        return (
            f"Only the largest number of each region is kept: {layer.output.size:,} of "
            f"{layer.input.size:,}. The map becomes {by(layer.output.shape[1:])}."
        )

    def backward(self, explanation: Explanation, layer: LayerExplanation) -> str:
        """Only what was kept gets a gradient."""
        return (
            f"Each gradient goes to the largest number of its region and to no other: of "
            f"{layer.input.size:,} inputs, at most {layer.output_gradient.size:,} get one."
        )


@view(AvgPool2d, AdaptiveAvgPool2d)
class AveragePoolingView(_PoolingView):
    """The mean of each region."""

    def forward(self, explanation: Explanation, layer: LayerExplanation) -> str:
        """How many numbers are left, and what a sum is divided by if it is no mean."""
        divisor = getattr(layer.layer, "divisor_override", None)
        what = "mean" if divisor is None else f"sum, divided by {divisor}"
        return (
            f"Each region gives its {what}: {layer.input.size:,} numbers become "
            f"{layer.output.size:,}. The map becomes {by(layer.output.shape[1:])}."
        )

    def backward(self, explanation: Explanation, layer: LayerExplanation) -> str:
        """Even shares."""
        divisor = getattr(layer.layer, "divisor_override", None)
        if divisor is not None:
            return f"Each number of a region gets its gradient, divided by {divisor}."
        return "Each gradient is divided evenly among the numbers of its region."
