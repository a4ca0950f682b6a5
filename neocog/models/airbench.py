"""airbench94, the network with the shortest known training to 94 % on CIFAR-10."""

from typing import Any

from neocog.layers import (
    GELU,
    BatchNorm2d,
    Conv2d,
    Flatten,
    Layer,
    Linear,
    MaxPool2d,
    Scale,
    Sequential,
    Shape,
    image_shape,
)
from neocog.models.widths import flat_size, scaled
from neocog.network import Network

__all__ = ["airbench"]


def airbench(classes: int = 10, *, width: float = 1.0, input_shape: Shape = (3, 32, 32)) -> Network:
    """A whitening 2 × 2 convolution, then three blocks of two 3 × 3 convolutions.

    K. Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU" (2024), ``airbench94``: blocks of
    64, 256 and 256 channels, which `width` scales. The first convolution has an output for each
    direction of a 2 × 2 patch and for its opposite, at any width. In airbench94 its weights are
    computed from the images and only its bias is learned; of batch normalizations, too, only the
    biases are learned. Their momentum of 0.6 is 0.4 in PyTorch's sense. 1,972,792 parameters.
    """
    input_shape = image_shape(input_shape)
    channels = input_shape[0]
    before = 2 * channels * 2 * 2
    features: dict[str, Any] = {"whiten": Conv2d(channels, before, 2), "act": GELU()}
    for number, wide in enumerate((64, 256, 256), 1):
        features[f"block{number}"] = _block(before, scaled(wide, width))
        before = scaled(wide, width)
    features |= {"pool": MaxPool2d(3), "flatten": Flatten()}
    return Network(
        input_shape=input_shape,
        **features,
        fc=Linear(flat_size(features, input_shape), classes, bias=False),
        scale=Scale(1 / 9),
    )


def _block(before: int, channels: int) -> Layer:
    return Sequential(
        conv1=Conv2d(before, channels, 3, padding="same", bias=False),
        pool=MaxPool2d(2),
        norm1=BatchNorm2d(channels, eps=1e-12, momentum=0.4),
        act1=GELU(),
        conv2=Conv2d(channels, channels, 3, padding="same", bias=False),
        norm2=BatchNorm2d(channels, eps=1e-12, momentum=0.4),
        act2=GELU(),
    )
