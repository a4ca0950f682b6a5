"""The parts of a packed layer: what describes it, and some rows of its arrays."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.explanation.explanation import Explanation
from neocog.explanation.page.bounds import MOST_SHOWN
from neocog.explanation.page.message import Block
from neocog.explanation.page.views import view_of
from neocog.explanation.trace import LayerExplanation
from neocog.layers import Conv2d, Linear

__all__ = ["describe_layer", "pack_rows", "weight_of", "weight_rows"]

Floats = NDArray[np.float32]


def describe_layer(
    explanation: Explanation, layer: LayerExplanation, block: Block
) -> dict[str, Any]:
    """Everything of a packed layer but its maps and its weight."""
    view = view_of(layer)
    backward = "The loss does not depend on any number here: every gradient is zero."
    if layer.output_gradient.any():
        backward = view.backward(explanation, layer)
    arrays = view.arrays(explanation, layer).items()
    described: dict[str, Any] = {
        "name": layer.name,
        "type": layer.type,
        "kind": view.kind,
        "text": view.summary(layer),
        "reads": list(layer.reads),
        "shape": list(layer.output.shape),
        "parameters": sum(value.size for value in layer.parameters.values()),
        "details": {**view.options(layer), **{key: block.add(array) for key, array in arrays}},
        "caption": {"forward": view.forward(explanation, layer), "backward": backward},
    }
    if "bias" in layer.parameters:
        described["bias"] = block.add(layer.parameters["bias"])
        described["biasGradient"] = block.add(layer.gradients["bias"])
    return described


def weight_of(layer: LayerExplanation) -> Floats | None:
    """The weight of a convolution or a linear layer; None for other layers."""
    if not isinstance(layer.layer, Conv2d | Linear):
        return None
    return layer.parameters.get("weight")


def weight_rows(
    explanation: Explanation, layer: LayerExplanation, most: int = MOST_SHOWN
) -> list[int]:
    """The outputs of a linear layer whose weights are shown where there are too many.

    Of scores the label and the most probable classes, of other layers those that matter most for
    the loss.
    """
    if layer.name != list(explanation)[-1]:
        best = np.argsort(-layer.importance(), kind="stable")
        return [int(output) for output in best[:most]]
    best = np.argsort(-layer.output.reshape(-1), kind="stable")
    return list(dict.fromkeys([explanation.label, *map(int, best)]))[:most]


def pack_rows(block: Block, array: Floats, rows: Sequence[int] | None) -> dict[str, Any]:
    """Store an array; only some rows of its first axis, listed in ``rows``, if it has more."""
    if rows is None or array.ndim == 1 or len(rows) >= len(array):
        return block.add(array)
    return {**block.add(array[list(rows)]), "rows": list(rows)}
