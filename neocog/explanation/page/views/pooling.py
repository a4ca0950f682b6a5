"""The views of pooling layers."""

from typing import Any, cast

from neocog.explanation.explanation import Explanation
from neocog.explanation.page.numbers import by, one_or_both
from neocog.explanation.page.views.registry import LayerView, view
from neocog.explanation.trace import LayerExplanation
from neocog.layers import AdaptiveAvgPool2d, AdaptiveMaxPool2d, AvgPool2d, MaxPool2d

__all__ = ["AveragePoolingView", "MaxPoolingView"]


class _PoolingView(LayerView):
    kind = "pooling"

    def summary(self, layer: LayerExplanation) -> str:
        """Its region and its stride; nothing if the region is the whole map."""
        pool = layer.layer
        if not isinstance(pool, MaxPool2d | AvgPool2d):
            return ""
        if pool.steps == pool.kernel:
            return by(pool.kernel)
        return f"{by(pool.kernel)}, stride {one_or_both(pool.steps)}"

    def options(self, layer: LayerExplanation) -> dict[str, Any]:
        """Its region, whether it takes the maximum, and whether padding counts in a mean."""
        pool = layer.layer
        is_max = isinstance(pool, MaxPool2d | AdaptiveMaxPool2d)
        if isinstance(pool, AdaptiveMaxPool2d | AdaptiveAvgPool2d):
            whole = layer.input.shape[1:]
            return {"kernel": whole, "stride": whole, "before": (0, 0), "most": is_max}
        window = cast(MaxPool2d | AvgPool2d, pool)
        return {
            "kernel": window.kernel,
            "stride": window.steps,
            "before": window.before,
            "most": is_max,
            "padded": isinstance(window, AvgPool2d) and window.count_include_pad,
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
        """How many numbers are left."""
        return (
            f"Each region gives its mean: {layer.input.size:,} numbers become "
            f"{layer.output.size:,}. The map becomes {by(layer.output.shape[1:])}."
        )

    def backward(self, explanation: Explanation, layer: LayerExplanation) -> str:
        """Even shares."""
        return "Each gradient is divided evenly among the numbers of its region."
