"""DenseNet-121, whose layers are named as in torchvision.

G. Huang, Z. Liu, L. van der Maaten and K. Weinberger, "Densely connected convolutional networks"
(2017): every layer of a block reads the maps of all before it.
"""

from neocog.layers import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm2d,
    Concat,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
    Shape,
    image_shape,
)
from neocog.models.imagenet import imagenet_preprocessing
from neocog.models.node_list import NodeList
from neocog.models.widths import scaled
from neocog.network import Network

__all__ = ["densenet121"]

# Channels that a layer adds, and layers of each block. All other numbers of channels are multiples
# of the former, which alone is scaled.
_GROWTH = 32
_BLOCKS = (6, 12, 24, 16)


def densenet121(
    classes: int = 1000, *, width: float = 1.0, input_shape: Shape = (3, 224, 224)
) -> Network:
    """Four blocks of 6 to 24 layers, each of which adds 32 channels: DenseNet-121.

    7,978,856 parameters with 1,000 classes.
    """
    input_shape = image_shape(input_shape)
    growth = scaled(_GROWTH, width)
    channels = 2 * growth
    nodes = NodeList()
    nodes.normalized(
        ("features.conv0", "features.norm0", "features.relu0"),
        Conv2d(input_shape[0], channels, 7, stride=2, padding=3, bias=False),
        BatchNorm2d(channels),
        ReLU(),
    )
    nodes.add("features.pool0", MaxPool2d(3, 2, 1))
    for number, layers in enumerate(_BLOCKS, 1):
        if number > 1:
            _transition(nodes, f"features.transition{number - 1}", channels)
            channels //= 2
        for layer in range(1, layers + 1):
            _dense_layer(nodes, f"features.denseblock{number}.denselayer{layer}", channels, growth)
            channels += growth
    nodes.add("features.norm5", BatchNorm2d(channels))
    nodes.add("relu", ReLU())
    nodes.add("pool", AdaptiveAvgPool2d(1))
    nodes.add("flatten", Flatten())
    nodes.add("classifier", Linear(channels, classes))
    return Network.from_nodes(
        nodes.nodes,
        input_shape=input_shape,
        preprocessing=imagenet_preprocessing(input_shape),
    )


def _dense_layer(nodes: NodeList, name: str, channels: int, growth: int) -> None:
    """Normalization and ReLU before a convolution of 1 × 1 and one of 3 × 3; added channels."""
    x = nodes.nodes[-1].name
    nodes.add(f"{name}.norm1", BatchNorm2d(channels))
    nodes.add(f"{name}.relu1", ReLU())
    nodes.add(f"{name}.conv1", Conv2d(channels, 4 * growth, 1, bias=False))
    nodes.add(f"{name}.norm2", BatchNorm2d(4 * growth))
    nodes.add(f"{name}.relu2", ReLU())
    added = nodes.add(f"{name}.conv2", Conv2d(4 * growth, growth, 3, padding=1, bias=False))
    nodes.add(f"{name}.concat", Concat(), x, added)


def _transition(nodes: NodeList, name: str, channels: int) -> None:
    """Half the channels, of half the rows and columns."""
    nodes.add(f"{name}.norm", BatchNorm2d(channels))
    nodes.add(f"{name}.relu", ReLU())
    nodes.add(f"{name}.conv", Conv2d(channels, channels // 2, 1, bias=False))
    nodes.add(f"{name}.pool", AvgPool2d(2))
