"""MobileNetV3, small and large, whose layers are named as in torchvision.

A. Howard et al., "Searching for MobileNetV3" (2019). A block may have squeeze-and-excitation (J. Hu
et al., 2018): a factor for each channel, of the means of all channels.
"""

from neocog.layers import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Hardsigmoid,
    Hardswish,
    Layer,
    Linear,
    Multiply,
    ReLU,
    Shape,
    image_shape,
)
from neocog.models.imagenet import imagenet_preprocessing
from neocog.models.node_list import NodeList
from neocog.models.widths import multiple_of_8, scaled
from neocog.network import Network

__all__ = ["mobilenet_v3_large", "mobilenet_v3_small"]

# Kernel, expanded channels, channels, squeeze-and-excitation, hard swish and stride of each block.
_Blocks = tuple[tuple[int, int, int, bool, bool, int], ...]
_SMALL: _Blocks = (
    (3, 16, 16, True, False, 2),
    (3, 72, 24, False, False, 2),
    (3, 88, 24, False, False, 1),
    (5, 96, 40, True, True, 2),
    (5, 240, 40, True, True, 1),
    (5, 240, 40, True, True, 1),
    (5, 120, 48, True, True, 1),
    (5, 144, 48, True, True, 1),
    (5, 288, 96, True, True, 2),
    (5, 576, 96, True, True, 1),
    (5, 576, 96, True, True, 1),
)
_LARGE: _Blocks = (
    (3, 16, 16, False, False, 1),
    (3, 64, 24, False, False, 2),
    (3, 72, 24, False, False, 1),
    (5, 72, 40, True, False, 2),
    (5, 120, 40, True, False, 1),
    (5, 120, 40, True, False, 1),
    (3, 240, 80, False, True, 2),
    (3, 200, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 480, 112, True, True, 1),
    (3, 672, 112, True, True, 1),
    (5, 672, 160, True, True, 2),
    (5, 960, 160, True, True, 1),
    (5, 960, 160, True, True, 1),
)
_STEM = 16


def mobilenet_v3_small(
    classes: int = 1000, *, width: float = 1.0, input_shape: Shape = (3, 224, 224)
) -> Network:
    """Eleven inverted residual blocks, nine with squeeze-and-excitation: MobileNetV3-Small.

    2,542,856 parameters with 1,000 classes.
    """
    return _mobilenet_v3(_SMALL, 576, 1024, classes, width, input_shape)


def mobilenet_v3_large(
    classes: int = 1000, *, width: float = 1.0, input_shape: Shape = (3, 224, 224)
) -> Network:
    """Fifteen inverted residual blocks, eight with squeeze-and-excitation: MobileNetV3-Large.

    5,483,032 parameters with 1,000 classes.
    """
    return _mobilenet_v3(_LARGE, 960, 1280, classes, width, input_shape)


def _mobilenet_v3(
    blocks: _Blocks, last: int, hidden: int, classes: int, width: float, input_shape: Shape
) -> Network:
    input_shape = image_shape(input_shape)
    nodes = NodeList()
    _convolve(nodes, "features.0", input_shape[0], scaled(_STEM, width), 3, 2, act=Hardswish())
    before = _STEM
    for number, (kernel, expanded, after, squeezes, swish, stride) in enumerate(blocks, 1):
        act = Hardswish() if swish else ReLU()
        name, sizes = f"features.{number}", (before, expanded, after)
        _block(nodes, name, sizes, kernel, stride, squeezes, act, width)
        before = after
    name, last, hidden = f"features.{len(blocks) + 1}", scaled(last, width), scaled(hidden, width)
    _convolve(nodes, name, scaled(before, width), last, 1, act=Hardswish())
    nodes.add("avgpool", AdaptiveAvgPool2d(1))
    nodes.add("flatten", Flatten())
    nodes.add("classifier.0", Linear(last, hidden))
    nodes.add("classifier.1", Hardswish())
    nodes.add("classifier.2", Dropout(0.2))
    nodes.add("classifier.3", Linear(hidden, classes))
    return Network.from_nodes(
        nodes.nodes,
        input_shape=input_shape,
        preprocessing=imagenet_preprocessing(input_shape),
    )


def _block(
    nodes: NodeList, name: str, sizes: tuple[int, int, int], kernel: int, stride: int,
    squeezes: bool, act: Layer, width: float,
) -> None:  # fmt: skip
    """Expand the channels, convolve each, weigh them, project them; and add the block's input."""
    before, hidden, after = sizes
    first, number = nodes.nodes[-1].name, 0
    narrow, expanded, wide = (scaled(channels, width) for channels in sizes)
    if hidden != before:
        _convolve(nodes, f"{name}.block.0", narrow, expanded, 1, act=act)
        number = 1
    _convolve(
        nodes, f"{name}.block.{number}", expanded, expanded, kernel, stride, expanded, act=act
    )
    if squeezes:
        number += 1
        squeezed = scaled(multiple_of_8(hidden // 4), width)
        _squeeze(nodes, f"{name}.block.{number}", expanded, squeezed)
    _convolve(nodes, f"{name}.block.{number + 1}", expanded, wide, 1, act=None)
    nodes.shortcut(f"{name}.add", first if stride == 1 and before == after else None)


def _squeeze(nodes: NodeList, name: str, channels: int, squeezed: int) -> None:
    """Multiply each channel by a factor from 0 to 1, of the means of all channels."""
    x = nodes.nodes[-1].name
    nodes.add(f"{name}.avgpool", AdaptiveAvgPool2d(1))
    nodes.add(f"{name}.fc1", Conv2d(channels, squeezed, 1))
    nodes.add(f"{name}.activation", ReLU())
    nodes.add(f"{name}.fc2", Conv2d(squeezed, channels, 1))
    factor = nodes.add(f"{name}.scale_activation", Hardsigmoid())
    nodes.add(f"{name}.multiply", Multiply(), x, factor)


def _convolve(
    nodes: NodeList, name: str, before: int, after: int, kernel: int, stride: int = 1,
    groups: int = 1, *, act: Layer | None,
) -> None:  # fmt: skip
    nodes.normalized(
        (f"{name}.0", f"{name}.1", f"{name}.2"),
        Conv2d(
            before, after, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False
        ),
        BatchNorm2d(after, eps=1e-3, momentum=0.01),
        act,
    )
