"""MobileNetV2, whose layers are named as in torchvision.

M. Sandler et al., "MobileNetV2: Inverted residuals and linear bottlenecks" (2018).
"""

from neocog.layers import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    ReLU6,
    Shape,
    image_shape,
)
from neocog.models.imagenet import imagenet_preprocessing
from neocog.models.node_list import NodeList
from neocog.models.widths import scaled
from neocog.network import Network

__all__ = ["mobilenet_v2"]

# Expansion, channels, blocks and stride of each stage.
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_STEM, _HEAD = 32, 1280


def mobilenet_v2(
    classes: int = 1000, *, width: float = 1.0, input_shape: Shape = (3, 224, 224)
) -> Network:
    """Seventeen inverted residual blocks: MobileNetV2, for photographs.

    3,504,872 parameters with 1,000 classes.
    """
    input_shape = image_shape(input_shape)
    nodes = NodeList()
    _convolve(nodes, "features.0", input_shape[0], scaled(_STEM, width), 3, 2)
    before, number = _STEM, 0
    for expansion, channels, blocks, stride in _STAGES:
        for block in range(blocks):
            number += 1
            name, steps = f"features.{number}", stride if block == 0 else 1
            _block(nodes, name, before, channels, expansion, steps, width)
            before = channels
    head = scaled(_HEAD, width)
    _convolve(nodes, f"features.{number + 1}", scaled(before, width), head, 1)
    nodes.add("pool", AdaptiveAvgPool2d(1))
    nodes.add("flatten", Flatten())
    nodes.add("classifier.0", Dropout(0.2))
    nodes.add("classifier.1", Linear(head, classes))
    return Network.from_nodes(
        nodes.nodes,
        input_shape=input_shape,
        preprocessing=imagenet_preprocessing(input_shape),
    )


def _block(
    nodes: NodeList, name: str, before: int, after: int, expansion: int, stride: int, width: float
) -> None:
    """Expand the channels, convolve each, and project them; all added to the block's input."""
    first = nodes.nodes[-1].name
    narrow, hidden, wide = (scaled(n, width) for n in (before, before * expansion, after))
    number = 0
    if expansion > 1:
        _convolve(nodes, f"{name}.conv.0", narrow, hidden, 1)
        number = 1
    _convolve(nodes, f"{name}.conv.{number}", hidden, hidden, 3, stride, groups=hidden)
    nodes.add(f"{name}.conv.{number + 1}", Conv2d(hidden, wide, 1, bias=False))
    nodes.add(f"{name}.conv.{number + 2}", BatchNorm2d(wide))
    nodes.shortcut(f"{name}.add", first if stride == 1 and before == after else None)


def _convolve(
    nodes: NodeList, name: str, before: int, after: int, kernel: int, stride: int = 1,
    groups: int = 1,
) -> None:  # fmt: skip
    nodes.normalized(
        (f"{name}.0", f"{name}.1", f"{name}.2"),
        Conv2d(
            before, after, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False
        ),
        BatchNorm2d(after),
        ReLU6(),
    )
