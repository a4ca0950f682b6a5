"""EfficientNet-Lite: EfficientNet without squeeze-and-excitation and with ReLU6.

M. Tan and Q. Le, "EfficientNet: Rethinking model scaling for convolutional neural networks" (2019);
R. Liu, "Higher accuracy on vision models with EfficientNet-Lite" (2020). Layers are named as in
timm's ``tf_efficientnet_lite0``. As in TensorFlow, a strided convolution has its odd zeros below
and at the right: where sides are even, a `ZeroPad2d` stands before it. Stochastic depth is left
out.
"""

from math import ceil
from typing import Any

from neocog.layers import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    ReLU6,
    Shape,
    ZeroPad2d,
    image_shape,
)
from neocog.models.imagenet import for_channels
from neocog.models.node_list import NodeList
from neocog.models.widths import multiple_of_8, scaled
from neocog.network import Network
from neocog.preprocessing import Preprocessing, Resize

__all__ = ["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"]

# Expansion, kernel, stride, channels and blocks of each stage.
_STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
_STEM, _HEAD = 32, 1280
# As in TensorFlow's code: (pixel − 127) / 128, of the picture without 16 pixels on each side.
_MEAN, _STD = (127 / 255,) * 3, (128 / 255,) * 3


def efficientnet_lite0(
    classes: int = 1000, *, width: float = 1.0, input_shape: Shape = (3, 224, 224)
) -> Network:
    """Seven stages of inverted residual blocks: EfficientNet-Lite0, for photographs.

    4,652,008 parameters with 1,000 classes.
    """
    return _Lite(input_shape, width).network(classes, dropout=0.2, keep=0.875)


def efficientnet_lite1(
    classes: int = 1000, *, width: float = 1.0, input_shape: Shape = (3, 240, 240)
) -> Network:
    """EfficientNet-Lite1: Lite0 with one block more in five of its stages.

    5,416,680 parameters with 1,000 classes.
    """
    return _Lite(input_shape, width, deeper=1.1).network(classes, dropout=0.2, keep=0.882)


def efficientnet_lite2(
    classes: int = 1000, *, width: float = 1.0, input_shape: Shape = (3, 260, 260)
) -> Network:
    """EfficientNet-Lite2: as deep as Lite1, and a tenth wider.

    6,092,072 parameters with 1,000 classes.
    """
    return _Lite(input_shape, width, deeper=1.2, wider=1.1).network(classes, dropout=0.3, keep=0.89)


class _Lite(NodeList):
    """Collects the network's nodes, and keeps the size of the map that each convolution reads."""

    def __init__(
        self, input_shape: Shape, width: float, deeper: float = 1.0, wider: float = 1.0
    ) -> None:
        super().__init__()
        self._input_shape = image_shape(input_shape)
        self._sides: tuple[int, ...] = self._input_shape[1:]
        self._width, self._deeper, self._wider = width, deeper, wider

    def network(self, classes: int, *, dropout: float, keep: float) -> Network:
        """The network, whose stem and head have the same channels in every member of the family."""
        before = _STEM
        self._convolve(
            "conv_stem", "bn1", "act1", self._input_shape[0], scaled(before, self._width), 3, 2
        )
        for stage, (expansion, kernel, stride, channels, blocks) in enumerate(_STAGES):
            after = multiple_of_8(channels * self._wider)
            inner = 0 < stage < len(_STAGES) - 1
            for block in range(ceil(blocks * self._deeper) if inner else blocks):
                steps = stride if block == 0 else 1
                self._block(f"blocks.{stage}.{block}", before, after, expansion, kernel, steps)
                before = after
        wide, head = scaled(before, self._width), scaled(_HEAD, self._width)
        self._convolve("conv_head", "bn2", "act2", wide, head, 1)
        self.add("global_pool", AdaptiveAvgPool2d(1))
        self.add("flatten", Flatten())
        self.add("dropout", Dropout(dropout))
        self.add("classifier", Linear(head, classes))
        preprocessing = Preprocessing(_MEAN, _STD, Resize("crop", "bicubic", keep))
        return Network.from_nodes(
            self.nodes,
            input_shape=self._input_shape,
            preprocessing=for_channels(self._input_shape, preprocessing),
        )

    def _block(
        self, name: str, before: int, after: int, expansion: int, kernel: int, stride: int
    ) -> None:
        """Expand the channels, convolve each, and project them; all added to the block's input."""
        first = self.nodes[-1].name
        narrow, hidden, wide = (
            scaled(channels, self._width) for channels in (before, before * expansion, after)
        )
        number = 1
        if expansion > 1:
            self._convolve(f"{name}.conv_pw", f"{name}.bn1", f"{name}.act1", narrow, hidden, 1)
            number += 1
        self._convolve(
            f"{name}.conv_dw", f"{name}.bn{number}", f"{name}.act{number}", hidden, hidden, kernel,
            stride, groups=hidden,
        )  # fmt: skip
        project = "conv_pwl" if expansion > 1 else "conv_pw"
        self._convolve(f"{name}.{project}", f"{name}.bn{number + 1}", "", hidden, wide, 1)
        self.shortcut(f"{name}.add", first if stride == 1 and before == after else None)

    def _convolve(
        self, name: str, norm: str, act: str, before: int, after: int, kernel: int, stride: int = 1,
        groups: int = 1,
    ) -> None:  # fmt: skip
        """A convolution that gives ⌈size / stride⌉ rows and columns, normalized."""
        zeros = [_zeros(side, kernel, stride) for side in self._sides]
        options: dict[str, Any] = {"stride": stride, "groups": groups, "bias": False}
        if all(total % 2 == 0 for total in zeros):
            options["padding"] = tuple(total // 2 for total in zeros)
        else:
            (top, bottom), (left, right) = ((total // 2, total - total // 2) for total in zeros)
            pad = name.replace("conv", "pad")
            self.add(pad, ZeroPad2d((left, right, top, bottom)), *([] if self.nodes else ["input"]))
        self._sides = tuple(ceil(side / stride) for side in self._sides)
        self.normalized(
            (name, norm, act),
            Conv2d(before, after, kernel, **options),
            BatchNorm2d(after, eps=1e-3, momentum=0.01),
            ReLU6() if act else None,
        )


def _zeros(side: int, kernel: int, stride: int) -> int:
    """The zeros that ⌈side / stride⌉ windows need along one side."""
    return max(0, (ceil(side / stride) - 1) * stride + kernel - side)
