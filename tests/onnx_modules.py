"""Networks of PyTorch's that exporters write and neocog reads."""

import torch
from torch import nn
from torch.nn import functional

SHAPE = (3, 16, 12)


class Residual(nn.Module):
    """Two blocks with shortcuts, as in a residual network."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.conv2, self.bn2 = nn.Conv2d(8, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8)
        self.down = nn.Sequential(nn.Conv2d(8, 8, 1, 2, bias=False), nn.BatchNorm2d(8))
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        x = functional.relu(self.bn1(self.conv1(x)))
        x = functional.relu(self.bn2(self.conv2(x)) + self.down(x))
        return self.fc(x.mean((2, 3)))


class Excited(nn.Module):
    """Inverted bottlenecks with squeeze-and-excitation by linear layers, dropout and SiLU."""

    def __init__(self, act=nn.SiLU):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), act())
        self.wide = nn.Sequential(
            nn.Conv2d(8, 16, 1, bias=False), nn.BatchNorm2d(16), act(),
            nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False), nn.BatchNorm2d(16), act(),
        )  # fmt: skip
        self.squeeze = nn.Sequential(
            nn.Linear(16, 4), nn.ReLU(), nn.Linear(4, 16), nn.Hardsigmoid()
        )
        self.thin = nn.Sequential(nn.Conv2d(16, 8, 1, bias=False), nn.BatchNorm2d(8))
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(8, 5)
        )

    def forward(self, x):
        x = self.stem(x)
        y = self.wide(x)
        gate = self.squeeze(functional.adaptive_avg_pool2d(y, 1).flatten(1))
        y = self.thin(y * gate[:, :, None, None])
        return self.head(x + y)


class Shuffled(nn.Module):
    """Channels split, concatenated and interleaved, as in ShuffleNet."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU6())
        self.branch = nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        left, right = self.stem(x).chunk(2, dim=1)
        x = torch.cat((left, self.branch(right)), dim=1)
        n, c, h, w = x.size()
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, -1, h, w)
        return self.fc(x.mean((2, 3)))


class NextBlock(nn.Module):
    """A block of ConvNeXt: layer normalization and linear layers of pixels, and a layer scale."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 2, 2)
        self.depthwise = nn.Conv2d(8, 8, 7, padding=3, groups=8)
        self.norm = nn.LayerNorm(8, eps=1e-6)
        self.up, self.down = nn.Linear(8, 16), nn.Linear(16, 8)
        self.gamma = nn.Parameter(torch.linspace(0.1, 1, 8))
        self.last = nn.LayerNorm(8)
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        x = self.stem(x)
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.gamma * self.down(functional.gelu(self.up(y)))
        x = x + y.permute(0, 3, 1, 2)
        x = self.last(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return self.fc(functional.adaptive_max_pool2d(x, 1).flatten(1))


class Parallel(nn.Module):
    """Branches of several kinds, concatenated, and pools with rests."""

    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(3, 4, 1)
        self.three = nn.Conv2d(3, 4, 3, padding=2, dilation=2, padding_mode="circular")
        self.pool = nn.MaxPool2d(3, 2, 1, ceil_mode=True)
        self.mean = nn.AvgPool2d(3, 2, 1, count_include_pad=False)
        self.norm = nn.GroupNorm(2, 8)
        self.fc = nn.Linear(8 * 5 * 4, 5)

    def forward(self, x):
        x = torch.cat([self.one(x), self.three(x)], 1)
        x = self.norm(self.pool(x) * 0.5)
        x = self.mean(functional.interpolate(x, scale_factor=2.0))
        x = functional.pad(x, (0, 1, 1, 0))
        return self.fc(functional.avg_pool2d(x, 2, 2, ceil_mode=True)[:, :, :, :].flatten(1))


class Activations(nn.Module):
    """One activation after another."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1, padding_mode="reflect")
        self.acts = nn.Sequential(
            nn.GELU(), nn.GELU("tanh"), nn.Mish(), nn.Softplus(), nn.Softplus(2.0, 9.0),
            nn.ELU(0.5), nn.Hardswish(), nn.PReLU(6), nn.LeakyReLU(0.1), nn.Tanh(), nn.Sigmoid(),
            nn.PReLU(),
        )  # fmt: skip
        self.pads = nn.Sequential(
            nn.ReplicationPad2d(1), nn.CircularPad2d((1, 0, 2, 1)), nn.ZeroPad2d((1, 0, 2, 0))
        )
        self.fc = nn.Linear(6, 5)

    def forward(self, x):
        return self.fc(self.pads(self.acts(self.conv(x))).mean((2, 3))) - 0.25 * self.fc.bias


class Mobile(nn.Module):
    """Inverted bottlenecks as in MobileNet V2: ReLU6, depthwise convolutions, linear ends."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(self.unit(3, 8, 3, 2), self.block(8, 8), self.block(8, 12, 2))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(12, 5))

    @staticmethod
    def unit(before, after, kernel, stride=1, groups=1):
        conv = nn.Conv2d(before, after, kernel, stride, kernel // 2, groups=groups, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(after), nn.ReLU6(inplace=True))

    @classmethod
    def block(cls, before, after, stride=1):
        wide = 2 * before
        layers = nn.Sequential(
            cls.unit(before, wide, 1), cls.unit(wide, wide, 3, stride, wide),
            nn.Conv2d(wide, after, 1, bias=False), nn.BatchNorm2d(after),
        )  # fmt: skip
        return Shortcut(layers) if before == after and stride == 1 else layers

    def forward(self, x):
        x = functional.adaptive_avg_pool2d(self.features(x), (1, 1))
        return self.classifier(torch.flatten(x, 1))


class Shortcut(nn.Module):
    """x + f(x)."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        return x + self.body(x)


class Dense(nn.Module):
    """Layers that read all maps before them, and a transition, as in DenseNet."""

    def __init__(self):
        super().__init__()
        self.conv0, widths = nn.Conv2d(3, 6, 3, padding=1, bias=False), (6, 10, 14)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(c), nn.ReLU(inplace=True), nn.Conv2d(c, 4, 3, padding=1))
            for c in widths
        )
        self.transition = nn.Sequential(
            nn.BatchNorm2d(18), nn.ReLU(), nn.Conv2d(18, 9, 1, bias=False), nn.AvgPool2d(2, 2)
        )
        self.norm5, self.classifier = nn.BatchNorm2d(9), nn.Linear(9, 5)

    def forward(self, x):
        maps = [self.conv0(x)]
        for layer in self.layers:
            maps.append(layer(torch.cat(maps, 1)))
        x = functional.relu(self.norm5(self.transition(torch.cat(maps, 1))))
        return self.classifier(torch.flatten(functional.adaptive_avg_pool2d(x, 1), 1))


class Excitation(nn.Module):
    """Squeeze and excitation by convolutions, with a gate of straight lines, as in MobileNet V3."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.fc1, self.fc2 = nn.Conv2d(8, 2, 1), nn.Conv2d(2, 8, 1)
        self.gate = nn.Hardsigmoid()
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        x = functional.hardswish(self.conv(x))
        scale = self.fc2(functional.relu(self.fc1(x.mean((2, 3), keepdim=True))))
        return self.fc((self.gate(scale) * x).mean((2, 3)))


class Limited(nn.Module):
    """Limits other than ReLU6's, and maps that are made larger."""

    def __init__(self):
        super().__init__()
        self.conv, self.limit = nn.Conv2d(3, 6, 3), nn.Hardtanh(-0.5, 1.5)
        self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.fc = nn.Linear(6, 5)

    def forward(self, x):
        x = self.up(self.limit(self.conv(x)).clamp(min=-0.25))
        x = functional.interpolate(x, scale_factor=(1, 3), mode="bilinear").clamp(max=1.25)
        return self.fc(x.amax((2, 3)))


class Normalized(nn.Module):
    """A network that normalizes its images, from 0 to 1, itself, and gives probabilities."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.4, 0.5, 0.6])[:, None, None])
        self.register_buffer("std", torch.tensor([0.2, 0.25, 0.3])[:, None, None])
        self.net = Residual()

    def forward(self, x):
        return functional.softmax(self.net((x - self.mean) / self.std), 1)


ZOO = {
    "residual": Residual,
    "excited": Excited,
    "hardswish": lambda: Excited(nn.Hardswish),
    "shuffled": Shuffled,
    "next": NextBlock,
    "parallel": Parallel,
    "activations": Activations,
    "mobile": Mobile,
    "dense": Dense,
    "excitation": Excitation,
    "limited": Limited,
}


def settled(module):
    """The module with running statistics of noise, for prediction."""
    module.train()
    with torch.no_grad():
        module(torch.randn(8, *SHAPE))
    return module.eval()
