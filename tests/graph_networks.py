"""Networks that are no chains."""

from neocog.layers import (
    AdaptiveAvgPool2d,
    Add,
    BatchNorm2d,
    ChannelShuffle,
    Concat,
    Conv2d,
    Dropout,
    Flatten,
    GroupNorm,
    Hardsigmoid,
    Hardswish,
    LayerNorm2d,
    Linear,
    MaxPool2d,
    Multiply,
    Node,
    PReLU,
    ReLU,
    Residual,
    Sequential,
    Slice,
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


def of_products():
    """Squeeze and excitation; products of maps, a map with itself, the image, and vectors."""
    return Network.from_nodes(
        [
            Node("conv", Conv2d(3, 20, 3, padding=1)),
            Node("act", Hardswish()),
            Node("squeeze", AdaptiveAvgPool2d()),
            Node("less", Conv2d(20, 5, 1)),
            Node("relu", ReLU()),
            Node("more", Conv2d(5, 20, 1)),
            Node("gate", Hardsigmoid()),
            Node("scaled", Multiply(), ("gate", "act")),
            Node("colors", Conv2d(20, 3, 3, padding=1)),
            Node("squared", Multiply(), ("colors", "colors")),
            Node("mean", AdaptiveAvgPool2d(), "input"),
            Node("tinted", Multiply(), ("input", "squared", "mean")),
            Node("right", Conv2d(20, 3, 1), "act"),
            Node("both", Multiply(), ("tinted", "right")),
            Node("flatten", Flatten()),
            Node("fc", Linear(3 * 30, 8)),
            Node("hidden", Linear(8, 8)),
            Node("scores", Multiply(), ("fc", "hidden")),
            Node("last", Linear(8, 4)),
        ],
        input_shape=(3, 6, 5),
    )


def of_parts():
    """Concatenations of many channels, of few, of the image, of a map with itself, of vectors."""
    return Network.from_nodes(
        [
            Node("conv", Conv2d(3, 20, 3, padding=1)),
            Node("relu", ReLU()),
            Node("grown", Conv2d(20, 7, 3, padding=1)),
            Node("dense", Concat(), ("relu", "grown", "input")),
            Node("norm", BatchNorm2d(30)),
            Node("again", ReLU()),
            Node("left", Conv2d(30, 16, 1)),
            Node("right", MaxPool2d(3, 1, 1), "again"),
            Node("joined", Concat(), ("left", "right", "left")),
            Node("pool", MaxPool2d(2)),
            Node("flatten", Flatten()),
            Node("fc", Linear(62 * 6, 8)),
            Node("hidden", Linear(8, 5)),
            Node("scores", Concat(), ("hidden", "fc")),
            Node("last", Linear(13, 4)),
        ],
        input_shape=(3, 6, 5),
    )


def of_channels():
    """Parts of channels, of maps and of the image, and channels in another order."""
    return Network.from_nodes(
        [
            Node("conv", Conv2d(3, 24, 3, padding=1)),
            Node("shuffled", ChannelShuffle(4)),
            Node("first", Slice(0, 17)),
            Node("rest", Slice(17, 24), "shuffled"),
            Node("middle", Slice(5, 22), "shuffled"),
            Node("both", Multiply(), ("first", "middle")),
            Node("colors", Slice(1, 3), "input"),
            Node("turned", ChannelShuffle(3), "input"),
            Node("all", Concat(), ("rest", "both", "colors", "turned")),
            Node("mixed", Conv2d(29, 6, 3)),
            Node("last_order", ChannelShuffle(2)),
            Node("flatten", Flatten()),
            Node("fc", Linear(6 * 12, 4)),
        ],
        input_shape=(3, 6, 5),
    )


def of_many_inputs():
    """What reads several layers, maps and vectors, and what looks at an image or its channels."""
    return Network.from_nodes(
        [
            Node("image_norm", GroupNorm(1, 3)),
            Node("conv", Conv2d(3, 8, 3, padding=1)),
            Node("groups", GroupNorm(4, 8)),
            Node("slopes", PReLU(8)),
            Node("places", LayerNorm2d(8)),
            Node("slope", PReLU()),
            Node("squeeze", AdaptiveAvgPool2d()),
            Node("gate", Hardsigmoid()),
            Node("scaled", Multiply(), ("gate", "slopes", "slope")),
            Node("squared", Multiply(), ("groups", "groups")),
            Node("colors", Slice(1, 3), "input"),
            Node("shuffled", ChannelShuffle(2), "scaled"),
            Node("rest", Slice(3, 8), "shuffled"),
            Node("joined", Concat(), ("rest", "colors", "scaled", "squared")),
            Node("mixed", Conv2d(23, 8, 1)),
            Node("added", Add(), ("mixed", "scaled", "squared")),
            Node("flatten", Flatten()),
            Node("fc", Linear(8 * 30, 20)),
            Node("each", PReLU(20)),
            Node("twice", Add(), ("each", "fc", "fc")),
            Node("times", Multiply(), ("twice", "each")),
            Node("less", Linear(20, 3)),
            Node("row", Concat(), ("less", "times")),
            Node("last", Linear(23, 4)),
        ],
        input_shape=(3, 6, 5),
    )
