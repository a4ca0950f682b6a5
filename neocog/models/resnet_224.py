"""Residual networks for photographs, whose layers are named as in torchvision.

K. He, X. Zhang, S. Ren and J. Sun, "Deep residual learning for image recognition" (2015). They
begin with a convolution of 7 × 7 and pooling, which divide height and width by four; those for
small images are in `resnet`.
"""

from neocog.layers import (
    AdaptiveAvgPool2d,
    Add,
    BatchNorm2d,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
    Shape,
    image_shape,
)
from neocog.models.imagenet import imagenet_preprocessing
from neocog.models.node_list import NodeList
from neocog.models.widths import scaled
from neocog.network import Network

__all__ = ["resnet18_224", "resnet34_224", "resnet50_224"]

_STAGES = (64, 128, 256, 512)


def resnet18_224(
    classes: int = 1000, *, width: float = 1.0, input_shape: Shape = (3, 224, 224)
) -> Network:
    """Four stages of two blocks of two convolutions: ResNet-18, for photographs.

    11,689,512 parameters with 1,000 classes.
    """
    return _resnet((2, 2, 2, 2), 1, classes, width, input_shape)


def resnet34_224(
    classes: int = 1000, *, width: float = 1.0, input_shape: Shape = (3, 224, 224)
) -> Network:
    """Sixteen blocks of two convolutions: ResNet-34, for photographs.

    21,797,672 parameters with 1,000 classes.
    """
    return _resnet((3, 4, 6, 3), 1, classes, width, input_shape)


def resnet50_224(
    classes: int = 1000, *, width: float = 1.0, input_shape: Shape = (3, 224, 224)
) -> Network:
    """Sixteen bottlenecks of three convolutions: ResNet-50, for photographs.

    As in torchvision, the convolution of 3 × 3 has the stride. 25,557,032 parameters with 1,000
    classes.
    """
    return _resnet((3, 4, 6, 3), 4, classes, width, input_shape)


def _resnet(
    blocks: tuple[int, ...], expansion: int, classes: int, width: float, input_shape: Shape
) -> Network:
    """The network; with an expansion its blocks are bottlenecks, which end in more channels."""
    input_shape = image_shape(input_shape)
    nodes = NodeList()
    before = _STAGES[0]
    stem = scaled(before, width)
    nodes.normalized(
        ("conv1", "bn1", "relu"),
        Conv2d(input_shape[0], stem, 7, stride=2, padding=3, bias=False),
        BatchNorm2d(stem),
        ReLU(),
    )
    nodes.add("maxpool", MaxPool2d(3, 2, 1))
    for stage, (channels, count) in enumerate(zip(_STAGES, blocks, strict=True), 1):
        for block in range(count):
            name, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            _block(nodes, name, before, channels, expansion, stride, width)
            before = channels * expansion
    nodes.add("avgpool", AdaptiveAvgPool2d(1))
    nodes.add("flatten", Flatten())
    nodes.add("fc", Linear(scaled(before, width), classes))
    return Network.from_nodes(
        nodes.nodes,
        input_shape=input_shape,
        preprocessing=imagenet_preprocessing(input_shape),
    )


def _block(
    nodes: NodeList, name: str, before: int, channels: int, expansion: int, stride: int,
    width: float,
) -> None:  # fmt: skip
    """Two convolutions of 3 × 3, or one between two of 1 × 1; added to their input, then ReLU."""
    first, after = nodes.nodes[-1].name, channels * expansion
    narrow, middle, wide = (scaled(n, width) for n in (before, channels, after))
    sizes = [(narrow, middle, 3, stride), (middle, wide, 3, 1)]
    if expansion > 1:
        sizes = [(narrow, middle, 1, 1), (middle, middle, 3, stride), (middle, wide, 1, 1)]
    for number, (inputs, outputs, kernel, steps) in enumerate(sizes, 1):
        conv = Conv2d(inputs, outputs, kernel, stride=steps, padding=kernel // 2, bias=False)
        names = (f"{name}.conv{number}", f"{name}.bn{number}", f"{name}.relu{number}")
        last = nodes.normalized(
            names, conv, BatchNorm2d(outputs), ReLU() if number < len(sizes) else None
        )
    around = first
    if stride > 1 or before != after:
        nodes.add(f"{name}.downsample.0", Conv2d(narrow, wide, 1, stride=stride, bias=False), first)
        around = nodes.add(f"{name}.downsample.1", BatchNorm2d(wide))
    nodes.add(f"{name}.add", Add(), last, around)
    nodes.add(f"{name}.relu", ReLU())
