"""The views of layers that copy whole channels: concatenation, a part, another order."""

from typing import Any, cast

import numpy as np

from neocog.explanation.explanation import Explanation
from neocog.explanation.page.numbers import counted
from neocog.explanation.page.views.registry import LayerView, view
from neocog.explanation.trace import LayerExplanation
from neocog.layers import ChannelShuffle, Concat, Slice

__all__ = ["ConcatView", "ShuffleView", "SliceView"]


class _ChannelCopyView(LayerView):
    kind = "channelCopies"

    def order(self, layer: LayerExplanation) -> list[int] | None:
        """The channel of the input that each of the output is; None for all of all inputs."""
        return None

    def options(self, layer: LayerExplanation) -> dict[str, Any]:
        """Which channels are copied."""
        return {"channels": self.order(layer)}

    def backward(self, explanation: Explanation, layer: LayerExplanation) -> str:
        """Back to where they came from."""
        return "The gradient of each channel goes back to the channel that it is a copy of."


@view(Concat)
class ConcatView(_ChannelCopyView):
    """The channels of several inputs, one after another."""

    def summary(self, layer: LayerExplanation) -> str:
        """What is concatenated."""
        return ", ".join(layer.reads)

    def forward(self, explanation: Explanation, layer: LayerExplanation) -> str:
        """How many channels each input has."""
        what = "channel" if layer.output.ndim == 3 else "number"
        parts = ", ".join(
            f"{counted(len(explanation[name].output), what)} of {name}" for name in layer.reads
        )
        return f"The inputs are put one after another: {parts}."


@view(Slice)
class SliceView(_ChannelCopyView):
    """Some of the channels."""

    def summary(self, layer: LayerExplanation) -> str:
        """Which."""
        part = cast(Slice, layer.layer)
        return f"channels {part.start} to {part.stop - 1} of {len(layer.input)}"

    def order(self, layer: LayerExplanation) -> list[int]:
        """See the base class."""
        part = cast(Slice, layer.layer)
        return list(range(part.start, part.stop))

    def forward(self, explanation: Explanation, layer: LayerExplanation) -> str:
        """How many are taken."""
        return (
            f"{counted(len(layer.output), 'channel')} of {len(layer.input)} are taken as they "
            "are; what reads this layer does not see the others."
        )

    def backward(self, explanation: Explanation, layer: LayerExplanation) -> str:
        """Nothing for the other channels."""
        return f"{super().backward(explanation, layer)} The others get none from here."


@view(ChannelShuffle)
class ShuffleView(_ChannelCopyView):
    """The channels in another order."""

    def summary(self, layer: LayerExplanation) -> str:
        """Of how many groups."""
        return counted(cast(ChannelShuffle, layer.layer).groups, "group")

    def order(self, layer: LayerExplanation) -> list[int]:
        """See the base class."""
        groups = cast(ChannelShuffle, layer.layer).groups
        order: list[int] = np.arange(len(layer.input)).reshape(groups, -1).T.reshape(-1).tolist()
        return order

    def forward(self, explanation: Explanation, layer: LayerExplanation) -> str:
        """How the groups are mixed."""
        groups = cast(ChannelShuffle, layer.layer).groups
        return (
            f"The channels are {counted(groups, 'group')}, of which first each one’s first channel "
            "is taken, then each one’s second, and so on, so that the next layer’s groups see all."
        )
