"""What other programs call the layers of our networks.

Our own names are those of one program; a *spelling* gives for each layer of a network that has
parameters the name in another one.
"""

import re
from collections.abc import Callable, Iterator, Mapping

from neocog.layers import Graph

__all__ = ["spellings"]

Spelling = Mapping[str, str]


def spellings(model: str, graph: Graph) -> dict[str, Spelling]:
    """By the name of a program, its name for each layer of ours that has parameters or buffers.

    Args:
        model: the network's name.
        graph: the network.
    """
    layers = list(dict.fromkeys(name.rpartition(".")[0] for name in graph.state_shapes))
    first, *others = next(found for family, found in _FAMILIES.items() if model.startswith(family))
    same: dict[str, Spelling] = {first: {layer: layer for layer in layers}}
    return same | {program: dict(rule(layers)) for program, rule in others}


def _efficientnet_lite_pytorch(layers: list[str]) -> Iterator[tuple[str, str]]:
    """Blocks are numbered through, and what is called by its kind there is called by its work."""
    fixed = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1",
             "classifier": "_fc"}  # fmt: skip
    blocks = _numbered(layers)
    expanding = {layer.rpartition(".")[0] for layer in layers if layer.endswith(".conv_pwl")}
    for layer in layers:
        block, _dot, part = layer.rpartition(".")
        if block in expanding:
            inner = {"conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv",
                     "bn2": "_bn1", "conv_pwl": "_project_conv", "bn3": "_bn2"}  # fmt: skip
        else:
            inner = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv",
                     "bn2": "_bn2"}  # fmt: skip
        yield layer, f"_blocks.{blocks[block]}.{inner[part]}" if block else fixed[layer]


def _numbered(layers: list[str]) -> dict[str, int]:
    """The blocks, ``blocks.1.0`` and so on, with their places among all of them."""
    found = (re.match(r"blocks\.\d+\.\d+", layer) for layer in layers)
    names = dict.fromkeys(one[0] for one in found if one)
    return {name: place for place, name in enumerate(names)}


Rule = Callable[[list[str]], Iterator[tuple[str, str]]]

#: By the beginning of a network's name: the program whose names are ours, and those of others.
_FAMILIES: dict[str, tuple[str, *tuple[tuple[str, Rule], ...]]] = {
    "efficientnet-lite": ("timm", ("efficientnet-lite-pytorch", _efficientnet_lite_pytorch)),
}
