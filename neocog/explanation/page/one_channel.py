"""The numbers that one channel of a layer is shown with, for a page that has only some of them."""

from collections.abc import Iterable
from typing import Any

from neocog.explanation.explanation import Explanation
from neocog.explanation.page.layer_parts import weight_of
from neocog.explanation.page.message import Block
from neocog.explanation.page.payload import Packed
from neocog.explanation.page.rationing import is_whole, origins
from neocog.explanation.trace import LayerExplanation
from neocog.layers import Conv2d, Linear

__all__ = ["pack_channel"]


def pack_channel(explanation: Explanation, name: str, channel: int, output: int) -> Packed:
    """Everything that the page needs to show how a channel's numbers were computed.

    Args:
        explanation: of the network.
        name: of the layer.
        channel: of its map; of a layer without a map it is not used.
        output: of a linear layer.

    Returns:
        ``layers``, by name the arrays of that layer and of those that it reads, with ``rows``.

    Raises:
        DataError: there is no such layer.
        IndexError: there is no such channel or output.
    """
    layer, block = explanation[name], Block()
    outputs = len(layer.output)
    linear = isinstance(layer.layer, Linear)
    if not 0 <= (output if linear else channel) < outputs and not is_whole(layer):
        raise IndexError(f"{name} has {outputs} channels, 0 to {outputs - 1}.")
    if linear and not 0 <= output < outputs:
        raise IndexError(f"{name} has {outputs} outputs, 0 to {outputs - 1}.")
    layers = {name: _maps(layer, block, [channel])}
    if (weight := weight_of(layer)) is not None:
        row = [output if linear else channel]
        for word, array in (("weight", weight), ("weightGradient", layer.gradients["weight"])):
            layers[name][word] = _rows(block, array, row)
    for source, channels in _read(explanation, layer, channel).items():
        layers[source] = _maps(explanation[source], block, channels)
    return Packed({"layers": layers}, block.bytes())


def _read(
    explanation: Explanation, layer: LayerExplanation, channel: int
) -> dict[str, range | list[int]]:
    """Of each layer that it reads, the channels that this one is shown with."""
    if isinstance(layer.layer, Conv2d):
        inputs = layer.layer.in_channels // layer.layer.groups
        first = channel // (layer.layer.out_channels // layer.layer.groups) * inputs
        return {layer.reads[0]: range(first, first + inputs)}
    return {**origins(layer, explanation, [channel])}


def _maps(layer: LayerExplanation, block: Block, channels: Iterable[int]) -> dict[str, Any]:
    if is_whole(layer):
        return {}
    arrays = (("output", layer.output), ("gradient", layer.output_gradient))
    return {word: _rows(block, array, channels) for word, array in arrays}


def _rows(block: Block, array: Any, rows: Iterable[int]) -> dict[str, Any]:
    return {**block.add(array[list(rows)]), "rows": list(rows)}
