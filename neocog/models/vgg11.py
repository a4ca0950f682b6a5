"""VGG-11 with batch normalization, whose layers are named as in torchvision.

K. Simonyan and A. Zisserman, "Very deep convolutional networks for large-scale image recognition"
(2014), network A.
"""

from neocog.layers import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
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

__all__ = ["vgg11_bn"]

# Channels of the convolutions, with a pooling behind each row.
_FEATURES = ((64,), (128,), (256, 256), (512, 512), (512, 512))
_HIDDEN = 4096
# Rows and columns of the map that the first linear layer reads, for images of any size.
_POOLED = 7


def vgg11_bn(
    classes: int = 1000, *, width: float = 1.0, input_shape: Shape = (3, 224, 224)
) -> Network:
    """Eight convolutions of 3 × 3 and three linear layers: VGG-11 with batch normalization.

    132,868,840 parameters with 1,000 classes, most of them in the linear layers.
    """
    input_shape = image_shape(input_shape)
    nodes = NodeList()
    before, place = input_shape[0], 0
    for row in _FEATURES:
        for channels in row:
            wide = scaled(channels, width)
            names = (f"features.{place}", f"features.{place + 1}", f"features.{place + 2}")
            nodes.normalized(names, Conv2d(before, wide, 3, padding=1), BatchNorm2d(wide), ReLU())
            before, place = wide, place + 3
        nodes.add(f"features.{place}", MaxPool2d(2))
        place += 1
    nodes.add("avgpool", AdaptiveAvgPool2d(_POOLED))
    nodes.add("flatten", Flatten())
    hidden = scaled(_HIDDEN, width)
    for place, inputs in ((0, before * _POOLED**2), (3, hidden)):
        nodes.add(f"classifier.{place}", Linear(inputs, hidden))
        nodes.add(f"classifier.{place + 1}", ReLU())
        nodes.add(f"classifier.{place + 2}", Dropout(0.5))
    nodes.add("classifier.6", Linear(hidden, classes))
    return Network.from_nodes(
        nodes.nodes,
        input_shape=input_shape,
        preprocessing=imagenet_preprocessing(input_shape),
    )
