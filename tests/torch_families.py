"""Families of networks for photographs in PyTorch, written anew from their papers and tables.

Modules have the names of torchvision's and timm's, so that a state dict of ours must fit them.
Dropout is left out.
"""

from collections import OrderedDict
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


class Added(nn.Module):
    """A block that is added to its input where both have a shape, as MobileNets have it."""

    def __init__(self, name, layers, adds):
        super().__init__()
        self.name, self.adds = name, adds
        setattr(self, name, nn.Sequential(*layers))

    def forward(self, x):
        y = getattr(self, self.name)(x)
        return x + y if self.adds else y


def normalized(before, after, kernel, stride=1, groups=1, act=None, **norm):
    conv = nn.Conv2d(before, after, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(after, **norm), *([act()] if act else []))


class Classifier(nn.Module):
    """`features`, the means of their maps, and `classifier`."""

    def __init__(self, features, classifier, pooled=1):
        super().__init__()
        self.features, self.classifier, self.pooled = features, classifier, pooled

    def forward(self, x):
        x = functional.adaptive_avg_pool2d(self.features(x), self.pooled)
        return self.classifier(x.flatten(1))


def mobilenet_v2(classes):
    features, before = [normalized(3, 32, 3, 2, act=nn.ReLU6)], 32
    rows = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
            (6, 160, 3, 2), (6, 320, 1, 1))  # fmt: skip
    for t, c, n, s in rows:
        for k in range(n):
            wide, stride = t * before, 1 if k else s
            layers = [normalized(before, wide, 1, act=nn.ReLU6)] if t > 1 else []
            layers += [normalized(wide, wide, 3, stride, wide, nn.ReLU6),
                       nn.Conv2d(wide, c, 1, bias=False), nn.BatchNorm2d(c)]  # fmt: skip
            features.append(Added("conv", layers, stride == 1 and before == c))
            before = c
    features.append(normalized(before, 1280, 1, act=nn.ReLU6))
    return Classifier(
        nn.Sequential(*features), nn.Sequential(nn.Identity(), nn.Linear(1280, classes))
    )


class Squeezed(nn.Module):
    def __init__(self, channels, squeezed):
        super().__init__()
        self.fc1, self.fc2 = nn.Conv2d(channels, squeezed, 1), nn.Conv2d(squeezed, channels, 1)

    def forward(self, x):
        factor = self.fc2(functional.relu(self.fc1(x.mean((2, 3), keepdim=True))))
        return x * functional.hardsigmoid(factor)


def mobilenet_v3(rows, last, hidden):
    norm = {"eps": 1e-3, "momentum": 0.01}

    def make(classes):
        features, before = [normalized(3, 16, 3, 2, act=nn.Hardswish, **norm)], 16
        for k, wide, c, squeezed, swish, s in rows:
            act = nn.Hardswish if swish else nn.ReLU
            layers = [normalized(before, wide, 1, act=act, **norm)] if wide != before else []
            layers.append(normalized(wide, wide, k, s, wide, act, **norm))
            layers += [Squeezed(wide, squeezed)] if squeezed else []
            layers.append(normalized(wide, c, 1, **norm))
            features.append(Added("block", layers, s == 1 and before == c))
            before = c
        features.append(normalized(before, last, 1, act=nn.Hardswish, **norm))
        ends = [nn.Linear(last, hidden), nn.Hardswish(), nn.Identity(), nn.Linear(hidden, classes)]
        return Classifier(nn.Sequential(*features), nn.Sequential(*ends))

    return make


#: Kernel, expanded channels, channels, squeezed channels, hard swish, stride.
V3_SMALL = (
    (3, 16, 16, 8, 0, 2), (3, 72, 24, 0, 0, 2), (3, 88, 24, 0, 0, 1), (5, 96, 40, 24, 1, 2),
    (5, 240, 40, 64, 1, 1), (5, 240, 40, 64, 1, 1), (5, 120, 48, 32, 1, 1),
    (5, 144, 48, 40, 1, 1), (5, 288, 96, 72, 1, 2), (5, 576, 96, 144, 1, 1),
    (5, 576, 96, 144, 1, 1),
)  # fmt: skip
V3_LARGE = (
    (3, 16, 16, 0, 0, 1), (3, 64, 24, 0, 0, 2), (3, 72, 24, 0, 0, 1), (5, 72, 40, 24, 0, 2),
    (5, 120, 40, 32, 0, 1), (5, 120, 40, 32, 0, 1), (3, 240, 80, 0, 1, 2), (3, 200, 80, 0, 1, 1),
    (3, 184, 80, 0, 1, 1), (3, 184, 80, 0, 1, 1), (3, 480, 112, 120, 1, 1),
    (3, 672, 112, 168, 1, 1), (5, 672, 160, 168, 1, 2), (5, 960, 160, 240, 1, 1),
    (5, 960, 160, 240, 1, 1),
)  # fmt: skip


class ResidualBlock(nn.Module):
    def __init__(self, before, channels, after, stride):
        super().__init__()
        sizes = [(before, channels, 3, stride), (channels, after, 3, 1)]
        if after != channels:
            sizes = [(before, channels, 1, 1), (channels, channels, 3, stride),
                     (channels, after, 1, 1)]  # fmt: skip
        self.count, self.downsample = len(sizes), None
        for n, size in enumerate(sizes, 1):
            conv, norm = normalized(*size)
            setattr(self, f"conv{n}", conv)
            setattr(self, f"bn{n}", norm)
        if stride > 1 or before != after:
            self.downsample = normalized(before, after, 1, stride)

    def forward(self, x):
        y = x
        for n in range(1, self.count + 1):
            y = getattr(self, f"bn{n}")(getattr(self, f"conv{n}")(y))
            y = functional.relu(y) if n < self.count else y
        return functional.relu(y + (self.downsample(x) if self.downsample else x))


class ResNet(nn.Module):
    def __init__(self, counts, expansion, classes):
        super().__init__()
        self.conv1, self.bn1 = normalized(3, 64, 7, 2)
        before = 64
        for n, count in enumerate(counts):
            blocks, channels = [], 64 * 2**n
            for k in range(count):
                stride = 2 if n and not k else 1
                blocks.append(ResidualBlock(before, channels, channels * expansion, stride))
                before = channels * expansion
            setattr(self, f"layer{n + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(before, classes)

    def forward(self, x):
        x = functional.max_pool2d(functional.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


class Fire(nn.Module):
    def __init__(self, before, squeezed, after):
        super().__init__()
        self.squeeze = nn.Conv2d(before, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, after, 1)
        self.expand3x3 = nn.Conv2d(squeezed, after, 3, padding=1)

    def forward(self, x):
        x = functional.relu(self.squeeze(x))
        return functional.relu(torch.cat([self.expand1x1(x), self.expand3x3(x)], 1))


class SqueezeNet(nn.Module):
    def __init__(self, classes):
        super().__init__()

        def pool():
            return nn.MaxPool2d(3, 2, ceil_mode=True)

        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 3, 2), nn.ReLU(), pool(), Fire(64, 16, 64), Fire(128, 16, 64), pool(),
            Fire(128, 32, 128), Fire(256, 32, 128), pool(), Fire(256, 48, 192), Fire(384, 48, 192),
            Fire(384, 64, 256), Fire(512, 64, 256),
        )  # fmt: skip
        self.classifier = nn.Sequential(nn.Identity(), nn.Conv2d(512, classes, 1), nn.ReLU())

    def forward(self, x):
        return self.classifier(self.features(x)).mean((2, 3))


def vgg11_bn(classes, width=1.0):
    features, before = [], 3
    for c in (64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0):
        after = int(c * width)
        if c:
            features += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
            before = after
        else:
            features.append(nn.MaxPool2d(2))
    wide = int(4096 * width)
    ends = [nn.Linear(49 * before, wide), nn.ReLU(), nn.Identity(), nn.Linear(wide, wide),
            nn.ReLU(), nn.Identity(), nn.Linear(wide, classes)]  # fmt: skip
    return Classifier(nn.Sequential(*features), nn.Sequential(*ends), pooled=7)


class DenseLayer(nn.Module):
    def __init__(self, before):
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(before), nn.Conv2d(before, 128, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(128)
        self.conv2 = nn.Conv2d(128, 32, 3, padding=1, bias=False)

    def forward(self, x):
        y = self.conv1(functional.relu(self.norm1(x)))
        return torch.cat([x, self.conv2(functional.relu(self.norm2(y)))], 1)


def densenet121(classes):
    parts = {"conv0": nn.Conv2d(3, 64, 7, 2, 3, bias=False), "norm0": nn.BatchNorm2d(64),
             "relu0": nn.ReLU(), "pool0": nn.MaxPool2d(3, 2, 1)}  # fmt: skip
    before = 64
    for n, count in enumerate((6, 12, 24, 16), 1):
        layers = {f"denselayer{k + 1}": DenseLayer(before + 32 * k) for k in range(count)}
        parts[f"denseblock{n}"] = nn.Sequential(OrderedDict(layers))
        before += 32 * count
        if n < 4:
            half = {"norm": nn.BatchNorm2d(before), "relu": nn.ReLU(),
                    "conv": nn.Conv2d(before, before // 2, 1, bias=False),
                    "pool": nn.AvgPool2d(2)}  # fmt: skip
            parts[f"transition{n}"] = nn.Sequential(OrderedDict(half))
            before //= 2
    parts |= {"norm5": nn.BatchNorm2d(before), "relu5": nn.ReLU()}
    return Classifier(nn.Sequential(OrderedDict(parts)), nn.Linear(before, classes))


class ChannelNorm(nn.LayerNorm):
    """Layer normalization over the channels of a map."""

    def __init__(self, channels):
        super().__init__(channels, eps=1e-6)

    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class NextBlock(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv_dw, self.norm = nn.Conv2d(c, c, 7, padding=3, groups=c), ChannelNorm(c)
        mlp = {"fc1": nn.Conv2d(c, 4 * c, 1), "act": nn.GELU(), "fc2": nn.Conv2d(4 * c, c, 1)}
        self.mlp = nn.Sequential(OrderedDict(mlp))
        self.gamma = nn.ParameterDict({"weight": nn.Parameter(torch.ones(c, 1, 1, 1))})

    def forward(self, x):
        return x + self.mlp(self.norm(self.conv_dw(x))) * self.gamma["weight"][:, 0]


class ConvNeXt(nn.Module):
    def __init__(self, classes):
        super().__init__()
        before, stages = 40, []
        self.stem = nn.Sequential(nn.Conv2d(3, before, 4, 4), ChannelNorm(before))
        for n, (c, count) in enumerate(((40, 2), (80, 2), (160, 6), (320, 2))):
            parts = {"blocks": nn.Sequential(*(NextBlock(c) for _ in range(count)))}
            if n:
                down = nn.Sequential(ChannelNorm(before), nn.Conv2d(before, c, 2, 2))
                parts = {"downsample": down, **parts}
            stages.append(nn.Sequential(OrderedDict(parts)))
            before = c
        self.stages = nn.Sequential(*stages)
        head = {"norm": ChannelNorm(before), "fc": nn.Linear(before, classes)}
        self.head = nn.ModuleDict(head)

    def forward(self, x):
        x = self.stages(self.stem(x)).mean((2, 3), keepdim=True)
        return self.head["fc"](self.head["norm"](x).flatten(1))


#: By our names: what makes the network for so many classes.
FAMILIES = {
    "efficientnet-lite0": lite((16, 24, 40, 80, 112, 192, 320), (1, 2, 2, 3, 3, 4, 1)),
    "efficientnet-lite1": lite((16, 24, 40, 80, 112, 192, 320), (1, 3, 3, 4, 4, 5, 1)),
    "efficientnet-lite2": lite((16, 24, 48, 88, 120, 208, 352), (1, 3, 3, 4, 4, 5, 1)),
    "mobilenet-v2": mobilenet_v2,
    "mobilenet-v3-small": mobilenet_v3(V3_SMALL, 576, 1024),
    "mobilenet-v3-large": mobilenet_v3(V3_LARGE, 960, 1280),
    "resnet18-224": lambda classes: ResNet((2, 2, 2, 2), 1, classes),
    "resnet34-224": lambda classes: ResNet((3, 4, 6, 3), 1, classes),
    "resnet50-224": lambda classes: ResNet((3, 4, 6, 3), 4, classes),
    "squeezenet1-1": SqueezeNet,
    "vgg11-bn": vgg11_bn,
    "densenet121": densenet121,
    "convnext-atto": ConvNeXt,
}
