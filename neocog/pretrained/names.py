"""What other programs call the tensors of our networks.

Our own names are those of one program. A *spelling* gives for each of a network's tensors its name
in a program.
"""

import re
from collections.abc import Callable, Mapping

from neocog.layers import Graph

__all__ = ["normalization_of", "spellings"]

Spelling = Mapping[str, str]
Rule = Callable[[list[str]], Spelling]


def spellings(model: str, graph: Graph) -> dict[str, Spelling]:
    """By the name of a program, what it calls each of the network's tensors.

    Args:
        model: the network's name.
        graph: the network.
    """
    tensors = list(graph.state_shapes)
    layers = list(dict.fromkeys(_layer(tensor) for tensor in tensors))
    first, others = next(found for family, found in _FAMILIES.items() if model.startswith(family))
    by_program: dict[str, Spelling] = {first: {tensor: tensor for tensor in tensors}}
    for program, rule in others.items():
        theirs = rule(layers)
        by_program[program] = {
            tensor: _joined(theirs[_layer(tensor)], tensor) for tensor in tensors
        }
    return by_program


def normalization_of(model: str, program: str) -> Mapping[str, float]:
    """Arguments of a network's batch normalizations that are others in this program."""
    return _NORMALIZATIONS.get((model.rpartition("-")[0], program), {})


def _layer(tensor: str) -> str:
    return tensor.rpartition(".")[0]


def _joined(theirs: str, tensor: str) -> str:
    # ConvNeXt's gamma is a tensor of a block, and none of a layer.
    return theirs if theirs.endswith(".gamma") else f"{theirs}.{tensor.rpartition('.')[2]}"


def _efficientnet_lite_pytorch(layers: list[str]) -> Spelling:
    """Blocks are numbered through, and layers are called by what they do."""
    found = {
        "conv_stem": "_conv_stem",
        "bn1": "_bn0",
        "conv_head": "_conv_head",
        "bn2": "_bn1",
        "classifier": "_fc",
    }
    blocks = _blocks(layers, r"blocks\.\d+\.\d+")
    for place, own in enumerate(blocks.values()):
        inner = ["_depthwise_conv", "_bn1", "_project_conv", "_bn2"]
        if len(own) > len(inner):
            inner = ["_expand_conv", "_bn0", *inner]
        found |= {o: f"_blocks.{place}.{i}" for o, i in zip(own, inner, strict=True)}
    return found


def _timm_of_mobilenet(*stages: int) -> Rule:
    """Blocks are numbered within their stage, of which these are the numbers of blocks."""
    places = [(stage, place) for stage, count in enumerate(stages) for place in range(count)]

    def rule(layers: list[str]) -> Spelling:
        stem, *blocks, last = _blocks(layers, r"features\.\d+").values()
        found = dict(zip(stem, ["conv_stem", "bn1"], strict=True))
        for (stage, place), own in zip(places, blocks, strict=True):
            squeeze = ["se.conv_reduce", "se.conv_expand"] * any(o.endswith(".fc1") for o in own)
            inner = ["conv_dw", "bn1", *squeeze, "conv_pw", "bn2"]
            if len(own) > len(inner):
                inner = ["conv_pw", "bn1", "conv_dw", "bn2", *squeeze, "conv_pwl", "bn3"]
            found |= {o: f"blocks.{stage}.{place}.{i}" for o, i in zip(own, inner, strict=True)}
        if "classifier.3" in layers:  # MobileNetV3, whose head is a layer behind the pooling
            ends = [f"blocks.{len(stages)}.0.conv", f"blocks.{len(stages)}.0.bn1"]
            found |= {"classifier.0": "conv_head", "classifier.3": "classifier"}
        else:
            ends = ["conv_head", "bn2"]
            found["classifier.1"] = "classifier"
        return found | dict(zip(last, ends, strict=True))

    return rule


def _blocks(layers: list[str], pattern: str) -> dict[str, list[str]]:
    """The layers by the block that their names begin with, in order."""
    found: dict[str, list[str]] = {}
    for layer in layers:
        if (block := re.match(pattern, layer)) is not None:
            found.setdefault(block[0], []).append(layer)
    return found


def _timm_of_vgg(layers: list[str]) -> Spelling:
    ends = {
        "classifier.0": "pre_logits.fc1",
        "classifier.3": "pre_logits.fc2",
        "classifier.6": "head.fc",
    }
    return {layer: ends.get(layer, layer) for layer in layers}


def _timm_of_convnext(layers: list[str]) -> Spelling:
    return {layer: layer for layer in layers}


#: By the beginning of a network's name: the program whose names are ours, and rules for others.
_FAMILIES: dict[str, tuple[str, dict[str, Rule]]] = {
    "efficientnet-lite": ("timm", {"efficientnet-lite-pytorch": _efficientnet_lite_pytorch}),
    "mobilenet-v2": ("torchvision", {"timm": _timm_of_mobilenet(1, 2, 3, 4, 3, 3, 1)}),
    "mobilenet-v3-small": ("torchvision", {"timm": _timm_of_mobilenet(1, 2, 3, 2, 3)}),
    "mobilenet-v3-large": ("torchvision", {"timm": _timm_of_mobilenet(1, 2, 3, 4, 2, 3)}),
    "resnet": ("torchvision", {}),
    "squeezenet": ("torchvision", {}),
    "vgg": ("torchvision", {"timm": _timm_of_vgg}),
    "densenet": ("torchvision", {}),
    "convnext": ("neocog", {"timm": _timm_of_convnext}),
}

_NORMALIZATIONS = {("mobilenet-v3", "timm"): {"eps": 1e-5, "momentum": 0.1}}
