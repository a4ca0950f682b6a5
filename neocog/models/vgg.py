"""A small network in the style of VGG."""

from typing import Any

from neocog.layers import BatchNorm2d, Conv2d, Flatten, Linear, MaxPool2d, ReLU, Shape, image_shape
from neocog.models.widths import flat_size, scaled
from neocog.network import Network

__all__ = ["vgg_small"]


def vgg_small(
    classes: int = 10, *, width: float = 1.0, input_shape: Shape = (3, 32, 32)
) -> Network:
    """Pairs of 3 × 3 convolutions with 32, 64 and 128 channels, pooling after each.

    The scheme of K. Simonyan and A. Zisserman, "Very deep convolutional networks for large-scale
    image recognition" (2014), with batch normalization, for small images. 307,946 parameters.
    """
    input_shape = image_shape(input_shape)
    features: dict[str, Any] = {}
    before, number = input_shape[0], 0
    for pair, channels in enumerate((32, 64, 128), 1):
        for _ in range(2):
            number += 1
            wide = scaled(channels, width)
            # Batch normalization would subtract a bias again.
            features[f"conv{number}"] = Conv2d(before, wide, 3, padding=1, bias=False)
            features[f"norm{number}"] = BatchNorm2d(wide)
            features[f"relu{number}"] = ReLU()
            before = wide
        features[f"pool{pair}"] = MaxPool2d(2)
    features["flatten"] = Flatten()
    return Network(
        input_shape=input_shape,
        **features,
        fc=Linear(flat_size(features, input_shape), classes),
    )
