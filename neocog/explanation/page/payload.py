"""What the page shows, as one structure of plain values and one block of float32.

An array is ``{"at": n, "shape": […]}`` in the structure, n being the place of its first number in
the block. Equal arrays are stored once. To keep the page small, only some rows are stored of large
weights, and of all gradients in large networks; ``"rows"`` lists them. Where all of it would be
more than `bounds` allows, ``"partial"`` is true, and maps have only the channels of `rationing`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.answers import text_of
from neocog.explanation.explanation import Explanation
from neocog.explanation.page.attributions import pack_attributions
from neocog.explanation.page.bounds import MOST_NUMBERS, MOST_SHOWN
from neocog.explanation.page.channels import shown_channels
from neocog.explanation.page.layer_parts import (
    describe_layer,
    pack_rows,
    weight_of,
    weight_rows,
)
from neocog.explanation.page.message import Block
from neocog.explanation.page.partly import pack_partly
from neocog.explanation.page.sprite import jpeg, png
from neocog.explanation.page.steps import pack_steps
from neocog.explanation.photograph import Photograph
from neocog.explanation.topology import lanes
from neocog.layers import Linear
from neocog.losses import OUTPUT_OF, has_targets, least_probability
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
    photograph: Photograph | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Packed:
    """Pack what the page shows of an explanation.

    Args:
        explanation: to show.
        attributions: whether to compute them, which takes some hundred predictions.
        filters: by layer, the images that activate its channels, from `top_activation_sprites`.
        shown: by layer, the channels to show; those of `shown_channels` for other layers.
        photograph: that the image is from; maps are drawn over it where it is larger.
        progress: told which attributions are computed, and how far they are.
    """
    block, network = Block(), explanation.network
    partial = _numbers(explanation) > MOST_NUMBERS
    structure = {
        "name": name_of(network) or "a network",
        "parameters": network.parameter_count(),
        "kind": OUTPUT_OF[network.loss],
        "classes": list(explanation.classes),
        "answer": _answer(explanation),
        "threshold": float(np.float32(least_probability(network.threshold))),
        "targets": None if explanation.targets is None else block.add(explanation.targets),
        "label": explanation.label,
        "predicted": int(explanation.probabilities.argmax()),
        "image": {
            "src": png(explanation.image),
            "height": explanation.image.shape[0],
            "width": explanation.image.shape[1],
            "mean": list(network.preprocessing.mean),
            "std": list(network.preprocessing.std),
        },
        "photograph": _pack_photograph(explanation, photograph),
        "partial": partial,
        "lanes": ["image", *lanes(network, explanation)],
        "loss": explanation.loss,
        "scores": block.add(explanation.scores),
        "probabilities": block.add(explanation.uncalibrated),
        "calibrated": _calibrated(explanation),
        "delta": block.add(explanation.delta),
        "steps": pack_steps(explanation, block, few=partial),
        "attributions": (pack_attributions(explanation, block, progress) if attributions else None),
        "filters": dict(filters or {}),
    }
    layers = _pack_layers if not partial else pack_partly
    structure["layers"] = layers(explanation, block, shown or {})
    return Packed(structure, block.bytes())


def _pack_layers(
    explanation: Explanation, block: Block, shown: Mapping[str, Sequence[int]]
) -> list[dict[str, Any]]:
    """Every layer with all of its maps; in a large network with the shown gradients alone."""
    large, layers = _is_large(explanation), []
    for name, layer in explanation.layers.items():
        channels = list(shown.get(name) or shown_channels(layer))
        rows = channels if large else None
        layers.append(
            {
                **describe_layer(explanation, layer, block),
                "shown": channels,
                "output": block.add(layer.output),
                "gradient": pack_rows(block, layer.output_gradient, rows),
            }
        )
        if (weight := weight_of(layer)) is not None:
            first = weight_rows(explanation, layer) if isinstance(layer.layer, Linear) else channels
            some = weight.size > _WHOLE or large
            gradients = first[:_GRADIENTS] if some else None
            layers[-1]["kernels"] = channels
            layers[-1]["weight"] = pack_rows(block, weight, first if some else None)
            layers[-1]["weightGradient"] = pack_rows(block, layer.gradients["weight"], gradients)
    return layers


def _pack_photograph(
    explanation: Explanation, photograph: Photograph | None
) -> dict[str, Any] | None:
    """The photograph and the place of the input in it; None unless it is larger than the input."""
    if photograph is None or max(photograph.pixels.shape) <= max(explanation.image.shape[:2]):
        return None
    height, width = photograph.pixels.shape[:2]
    src, box = jpeg(photograph.pixels), list(photograph.box)
    return {"src": src, "height": height, "width": width, "box": box}


def _numbers(explanation: Explanation) -> int:
    """How many numbers of layers a page has that leaves no map out."""
    large, found = _is_large(explanation), 0
    for layer in explanation.layers.values():
        part = min(1.0, MOST_SHOWN / len(layer.output))
        of_map = layer.output.ndim == 3 and layer.type != "Image"
        found += layer.output.size + int(layer.output.size * (part if large and of_map else 1))
        if (weight := weight_of(layer)) is not None:
            found += int(weight.size * (part if large or weight.size > _WHOLE else 2))
    return found


def _is_large(explanation: Explanation) -> bool:
    layers = explanation.layers.values()
    numbers = sum(layer.output.size for layer in layers)
    numbers += sum(array.size for layer in layers for array in layer.parameters.values())
    return numbers > _LARGE


def _answer(explanation: Explanation) -> str:
    """What the network answers, in a few words."""
    network, row = explanation.network, explanation.probabilities
    if has_targets(network.loss):
        return text_of(row, explanation.classes, network.loss, network.threshold)
    return explanation.classes[int(row.argmax())]


def _calibrated(explanation: Explanation) -> dict[str, float] | None:
    """The temperature, and the largest probability with it; None for a network without one."""
    temperature = explanation.network.temperature
    if temperature == 1:
        return None
    return {"temperature": temperature, "probability": float(explanation.probabilities.max())}
