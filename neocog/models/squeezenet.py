"""SqueezeNet 1.1, whose layers are named as in torchvision.

F. Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters" (2016), in the
authors' later version, which takes 2.4 times less computation.
"""

from neocog.layers import (
    AdaptiveAvgPool2d,
    Concat,
    Conv2d,
    Dropout,
    Flatten,
    MaxPool2d,
    ReLU,
    Shape,
    image_shape,
)
from neocog.models.imagenet import imagenet_preprocessing
from neocog.models.node_list import NodeList
from neocog.models.widths import scaled
from neocog.network import Network

__all__ = ["squeezenet1_1"]

# By its place in `features`, a pooling, or a fire module's squeezed and expanded channels.
_FEATURES = {
    2: None,
    3: (16, 64),
    4: (16, 64),
    5: None,
    6: (32, 128),
    7: (32, 128),
    8: None,
    9: (48, 192),
    10: (48, 192),
    11: (64, 256),
    12: (64, 256),
}


def squeezenet1_1(
    classes: int = 1000, *, width: float = 1.0, input_shape: Shape = (3, 224, 224)
) -> Network:
    """Eight fire modules, which squeeze channels and expand them again: SqueezeNet 1.1.

    1,235,496 parameters with 1,000 classes.
    """
    input_shape = image_shape(input_shape)
    nodes = NodeList()
    before = scaled(64, width)
    nodes.add("features.0", Conv2d(input_shape[0], before, 3, stride=2))
    nodes.add("features.1", ReLU())
    for place, fire in _FEATURES.items():
        if fire is None:
            nodes.add(f"features.{place}", MaxPool2d(3, 2, ceil_mode=True))
        else:
            squeezed, expanded = (scaled(channels, width) for channels in fire)
            _fire(nodes, f"features.{place}", before, squeezed, expanded)
            before = 2 * expanded
    nodes.add("classifier.0", Dropout(0.5))
    nodes.add("classifier.1", Conv2d(before, classes, 1))
    nodes.add("classifier.2", ReLU())
    nodes.add("classifier.3", AdaptiveAvgPool2d(1))
    nodes.add("flatten", Flatten())
    return Network.from_nodes(
        nodes.nodes,
        input_shape=input_shape,
        preprocessing=imagenet_preprocessing(input_shape),
    )


def _fire(nodes: NodeList, name: str, before: int, squeezed: int, expanded: int) -> None:
    """A convolution of 1 × 1 to few channels, then of 1 × 1 and of 3 × 3 beside each other."""
    nodes.add(f"{name}.squeeze", Conv2d(before, squeezed, 1))
    x = nodes.add(f"{name}.squeeze_activation", ReLU())
    sides = []
    for kernel in (1, 3):
        part = f"{name}.expand{kernel}x{kernel}"
        nodes.add(part, Conv2d(squeezed, expanded, kernel, padding=kernel // 2), x)
        sides.append(nodes.add(f"{part}_activation", ReLU()))
    nodes.add(f"{name}.concat", Concat(), *sides)
