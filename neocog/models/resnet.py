"""Residual networks for small images.

K. He, X. Zhang, S. Ren and J. Sun, "Deep residual learning for image recognition" (2015). Every
block is conv → norm → ReLU → conv → norm, added to its shortcut, then a ReLU. The first block of
every stage but the first has stride 2 and a convolution of 1 × 1 as its shortcut.
"""

from typing import Any

from neocog.layers import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Flatten,
    Layer,
    Linear,
    ReLU,
    Residual,
    Sequential,
    Shape,
    image_shape,
)
from neocog.models.widths import scaled
from neocog.network import Network

__all__ = ["resnet8", "resnet18", "resnet20"]


def resnet8(classes: int = 10, *, width: float = 1.0, input_shape: Shape = (3, 32, 32)) -> Network:
    """One block in each of three stages, as in the MLPerf Tiny benchmark.

    C. Banbury et al., "MLPerf Tiny benchmark" (2021). Its shortcuts are convolutions without a
    normalization. Two things differ: biases before batch normalizations, which would subtract them
    again, are left out; and odd zeros are padded on both sides, as in PyTorch, instead of below and
    at the right. 77,946 parameters.
    """
    stages = [scaled(n, width) for n in (16, 32, 64)]
    return _resnet(classes, input_shape, stages, blocks=1, normalized=False)


def resnet20(classes: int = 10, *, width: float = 1.0, input_shape: Shape = (3, 32, 32)) -> Network:
    """Three blocks in each of three stages; He et al., section 4.2.

    Shortcuts are their option B: a convolution and a normalization. 272,474 parameters.
    """
    stages = [scaled(n, width) for n in (16, 32, 64)]
    return _resnet(classes, input_shape, stages, blocks=3, normalized=True)


def resnet18(classes: int = 10, *, width: float = 1.0, input_shape: Shape = (3, 32, 32)) -> Network:
    """Four stages of two blocks, of 64, 128, 256 and 512 channels, for small images.

    He et al.'s network with a first convolution of 3 × 3 and no pooling after it, as is usual for
    CIFAR. 11,173,962 parameters.
    """
    stages = [scaled(n, width) for n in (64, 128, 256, 512)]
    return _resnet(classes, input_shape, stages, blocks=2, normalized=True)


def _resnet(
    classes: int, input_shape: Shape, stages: list[int], blocks: int, normalized: bool
) -> Network:
    input_shape = image_shape(input_shape)
    before = stages[0]
    layers: dict[str, Any] = {
        "conv": Conv2d(input_shape[0], before, 3, padding=1, bias=False),
        "norm": BatchNorm2d(before),
        "relu": ReLU(),
    }
    for number, channels in enumerate(stages, 1):
        stage: dict[str, Layer] = {}
        for block in range(1, blocks + 1):
            stride = 2 if number > 1 and block == 1 else 1
            stage[f"block{block}"] = _block(before, channels, stride, normalized)
            stage[f"relu{block}"] = ReLU()
            before = channels
        layers[f"stage{number}"] = Sequential(**stage)
    return Network(
        input_shape=input_shape,
        **layers,
        pool=AdaptiveAvgPool2d(1),
        flatten=Flatten(),
        fc=Linear(before, classes),
    )


def _block(before: int, channels: int, stride: int, normalized: bool) -> Layer:
    body = Sequential(
        conv1=Conv2d(before, channels, 3, stride=stride, padding=1, bias=False),
        norm1=BatchNorm2d(channels),
        relu=ReLU(),
        conv2=Conv2d(channels, channels, 3, padding=1, bias=False),
        norm2=BatchNorm2d(channels),
    )
    if stride == 1:
        return Residual(body)
    if not normalized:
        return Residual(body, Conv2d(before, channels, 1, stride=stride))
    return Residual(
        body,
        Sequential(
            conv=Conv2d(before, channels, 1, stride=stride, bias=False), norm=BatchNorm2d(channels)
        ),
    )
