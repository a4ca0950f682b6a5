"""The layers of a network whose maps do not all fit into a page."""

from collections.abc import Mapping, Sequence
from typing import Any

from neocog.explanation.explanation import Explanation
from neocog.explanation.page.bounds import MOST_NUMBERS, MOST_SHOWN
from neocog.explanation.page.channels import shown_channels
from neocog.explanation.page.layer_parts import (
    describe_layer,
    pack_rows,
    weight_of,
    weight_rows,
)
from neocog.explanation.page.message import Block
from neocog.explanation.page.rationing import is_whole, keeps_channels, ration
from neocog.explanation.trace import LayerExplanation
from neocog.layers import Linear

__all__ = ["pack_partly"]

_COLORS = 3
# Numbers of the weights of a linear layer, and of a convolution's kernels that are shown as
# pictures: many small ones, or some of larger ones.
_OF_LINEAR, _OF_SMALL, _OF_LARGE = 32_768, 4_096, 1_024


def pack_partly(
    explanation: Explanation, block: Block, shown: Mapping[str, Sequence[int]]
) -> list[dict[str, Any]]:
    """Every layer with some of its channels, so that the block has at most `MOST_NUMBERS`.

    Args:
        explanation: of the network.
        block: which has everything else already.
        shown: by layer, the channels to prefer.
    """
    layers = explanation.layers
    packed = {name: describe_layer(explanation, layer, block) for name, layer in layers.items()}
    kernels: dict[str, list[int]] = {}
    for name, layer in layers.items():
        one, weight = packed[name], weight_of(layer)
        if is_whole(layer):
            one["shown"] = shown_channels(layer)
            one["output"] = block.add(layer.output)
            one["gradient"] = block.add(layer.output_gradient)
        if weight is not None and isinstance(layer.layer, Linear):
            rows = weight_rows(explanation, layer, _some(_OF_LINEAR // weight[0].size))
            one["weight"] = pack_rows(block, weight, rows)
            one["weightGradient"] = pack_rows(block, layer.gradients["weight"], rows[:1])
        elif weight is not None:
            kernels[name] = _kernels(layer, weight[0].size)
            if is_whole(layer):
                one["shown"] = kernels[name]
        elif len(layer.output) <= _COLORS:  # of a padded image, say; the first kernels read all
            one["output"] = block.add(layer.output)
    # Also one kernel's gradient.
    pictured = sum(
        (len(rows) + 1) * layers[name].parameters["weight"][0].size
        for name, rows in kernels.items()
    )
    complete = {name for name, one in packed.items() if "output" in one}
    chosen = ration(explanation, MOST_NUMBERS - block.size - pictured, shown, complete)
    for name, layer in layers.items():
        one = packed[name]
        if name in chosen:
            one["shown"] = chosen[name]
            if name in complete:
                one["shown"] = shown_channels(layer)
            else:
                one["output"] = pack_rows(block, layer.output, chosen[name])
            one["gradient"] = pack_rows(block, layer.output_gradient, chosen[name])
        elif is_whole(layer) and keeps_channels(layer):  # the mean of each channel, say
            one["shown"] = chosen.get(layer.reads[0]) or one["shown"]
        if name in kernels:
            rows = list(dict.fromkeys([*chosen.get(name, one["shown"]), *kernels[name]]))
            one["kernels"] = rows
            one["weight"] = pack_rows(block, layer.parameters["weight"], rows)
            one["weightGradient"] = pack_rows(block, layer.gradients["weight"], rows[:1])
    return list(packed.values())


def _some(fitting: int) -> int:
    return max(1, min(MOST_SHOWN, fitting))


def _kernels(layer: LayerExplanation, size: int) -> list[int]:
    """The kernels of a convolution that are shown as pictures, besides those of shown channels."""
    least = 1 if is_whole(layer) else 0
    fitting = MOST_SHOWN if MOST_SHOWN * size <= _OF_SMALL else max(least, _OF_LARGE // size)
    return shown_channels(layer)[:fitting]
