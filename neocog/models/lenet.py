"""LeNet-5."""

from typing import Any

from neocog.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Shape, image_shape
from neocog.models.widths import flat_size, scaled
from neocog.network import Network

__all__ = ["lenet5"]


def lenet5(classes: int = 10, *, width: float = 1.0, input_shape: Shape = (1, 28, 28)) -> Network:
    """Two convolutions of 5 × 5 and three linear layers, for digits of 28 × 28.

    Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to document
    recognition" (1998), in today's form: with max pooling and ReLU, and every kernel sees every
    channel. 61,706 parameters.
    """
    input_shape = image_shape(input_shape)
    c1, c2, f1, f2 = (scaled(n, width) for n in (6, 16, 120, 84))
    features: dict[str, Any] = {
        "conv1": Conv2d(input_shape[0], c1, 5, padding=2),
        "relu1": ReLU(),
        "pool1": MaxPool2d(2),
        "conv2": Conv2d(c1, c2, 5),
        "relu2": ReLU(),
        "pool2": MaxPool2d(2),
        "flatten": Flatten(),
    }
    return Network(
        input_shape=input_shape,
        **features,
        fc1=Linear(flat_size(features, input_shape), f1),
        relu3=ReLU(),
        fc2=Linear(f1, f2),
        relu4=ReLU(),
        fc3=Linear(f2, classes),
    )
