"""The views of normalization within an image: of groups of channels, and of pixels."""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from neocog.explanation.explanation import Explanation
from neocog.explanation.page.views.measures import value_range
from neocog.explanation.page.views.registry import LayerView, view
from neocog.explanation.trace import LayerExplanation
from neocog.layers import GroupNorm, LayerNorm2d

__all__ = ["GroupNormView", "LayerNorm2dView"]

_Maps = NDArray[np.floating[Any]]


class _ImageNormalizationView(LayerView):
    """A mean and a deviation of what is normalized together."""

    kind = "normalization"
    #: What has one mean: "channel" or "place".
    per: str

    def mean_of(self, layer: LayerExplanation, maps: _Maps) -> _Maps:
        """The mean of what is normalized together, one for each channel or place."""
        raise NotImplementedError

    def spread(self, layer: LayerExplanation, means: _Maps) -> _Maps:
        """Such means as maps that broadcast to [channels, height, width]."""
        raise NotImplementedError

    def statistics(self, layer: LayerExplanation) -> tuple[_Maps, _Maps]:
        """Mean and √(variance + eps)."""
        x = layer.input.astype(np.float64)
        mean = self.mean_of(layer, x)
        var = self.mean_of(layer, (x - self.spread(layer, mean)) ** 2)
        eps = cast(GroupNorm | LayerNorm2d, layer.layer).eps
        return mean, np.sqrt(var + eps)

    def backward(self, explanation: Explanation, layer: LayerExplanation) -> str:
        """The gradient also goes through mean and variance."""
        return (
            "Mean and variance depend on the image, so the gradient goes through them as well: "
            "what is common to the numbers that are normalized together, and what is proportional "
            "to them, is taken out of it."
        )

    def options(self, layer: LayerExplanation) -> dict[str, Any]:
        """What has a mean of its own."""
        return {"per": self.per}

    def arrays(
        self, explanation: Explanation, layer: LayerExplanation
    ) -> Mapping[str, NDArray[np.float32]]:
        """Statistics and parameters, and the means that are taken out of the gradient."""
        mean, deviation = self.statistics(layer)
        ones = np.ones(len(layer.input), np.float32)
        weight = layer.parameters.get("weight", ones)
        x_hat = (layer.input - self.spread(layer, mean)) / self.spread(layer, deviation)
        g = layer.output_gradient * weight[:, None, None].astype(np.float64)
        found = {
            "mean": mean,
            "deviation": deviation,
            "through_mean": self.mean_of(layer, g),
            "through_variance": self.mean_of(layer, g * x_hat),
        }
        arrays = {name: value.reshape(-1).astype(np.float32) for name, value in found.items()}
        return {**arrays, "weight": weight, "bias": layer.parameters.get("bias", 0 * ones)}


@view(GroupNorm)
class GroupNormView(_ImageNormalizationView):
    """One mean and deviation for each group of channels."""

    per = "channel"

    def mean_of(self, layer: LayerExplanation, maps: _Maps) -> _Maps:
        """Of a channel's group."""
        groups = cast(GroupNorm, layer.layer).num_groups
        means: _Maps = maps.reshape(groups, -1).mean(axis=1)
        return np.repeat(means, len(maps) // groups)

    def spread(self, layer: LayerExplanation, means: _Maps) -> _Maps:
        """See the base class."""
        return means[:, None, None]

    def forward(self, explanation: Explanation, layer: LayerExplanation) -> str:
        """The groups' means."""
        described = cast(GroupNorm, layer.layer)
        each = described.num_channels // described.num_groups
        mean, _ = self.statistics(layer)
        return (
            f"Every {each} channels are a group, which is shifted and scaled by its own mean and "
            "deviation in this image; then each channel by its weight and bias. The groups’ means "
            f"go {value_range(mean)}."
        )


@view(LayerNorm2d)
class LayerNorm2dView(_ImageNormalizationView):
    """One mean and deviation for each place, over its channels."""

    per = "place"

    def mean_of(self, layer: LayerExplanation, maps: _Maps) -> _Maps:
        """Of a place."""
        means: _Maps = maps.mean(axis=0)
        return means

    def spread(self, layer: LayerExplanation, means: _Maps) -> _Maps:
        """See the base class."""
        return means

    def forward(self, explanation: Explanation, layer: LayerExplanation) -> str:
        """The places' means."""
        mean, _ = self.statistics(layer)
        return (
            "The channels of each place are shifted and scaled by their own mean and deviation; "
            f"then each channel by its weight and bias. The places’ means go {value_range(mean)}."
        )
