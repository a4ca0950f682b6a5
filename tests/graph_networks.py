"""Networks that are no chains."""

from neocog.layers import (
    Add,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool2d,
    Node,
    ReLU,
    Residual,
    Sequential,
)
from neocog.network import Network


def three_lanes(*, merge=None, channels=8):
    """A network whose image and first map are read by several layers."""
    return Network.from_nodes(
        [
            Node("conv", Conv2d(3, 8, 3, padding=1)),
            Node("left", Sequential(norm=BatchNorm2d(8), act=ReLU())),
            Node("right", Conv2d(8, 8, 3, padding=1), "conv"),
            Node("pixels", Conv2d(3, 8, 1), "input"),
            Node("merged", merge or Add(), ["left", "right", "pixels"]),
            Node("pool", MaxPool2d()),
            Node("block", Residual(Conv2d(channels, channels, 3, padding=1))),
            Node("flatten", Flatten()),
            Node("fc", Linear(channels * 9, 4)),
        ],
        input_shape=(3, 6, 6),
    )


def of_sums():
    """Sums of every kind: of three, of the image, of a map with itself, of vectors, of dropout."""
    return Network.from_nodes(
        [
            Node("conv", Conv2d(3, 8, 3, padding=1)),
            Node("twice", Add(), ("conv", "conv")),
            Node("right", Conv2d(8, 8, 3, padding=1), "conv"),
            Node("pixels", Conv2d(3, 8, 1), "input"),
            Node("sum", Add(), ("twice", "right", "pixels")),
            Node("relu", ReLU()),
            Node("again", Residual(Dropout(0.0))),
            Node("pool", MaxPool2d(3, 3)),
            Node("flatten", Flatten()),
            Node("fc", Linear(32, 8)),
            Node("hidden", Linear(8, 8)),
            Node("act", ReLU()),
            Node("scores", Add(), ("act", "hidden", "fc")),
            Node("last", Linear(8, 4)),
        ],
        input_shape=(3, 6, 6),
    )
