"""The view of batch normalization."""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from neocog.explanation.explanation import Explanation
from neocog.explanation.page.views.measures import value_range
from neocog.explanation.page.views.registry import LayerView, view
from neocog.explanation.trace import LayerExplanation
from neocog.layers import BatchNorm2d

__all__ = ["NormalizationView"]


@view(BatchNorm2d)
class NormalizationView(LayerView):
    """A scale and a shift for each channel, by its running statistics."""

    kind = "normalization"

    def forward(self, explanation: Explanation, layer: LayerExplanation) -> str:
        """The channels' means before and after."""
        return (
            f"Each channel is shifted and scaled by four numbers of its own. The means of the "
            f"input’s channels go {value_range(_means(layer.input))}, those of the output’s "
            f"{value_range(_means(layer.output))}."
        )

    def backward(self, explanation: Explanation, layer: LayerExplanation) -> str:
        """One factor for each channel."""
        return (
            "Mean and variance are the running statistics, which do not depend on the image. So "
            "each channel’s gradient is multiplied by one number, weight / √(variance + eps)."
        )

    def options(self, layer: LayerExplanation) -> dict[str, Any]:
        """Each channel has its own numbers."""
        return {"per": "channel"}

    def arrays(
        self, explanation: Explanation, layer: LayerExplanation
    ) -> Mapping[str, NDArray[np.float32]]:
        """Its statistics and parameters."""
        state, norm = explanation.network.state_dict(), cast(BatchNorm2d, layer.layer)
        ones = np.ones(norm.num_features, np.float32)
        variance = state[f"{layer.name}.running_var"].astype(np.float64)
        return {
            "mean": state[f"{layer.name}.running_mean"],
            "deviation": np.sqrt(variance + norm.eps).astype(np.float32),
            "weight": layer.parameters.get("weight", ones),
            "bias": layer.parameters.get("bias", 0 * ones),
        }


def _means(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of each channel."""
    means: NDArray[np.float32] = maps.mean(axis=(1, 2))
    return means
