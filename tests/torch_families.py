"""Families of networks for photographs in PyTorch, written anew from their papers and tables.

Modules have the names of torchvision's and timm's, so that a state dict of ours must fit them.
Dropout is left out.
"""

from math import ceil

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402


class SamePadded(nn.Conv2d):
    """As TensorFlow pads: ⌈size / stride⌉ outputs, the odd zero below and at the right."""

    def forward(self, x):
        sides = []
        for size, kernel, stride in zip(x.shape[2:], self.kernel_size, self.stride, strict=True):
            total = max(0, (ceil(size / stride) - 1) * stride + kernel - size)
            sides = [total // 2, total - total // 2, *sides]
        return super().forward(functional.pad(x, sides))


class LiteBlock(nn.Module):
    def __init__(self, before, after, expansion, kernel, stride):
        super().__init__()
        hidden = before * expansion

        def norm(channels):
            return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)

        depthwise = SamePadded(hidden, hidden, kernel, stride, groups=hidden, bias=False)
        if expansion == 1:
            self.conv_dw, self.bn1 = depthwise, norm(hidden)
            self.conv_pw, self.bn2 = nn.Conv2d(hidden, after, 1, bias=False), norm(after)
        else:
            self.conv_pw, self.bn1 = nn.Conv2d(before, hidden, 1, bias=False), norm(hidden)
            self.conv_dw, self.bn2 = depthwise, norm(hidden)
            self.conv_pwl, self.bn3 = nn.Conv2d(hidden, after, 1, bias=False), norm(after)
        self.expands, self.adds = expansion > 1, stride == 1 and before == after

    def forward(self, x):
        if self.expands:
            y = functional.relu6(self.bn1(self.conv_pw(x)))
            y = functional.relu6(self.bn2(self.conv_dw(y)))
            y = self.bn3(self.conv_pwl(y))
        else:
            y = self.bn2(self.conv_pw(functional.relu6(self.bn1(self.conv_dw(x)))))
        return x + y if self.adds else y


class EfficientNetLite(nn.Module):
    def __init__(self, stages, classes):
        super().__init__()
        self.conv_stem = SamePadded(3, 32, 3, 2, bias=False)
        self.bn1 = nn.BatchNorm2d(32, eps=1e-3, momentum=0.01)
        before, made = 32, []
        for expansion, kernel, stride, after, count in stages:
            blocks = []
            for n in range(count):
                blocks.append(LiteBlock(before, after, expansion, kernel, 1 if n else stride))
                before = after
            made.append(nn.Sequential(*blocks))
        self.blocks = nn.Sequential(*made)
        self.conv_head = nn.Conv2d(before, 1280, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(1280, eps=1e-3, momentum=0.01)
        self.classifier = nn.Linear(1280, classes)

    def forward(self, x):
        x = self.blocks(functional.relu6(self.bn1(self.conv_stem(x))))
        x = functional.relu6(self.bn2(self.conv_head(x)))
        return self.classifier(x.mean((2, 3)))


def lite(channels, counts):
    """The makers of a member of the family from its stages' channels and blocks."""
    kinds = ((1, 3, 1), (6, 3, 2), (6, 5, 2), (6, 3, 2), (6, 5, 1), (6, 5, 2), (6, 3, 1))
    stages = [(*kind, *both) for kind, *both in zip(kinds, channels, counts, strict=True)]
    return lambda classes: EfficientNetLite(stages, classes)


#: By our names: what makes the network for so many classes.
FAMILIES = {
    "efficientnet-lite0": lite((16, 24, 40, 80, 112, 192, 320), (1, 2, 2, 3, 3, 4, 1)),
    "efficientnet-lite1": lite((16, 24, 40, 80, 112, 192, 320), (1, 3, 3, 4, 4, 5, 1)),
    "efficientnet-lite2": lite((16, 24, 48, 88, 120, 208, 352), (1, 3, 3, 4, 4, 5, 1)),
}
