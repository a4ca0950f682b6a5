"""What the page shows, as one structure of plain values and one block of float32.

An array is ``{"at": n, "shape": […]}`` in the structure, n being the place of its first number in
the block. Equal arrays are stored once. Maps are complete. To keep the page small, only the shown
channels are stored of large weights, and of all gradients in large networks; ``"rows"`` lists them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.explanation.explanation import Explanation
from neocog.explanation.page.attributions import pack_attributions
from neocog.explanation.page.channels import MOST_SHOWN, shown_channels
from neocog.explanation.page.message import Block
from neocog.explanation.page.sprite import png
from neocog.explanation.page.steps import pack_steps
from neocog.explanation.page.views import view_of
from neocog.explanation.topology import lanes
from neocog.explanation.trace import LayerExplanation
from neocog.layers import Conv2d, Linear
from neocog.models import name_of

__all__ = ["Packed", "pack"]

Floats = NDArray[np.float32]

# A network is large if its maps and parameters have more numbers than this.
_LARGE = 1_000_000
# The largest weight that is stored completely.
_WHOLE = 100_000
# Of larger ones, or in a large network, the kernels whose gradients are stored.
_GRADIENTS = 4


@dataclass(frozen=True)
class Packed:
    """What the page shows.

    Attributes:
        structure: plain values.
        block: the arrays that it points into, float32 in little-endian bytes.
    """

    structure: dict[str, Any]
    block: bytes


def pack(
    explanation: Explanation,
    *,
    attributions: bool = True,
    filters: Mapping[str, Any] | None = None,
    shown: Mapping[str, Sequence[int]] | None = None,
) -> Packed:
    """Pack what the page shows of an explanation.

    Args:
        explanation: to show.
        attributions: whether to compute them, which takes some hundred predictions.
        filters: by layer, the images that activate its channels, from `top_activation_sprites`.
        shown: by layer, the channels to show; those of `shown_channels` for other layers.
    """
    block, network = Block(), explanation.network
    large = _is_large(explanation)
    structure = {
        "name": name_of(network) or "a network",
        "parameters": network.parameter_count(),
        "classes": list(explanation.classes),
        "label": explanation.label,
        "predicted": int(explanation.probabilities.argmax()),
        "image": {
            "src": png(explanation.image),
            "height": explanation.image.shape[0],
            "width": explanation.image.shape[1],
            "mean": list(network.preprocessing.mean),
            "std": list(network.preprocessing.std),
        },
        "pixels": block.add(explanation.image.transpose(2, 0, 1)),
        "layers": [
            _pack_layer(explanation, layer, block, large, (shown or {}).get(name))
            for name, layer in explanation.layers.items()
        ],
        "lanes": ["image", *lanes(network, explanation)],
        "loss": explanation.loss,
        "scores": block.add(explanation.scores),
        "probabilities": block.add(explanation.uncalibrated),
        "calibrated": _calibrated(explanation),
        "delta": block.add(explanation.delta),
        "steps": pack_steps(explanation, block),
        "attributions": pack_attributions(explanation, block) if attributions else None,
        "filters": dict(filters or {}),
    }
    return Packed(structure, block.bytes())


def _is_large(explanation: Explanation) -> bool:
    layers = explanation.layers.values()
    numbers = sum(layer.output.size for layer in layers)
    numbers += sum(array.size for layer in layers for array in layer.parameters.values())
    return numbers > _LARGE


def _calibrated(explanation: Explanation) -> dict[str, float] | None:
    """The temperature, and the largest probability with it; None for a network without one."""
    temperature = explanation.network.temperature
    if temperature == 1:
        return None
    return {"temperature": temperature, "probability": float(explanation.probabilities.max())}


def _pack_layer(
    explanation: Explanation,
    layer: LayerExplanation,
    block: Block,
    large: bool,
    channels: Sequence[int] | None,
) -> dict[str, Any]:
    view, shown = view_of(layer), list(channels or shown_channels(layer))
    backward = "The loss does not depend on any number here: every gradient is zero."
    if layer.output_gradient.any():
        backward = view.backward(explanation, layer)
    arrays = view.arrays(explanation, layer).items()
    packed: dict[str, Any] = {
        "name": layer.name,
        "type": layer.type,
        "kind": view.kind,
        "text": view.summary(layer),
        "reads": list(layer.reads),
        "shape": list(layer.output.shape),
        "parameters": sum(value.size for value in layer.parameters.values()),
        "details": {**view.options(layer), **{key: block.add(array) for key, array in arrays}},
        "shown": shown,
        "output": block.add(layer.output),
        "caption": {"forward": view.forward(explanation, layer), "backward": backward},
        "gradient": _pack_rows(block, layer.output_gradient, shown if large else None),
    }
    if "weight" in layer.parameters and isinstance(layer.layer, Conv2d | Linear):
        weight, gradient = layer.parameters["weight"], layer.gradients["weight"]
        first = range(min(MOST_SHOWN, len(weight)))
        rows = shown if isinstance(layer.layer, Conv2d) else list(first)
        some = weight.size > _WHOLE or large
        packed["weight"] = _pack_rows(block, weight, rows if some else None)
        packed["weightGradient"] = _pack_rows(block, gradient, rows[:_GRADIENTS] if some else None)
    if "bias" in layer.parameters:
        packed["bias"] = block.add(layer.parameters["bias"])
        packed["biasGradient"] = block.add(layer.gradients["bias"])
    return packed


def _pack_rows(block: Block, array: Floats, rows: Sequence[int] | None) -> dict[str, Any]:
    """Store an array; only some rows of its first axis, listed in ``rows``, if it has more."""
    if rows is None or array.ndim == 1 or len(rows) >= len(array):
        return block.add(array)
    return {**block.add(array[list(rows)]), "rows": list(rows)}
