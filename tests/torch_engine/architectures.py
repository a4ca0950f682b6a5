"""Well-known designs in plain PyTorch: small, and each in a style in which people write."""

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - its usual name

SHAPE = (3, 16, 16)


class FirstNet(nn.Module):
    """PyTorch's own first example: functions between modules, and view with a fixed number."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5, padding=2)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 2 * 2, 20)
        self.fc2 = nn.Linear(20, 5)
        self.p = 0.25

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = x.view(-1, 16 * 2 * 2)
        x = F.dropout(F.relu(self.fc1(x)), self.p, self.training)
        return self.fc2(x)


def vgg():
    """Nothing but nn.Sequential."""
    layers, channels = [], 3
    for width in (8, "pool", 12, 12, "pool"):
        if width == "pool":
            layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
            continue
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width)]
        layers.append(nn.ReLU(inplace=True))
        channels = width
    head = [nn.AdaptiveAvgPool2d((2, 2)), nn.Flatten(), nn.Linear(48, 16), nn.Tanh()]
    return nn.Sequential(nn.Sequential(*layers), *head, nn.Dropout(), nn.Linear(16, 5))


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)  # used twice
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


class ResNet(nn.Module):
    """As in torchvision."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = nn.Sequential(BasicBlock(8, 8), BasicBlock(8, 8))
        self.layer2 = nn.Sequential(BasicBlock(8, 16, 2))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(16, 5)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.avgpool(self.layer2(self.layer1(x)))
        return self.fc(torch.flatten(x, 1))


class SqueezeExcitation(nn.Module):
    """With Linear layers, view and expand_as, as in the first repositories."""

    def __init__(self, channels):
        super().__init__()
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Sequential(
            nn.Linear(channels, 4, bias=False),
            nn.ReLU(inplace=True),
            nn.Linear(4, channels),
            nn.Sigmoid(),
        )

    def forward(self, x):
        b, c, _, _ = x.size()
        y = self.avg_pool(x).view(b, c)
        y = self.fc(y).view(b, c, 1, 1)
        return x * y.expand_as(x)


class SENet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 12, 3, stride=2, padding=1)
        self.se = SqueezeExcitation(12)
        self.head = nn.Linear(12, 5)

    def forward(self, x):
        x = self.se(F.elu(self.conv(x)))
        return self.head(x.mean(dim=(-2, -1)))


def mobile_block(inputs, outputs, stride):
    return nn.Sequential(
        nn.Conv2d(inputs, inputs * 2, 1, bias=False),
        nn.BatchNorm2d(inputs * 2),
        nn.ReLU6(inplace=True),
        nn.Conv2d(inputs * 2, inputs * 2, 3, stride, 1, groups=inputs * 2, bias=False),
        nn.BatchNorm2d(inputs * 2),
        nn.ReLU6(inplace=True),
        nn.Conv2d(inputs * 2, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01),
    )


class MobileNet(nn.Module):
    """Inverted residuals with depthwise convolutions in a ModuleList, and padding by hand."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2)
        self.blocks = nn.ModuleList([mobile_block(8, 8, 1), mobile_block(8, 12, 2)])
        self.classifier = nn.Sequential(nn.Dropout(p=0.2), nn.Linear(12, 5))

    def forward(self, x):
        x = F.hardswish(self.stem(F.pad(x, (0, 1, 0, 1))))
        for n, block in enumerate(self.blocks):
            y = block(x)
            x = x + y if n == 0 else y
        x = F.adaptive_avg_pool2d(x, 1).squeeze(-1).squeeze(-1)
        return self.classifier(x)


class DenseNet(nn.Module):
    """Concatenations that grow, and batch normalization before convolution."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.norms = nn.ModuleList(nn.BatchNorm2d(8 + 4 * n) for n in range(3))
        self.convs = nn.ModuleList(nn.Conv2d(8 + 4 * n, 4, 3, padding=1) for n in range(3))
        self.transition = nn.Sequential(nn.BatchNorm2d(20), nn.ReLU(), nn.AvgPool2d(2))
        self.out = nn.Linear(20 * 4 * 4, 5)

    def forward(self, x):
        features = [F.avg_pool2d(self.stem(x), 2)]
        for norm, conv in zip(self.norms, self.convs, strict=True):
            features.append(conv(F.relu(norm(torch.cat(features, 1)))))
        x = self.transition(torch.cat(features, dim=1))
        return self.out(x.reshape(x.shape[0], -1))


class Inception(nn.Module):
    """Four branches, a ceiling in the pooling, and a global maximum."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding="same", padding_mode="reflect")
        self.one = nn.Conv2d(8, 4, 1)
        self.three = nn.Conv2d(8, 4, 3, padding=1)
        self.five = nn.Conv2d(8, 4, 3, padding=2, dilation=2)
        self.pool = nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.Conv2d(8, 4, 1))
        self.act = nn.PReLU(16)
        self.fc = nn.Linear(16, 5)

    def forward(self, x):
        x = F.max_pool2d(F.silu(self.stem(x)), 3, 2, ceil_mode=True)
        branches = [self.one(x), self.three(x), self.five(x), self.pool(x)]
        x = self.act(torch.cat(branches, 1))
        return self.fc(F.adaptive_max_pool2d(x, 1).flatten(1))


class ShuffleNet(nn.Module):
    """Channels that are split and interleaved, once by hand and once by the module."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.GroupNorm(2, 8), nn.Mish())
        self.branch = nn.Conv2d(4, 4, 3, padding=1, groups=2)
        self.shuffle = nn.ChannelShuffle(4)
        self.fc = nn.Linear(8 * 64, 5)

    def forward(self, x):
        left, right = self.stem(x).chunk(2, dim=1)
        x = torch.cat((left, self.branch(right)), dim=1)
        n, c, h, w = x.shape
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        x = self.shuffle(x)[:, 2:] * 0.5 + x[:, :6] / 4
        return self.fc(torch.cat([x, x[:, 1:3]], 1).flatten(start_dim=1))


class LayerNorm2d(nn.LayerNorm):
    """As in torchvision."""

    def forward(self, x):
        x = x.permute(0, 2, 3, 1)
        x = F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class ConvNext(nn.Module):
    """Layer normalization in both ways, large depthwise kernels, and upsampling."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 4, 4), LayerNorm2d(8, eps=1e-6))
        self.dw = nn.Conv2d(8, 8, 7, padding=3, groups=8)
        self.norm = nn.LayerNorm(8)
        self.up, self.down = nn.Conv2d(8, 16, 1), nn.Conv2d(16, 8, 1)
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        x = self.stem(x)
        y = self.norm(self.dw(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        x = x + self.down(F.gelu(self.up(y)))
        x = F.interpolate(x, scale_factor=2)
        return self.fc(x.mean([2, 3]))


class Bare(nn.Module):
    """Parameters without modules, and functions that take them."""

    def __init__(self):
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(8, 3, 3, 3) * 0.2)
        self.offset = nn.Parameter(torch.randn(8))
        self.matrix = nn.Parameter(torch.randn(5, 8) * 0.3)
        self.register_buffer("mean", torch.randn(8) * 0.1)
        self.register_buffer("var", torch.rand(8) + 0.5)

    def forward(self, x):
        x = F.conv2d(x, self.kernel, self.offset, stride=2)
        x = F.leaky_relu(F.batch_norm(x, self.mean, self.var), 0.2)
        return F.linear(x.amax((2, 3)), self.matrix)


class Asking(nn.Module):
    """What it does depends on sizes, by loops and conditions: torch.fx cannot trace it."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1)
        self.bn = nn.BatchNorm2d(8)
        self.act = nn.ReLU()
        self.blocks = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1) for _ in range(2))
        self.drop = nn.Dropout(0.3)
        self.fc = nn.Linear(8 * 16, 5)

    def forward(self, x):
        x = self.act(self.bn(self.conv1(x)))
        for block in self.blocks:
            x = x + F.softplus(block(x))
            if x.shape[-1] > 8:
                x = F.max_pool2d(x, 2)
        while x.shape[-1] > 4:
            x = F.avg_pool2d(x, 2)
        return self.fc(self.drop(x.view(-1, self.features(x))))

    @staticmethod
    def features(x):
        count = 1
        for size in x.size()[1:]:
            count *= size
        return count


#: By name.
ARCHITECTURES = {
    "first": FirstNet,
    "vgg": vgg,
    "resnet": ResNet,
    "senet": SENet,
    "mobilenet": MobileNet,
    "densenet": DenseNet,
    "inception": Inception,
    "shufflenet": ShuffleNet,
    "convnext": ConvNext,
    "bare": Bare,
    "asking": Asking,
}
