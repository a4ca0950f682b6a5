"""The note's network."""

from typing import Any

from neocog.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Shape, image_shape
from neocog.models.widths import flat_size, scaled
from neocog.network import Network

__all__ = ["simple_cnn"]


def simple_cnn(
    classes: int = 10, *, width: float = 1.0, input_shape: Shape = (3, 32, 32)
) -> Network:
    """The note's network: one convolution, pooling, one linear layer."""
    input_shape = image_shape(input_shape)
    channels = scaled(16, width)
    features: dict[str, Any] = {
        "conv1": Conv2d(input_shape[0], channels, 3, padding=1),
        "relu": ReLU(),
        "pool": MaxPool2d(2),
        "flatten": Flatten(),
    }
    return Network(
        input_shape=input_shape,
        **features,
        fc=Linear(flat_size(features, input_shape), classes),
    )
