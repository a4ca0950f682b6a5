"""A small network with the layers of those for photographs, and pictures for it."""

import numpy as np

from neocog import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    Network,
    ReLU6,
    Residual,
    Sequential,
    ZeroPad2d,
)
from neocog.data.images import Dataset

SIDE = 24


def normalized(before, channels, kernel, stride=1, groups=1):
    conv = Conv2d(
        before, channels, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False
    )
    return {"conv": conv, "norm": BatchNorm2d(channels)}


def block(channels):
    """An inverted residual, as EfficientNet-Lite and MobileNet have them."""
    wide = 3 * channels
    return Residual(
        Sequential(
            expand=Sequential(**normalized(channels, wide, 1), relu=ReLU6()),
            depthwise=Sequential(**normalized(wide, wide, 3, groups=wide), relu=ReLU6()),
            project=Sequential(**normalized(wide, channels, 1)),
        )
    )


def network(seed=0, classes=7):
    """Weights as of initialization; statistics of normalization as if it had been trained."""
    found = Network(
        pad=ZeroPad2d((0, 1, 0, 1)),
        stem=Sequential(conv=Conv2d(3, 8, 3, stride=2, bias=False), norm=BatchNorm2d(8)),
        relu=ReLU6(),
        block1=block(8),
        down=Sequential(**normalized(8, 20, 3, 2)),
        block2=block(20),
        head=Sequential(**normalized(20, 40, 1), relu=ReLU6(), pool=AdaptiveAvgPool2d(1)),
        flat=Flatten(),
        classifier=Sequential(dropout=Dropout(0.2), fc=Linear(40, classes)),
        input_shape=(3, SIDE, SIDE),
    )
    found.initialize(seed)
    rng = np.random.default_rng(seed)
    state = found.state_dict()
    for name, array in state.items():
        if name.endswith("running_mean"):
            state[name] = rng.normal(0, 0.1, array.shape).astype(np.float32)
        elif name.endswith("running_var"):
            state[name] = rng.uniform(0.05, 0.3, array.shape).astype(np.float32)
    found.load_state_dict(state)
    return found


def pictures(n, classes=3, seed=0):
    """Each class has a color of its own somewhere in a noisy picture; all can be told apart."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    images = rng.integers(60, 140, (n, SIDE, SIDE, 3), np.uint8)
    for image, label in zip(images, labels, strict=True):
        row, column = rng.integers(0, SIDE - 10, 2)
        image[row : row + 10, column : column + 10, label % 3] += 70
    return Dataset(images, labels)
