"""Two networks for photographs of 224 × 224 that everybody measures, without weights.

EfficientNet-Lite0 (M. Tan and Q. Le, "EfficientNet", 2019; the Lite variant has ReLU6 and no
squeeze-and-excitation) and ResNet-18 in its ImageNet form (K. He et al., 2015).
"""

from neocog.layers import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
    ReLU6,
    Residual,
    Sequential,
)
from neocog.network import Network

INPUT = (3, 224, 224)
CLASSES = 1000
# Expansion, kernel, stride, channels, blocks.
_LITE0 = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)


def _named(layers):
    """The layers by name: l1, l2 and so on."""
    return {f"l{n}": layer for n, layer in enumerate(layers, 1)}


def _normalized(before, channels, kernel, stride=1, groups=1):
    options = {"stride": stride, "padding": kernel // 2, "groups": groups, "bias": False}
    return [Conv2d(before, channels, kernel, **options), BatchNorm2d(channels)]


def _inverted(before, channels, expansion, kernel, stride):
    wide = before * expansion
    layers = [*_normalized(before, wide, 1), ReLU6()] if expansion > 1 else []
    layers += [*_normalized(wide, wide, kernel, stride, groups=wide), ReLU6()]
    whole = Sequential(**_named([*layers, *_normalized(wide, channels, 1)]))
    return Residual(whole) if stride == 1 and before == channels else whole


def efficientnet_lite0():
    """EfficientNet-Lite0."""
    layers = [*_normalized(3, 32, 3, 2), ReLU6()]
    before = 32
    for expansion, kernel, stride, channels, blocks in _LITE0:
        for block in range(blocks):
            step = stride if block == 0 else 1
            layers.append(_inverted(before, channels, expansion, kernel, step))
            before = channels
    layers += [*_normalized(before, 1280, 1), ReLU6(), AdaptiveAvgPool2d(1), Flatten()]
    return Network(**_named(layers), fc=Linear(1280, CLASSES), input_shape=INPUT)


def _basic(before, channels, stride):
    layers = [
        *_normalized(before, channels, 3, stride),
        ReLU(),
        *_normalized(channels, channels, 3),
    ]
    main = Sequential(**_named(layers))
    if stride == 1 and before == channels:
        return Residual(main)
    return Residual(main, Sequential(**_named(_normalized(before, channels, 1, stride))))


def resnet18():
    """ResNet-18 with its first convolution of 7 × 7 and pooling."""
    layers = [*_normalized(3, 64, 7, 2), ReLU(), MaxPool2d(3, 2, 1)]
    before = 64
    for stage, channels in enumerate((64, 128, 256, 512)):
        for block in range(2):
            stride = 2 if stage > 0 and block == 0 else 1
            layers += [_basic(before, channels, stride), ReLU()]
            before = channels
    layers += [AdaptiveAvgPool2d(1), Flatten()]
    return Network(**_named(layers), fc=Linear(512, CLASSES), input_shape=INPUT)
