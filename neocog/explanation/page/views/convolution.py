"""The view of a convolution."""

from typing import Any, cast

import numpy as np

from neocog.explanation.explanation import Explanation
from neocog.explanation.page.numbers import by, counted, number, one_or_both
from neocog.explanation.page.views.measures import largest, place_of_largest
from neocog.explanation.page.views.registry import LayerView, view
from neocog.explanation.trace import LayerExplanation
from neocog.layers import Conv2d

__all__ = ["ConvolutionView"]


@view(Conv2d)
class ConvolutionView(LayerView):
    """Kernels over channels."""

    kind = "convolution"

    def summary(self, layer: LayerExplanation) -> str:
        """Its size, channels, stride, padding, dilation and groups, where they are not usual."""
        conv = cast(Conv2d, layer.layer)
        words = [by(conv.kernel), f"{conv.in_channels} → {counted(conv.out_channels, 'channel')}"]
        if conv.steps != (1, 1):
            words.append(f"stride {one_or_both(conv.steps)}")
        if conv.before != (0, 0) or conv.after != (0, 0):
            even = conv.before == conv.after
            words.append(f"padding {one_or_both(conv.before)}" if even else "padding same")
            if conv.padding_mode != "zeros":
                words[-1] += f" ({conv.padding_mode})"
        if conv.spread != (1, 1):
            words.append(f"dilation {one_or_both(conv.spread)}")
        if conv.groups != 1:
            words.append(f"{conv.groups} groups")
        return ", ".join(words)

    def forward(self, explanation: Explanation, layer: LayerExplanation) -> str:
        """How many products a number has, and the largest number."""
        _, inputs, kh, kw = layer.parameters["weight"].shape
        channel, row, column = place_of_largest(layer.output)
        return (
            f"{counted(len(layer.output), 'kernel')} of {kh} × {kw} × {inputs} slide over "
            f"{counted(len(layer.input), 'channel')}, so each number is a sum of "
            f"{kh * kw * inputs:,} products. The strongest response is {largest(layer.output)} in "
            f"channel {channel}, row {row}, column {column}."
        )

    def backward(self, explanation: Explanation, layer: LayerExplanation) -> str:
        """How the weights' gradients are made, and the kernel with the largest."""
        gradient = layer.gradients["weight"].astype(np.float64)
        norms = np.sqrt((gradient**2).sum(axis=(1, 2, 3)))
        return (
            f"Each weight is used at {counted(layer.output_gradient[0].size, 'place')}; its "
            f"gradient is the sum of input × gradient over all of them. Kernel "
            f"{int(norms.argmax())} has the largest gradient, with a norm of "
            f"{number(norms.max())}."
        )

    def options(self, layer: LayerExplanation) -> dict[str, Any]:
        """Its window, and where its padding comes from if that is not zeros."""
        conv = cast(Conv2d, layer.layer)
        copied = conv.padding_mode != "zeros"
        return {
            "mode": conv.padding_mode,
            "sources": conv.sources(*layer.input.shape[1:]) if copied else None,
            "kernel": conv.kernel,
            "stride": conv.steps,
            "dilation": conv.spread,
            "before": conv.before,
            "after": conv.after,
            "groups": conv.groups,
        }
