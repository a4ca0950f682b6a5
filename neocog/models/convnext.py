"""ConvNeXt-Atto, whose layers are named as in timm.

Z. Liu et al., "A ConvNet for the 2020s" (2022); Atto is by R. Wightman (timm). The factors of a
block's channels, timm's ``gamma``, are a convolution of 1 × 1 of single channels, ``gamma.weight``.
"""

from neocog.layers import (
    GELU,
    AdaptiveAvgPool2d,
    Conv2d,
    Flatten,
    LayerNorm2d,
    Linear,
    Shape,
    image_shape,
)
from neocog.models.imagenet import imagenet_preprocessing
from neocog.models.node_list import NodeList
from neocog.models.widths import scaled
from neocog.network import Network

__all__ = ["convnext_atto"]

_CHANNELS = (40, 80, 160, 320)
_BLOCKS = (2, 2, 6, 2)


def convnext_atto(
    classes: int = 1000, *, width: float = 1.0, input_shape: Shape = (3, 224, 224)
) -> Network:
    """Twelve blocks of a depthwise convolution of 7 × 7 and two of 1 × 1: ConvNeXt-Atto.

    3,695,520 parameters with 1,000 classes.
    """
    input_shape = image_shape(input_shape)
    nodes = NodeList()
    before, stem = _CHANNELS[0], scaled(_CHANNELS[0], width)
    nodes.add("stem.0", Conv2d(input_shape[0], stem, 4, stride=4))
    nodes.add("stem.1", LayerNorm2d(stem))
    for stage, (channels, blocks) in enumerate(zip(_CHANNELS, _BLOCKS, strict=True)):
        wide = scaled(channels, width)
        if stage > 0:
            narrow = scaled(before, width)
            nodes.add(f"stages.{stage}.downsample.0", LayerNorm2d(narrow))
            nodes.add(f"stages.{stage}.downsample.1", Conv2d(narrow, wide, 2, stride=2))
        for block in range(blocks):
            _block(nodes, f"stages.{stage}.blocks.{block}", wide, scaled(4 * channels, width))
        before = channels
    nodes.add("head.global_pool", AdaptiveAvgPool2d(1))
    nodes.add("head.norm", LayerNorm2d(scaled(before, width)))
    nodes.add("head.flatten", Flatten())
    nodes.add("head.fc", Linear(scaled(before, width), classes))
    return Network.from_nodes(
        nodes.nodes,
        input_shape=input_shape,
        preprocessing=imagenet_preprocessing(input_shape, "bicubic"),
    )


def _block(nodes: NodeList, name: str, channels: int, hidden: int) -> None:
    first = nodes.nodes[-1].name
    nodes.add(f"{name}.conv_dw", Conv2d(channels, channels, 7, padding=3, groups=channels))
    nodes.add(f"{name}.norm", LayerNorm2d(channels))
    nodes.add(f"{name}.mlp.fc1", Conv2d(channels, hidden, 1))
    nodes.add(f"{name}.mlp.act", GELU())
    nodes.add(f"{name}.mlp.fc2", Conv2d(hidden, channels, 1))
    nodes.add(f"{name}.gamma", Conv2d(channels, channels, 1, groups=channels, bias=False))
    nodes.shortcut(f"{name}.add", first)
