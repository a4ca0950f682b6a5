"""The views of layers that copy numbers: padding and upsampling."""

from typing import Any, cast

from neocog.explanation.explanation import Explanation
from neocog.explanation.page.numbers import by, one_or_both
from neocog.explanation.page.views.registry import LayerView, view
from neocog.explanation.trace import LayerExplanation
from neocog.layers import CircularPad2d, ReflectionPad2d, ReplicationPad2d, Upsample, ZeroPad2d

__all__ = ["PaddingView", "UpsamplingView"]

_Pads = ZeroPad2d | ReflectionPad2d | ReplicationPad2d | CircularPad2d

_AROUND = {
    "zeros": "zeros",
    "reflect": "the map itself, mirrored in its first and last rows and columns",
    "replicate": "its first and last rows and columns again",
    "circular": "the rows and columns of the opposite side",
}


class _CopyView(LayerView):
    kind = "copies"

    def options(self, layer: LayerExplanation) -> dict[str, Any]:
        """Where each row and column comes from; −1 for zeros."""
        rows, columns = cast(_Pads | Upsample, layer.layer).sources(*layer.input.shape[1:])
        return {"rows": rows, "columns": columns}

    def backward(self, explanation: Explanation, layer: LayerExplanation) -> str:
        """Sums over copies."""
        return "The gradient of each number is the sum of the gradients of all its copies."


@view(ZeroPad2d, ReflectionPad2d, ReplicationPad2d, CircularPad2d)
class PaddingView(_CopyView):
    """A map with more rows and columns."""

    def summary(self, layer: LayerExplanation) -> str:
        """How much is added where."""
        pad = cast(_Pads, layer.layer)
        (top, bottom), (left, right) = pad.rows, pad.columns
        if top == bottom == left == right:
            return str(top)
        return f"{left} left, {right} right, {top} above, {bottom} below"

    def forward(self, explanation: Explanation, layer: LayerExplanation) -> str:
        """What is added, and the map's new size."""
        around = _AROUND[cast(_Pads, layer.layer).mode]
        size = by(layer.output.shape[1:])
        return f"Around the map come {around}. It becomes {size}."


@view(Upsample)
class UpsamplingView(_CopyView):
    """Every number several times."""

    def summary(self, layer: LayerExplanation) -> str:
        """How often a row and a column are repeated."""
        return f"× {one_or_both(cast(Upsample, layer.layer).scale)}"

    def forward(self, explanation: Explanation, layer: LayerExplanation) -> str:
        """How often, and the map's new size."""
        rows, columns = cast(Upsample, layer.layer).scale
        size = by(layer.output.shape[1:])
        return f"Each number is repeated {rows} × {columns} times. The map becomes {size}."
