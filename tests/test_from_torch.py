"""PyTorch's modules as networks: the same layers, names, weights and scores."""

import numpy as np
import pytest

from neocog.engine.predictor import Predictor
from neocog.errors import ArchitectureError
from neocog.layers import LAYERS, Add, ChannelShuffle, Concat, Conv2d, Multiply, Slice
from neocog.preprocessing import Preprocessing

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from neocog.torch_engine.from_torch import graph_from_torch  # noqa: E402
from neocog.torch_engine.layer_rules import module_of  # noqa: E402
from neocog.torch_engine.module_rules import rule_of_module  # noqa: E402

SHAPE = (3, 12, 10)


class OwnLinear(nn.Linear):
    """A subclass is traced, as it may compute anything."""

    def forward(self, x):
        return functional.linear(x, self.weight, self.bias)


class Shuffled(nn.Module):
    """As in ShuffleNet: channels split, concatenated and interleaved."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8))
        self.branch = nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.fc = OwnLinear(8, 5)

    def forward(self, x):
        x = functional.relu6(self.stem(x))
        left, right = x.chunk(2, dim=1)
        x = torch.cat((left, self.branch(right)), dim=1)
        n, c, h, w = x.size()
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, -1, h, w)
        return self.fc(x.mean([2, 3]))


class Excited(nn.Module):
    """Squeeze-and-excitation, a shortcut and functions of tensors."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, stride=2, padding=1, padding_mode="reflect")
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.less, self.more = nn.Conv2d(6, 2, 1), nn.Conv2d(2, 6, 1)
        self.act = nn.Hardswish()
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(3 * 6 * 5, 4)

    def forward(self, x):
        x = self.conv(x)
        gate = torch.sigmoid(self.more(functional.relu(self.less(self.pool(x)))))
        x = self.act(x * gate + x)
        x = functional.max_pool2d(x, 3, 1, 1, ceil_mode=True)[:, 1:4]
        return self.fc(self.drop(0.5 * x.flatten(1)))


def settled(module):
    """With running statistics of noise."""
    torch.manual_seed(1)
    module.train()
    with torch.no_grad():
        module(torch.randn(8, *SHAPE))
    return module.eval()


@pytest.mark.parametrize(
    ("make", "kinds"),
    [(Shuffled, {Slice, Concat, ChannelShuffle}), (Excited, {Add, Multiply, Slice, Conv2d})],
)
def test_a_module_and_its_network_give_the_same_scores(make, kinds):
    torch.manual_seed(0)
    module = settled(make())
    graph, state = graph_from_torch(module, SHAPE)
    assert kinds <= {type(node.layer) for node in graph.nodes}
    assert list(state) == list(graph.state_shapes)
    assert set(state) == set(module.state_dict())
    images = np.random.default_rng(0).integers(0, 256, (3, 12, 10, 3), np.uint8)
    found = Predictor(graph, state, Preprocessing((0.5,) * 3, (0.5,) * 3)).predict(images)[0]
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        wanted = module(x).numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    assert not module.training


LAYERS_OF_ONE = [
    ("Conv2d", (3, 4, 3)), ("Linear", (5, 4)), ("BatchNorm2d", (3,)), ("GroupNorm", (3, 6)),
    ("LayerNorm2d", (6,)), ("MaxPool2d", (3,)), ("AvgPool2d", (3, 1, 1, False)),
    ("AdaptiveAvgPool2d", ((2, 3),)), ("AdaptiveMaxPool2d", (1,)), ("ZeroPad2d", ((1, 2, 0, 3),)),
    ("ReflectionPad2d", (1,)), ("ReplicationPad2d", (1,)), ("CircularPad2d", (2,)),
    ("Upsample", ()), ("Dropout", (0.2,)),
    ("ReLU", ()), ("LeakyReLU", (0.3,)), ("SiLU", ()), ("GELU", ("tanh",)),
    ("Sigmoid", ()), ("Tanh", ()), ("ReLU6", ()), ("Hardsigmoid", ()), ("Hardswish", ()),
    ("ELU", (0.7,)), ("Softplus", (2.0, 9.0)), ("Mish", ()), ("PReLU", (3,)), ("Scale", (1.5,)),
    ("Add", ()), ("Multiply", ()), ("Concat", ()), ("Slice", (1, 3)), ("ChannelShuffle", (3,)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments"), LAYERS_OF_ONE)
def test_a_layer_comes_back_from_its_module(name, arguments):
    layer = LAYERS[name](*arguments)
    module = module_of(layer)
    assert rule_of_module(module)(module) == layer


def test_no_layer_is_left_out():
    assert LAYERS.keys() - {name for name, _ in LAYERS_OF_ONE} == {
        "Flatten",  # of the tracing
        *("Sequential", "Residual"),  # are expanded
    }


class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


class Sorting(nn.Module):
    def forward(self, x):
        return torch.sort(x.flatten(1))[0]


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        return self.conv(self.conv(x)).flatten(1)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Branching(), "Branching cannot be traced, as what it does depends on values"),
        (Sorting(), r"sort: there is no layer for sort\(\)"),
        (Twice(), "conv is called twice; layers cannot share parameters"),
        (nn.Sequential(nn.LSTM(3, 3)), "0: there is no layer for LSTM|does not take images"),
        (nn.Conv2d(4, 3, 1), r"does not take images of the shape \(3, 12, 10\)"),
        (nn.Sequential(nn.Upsample(scale_factor=1.5)), r"scale_factor \(=1.5\) must be whole"),
        (nn.Sequential(nn.MaxPool2d(2, dilation=2)), r"MaxPool2d: dilation \(=2\) must be 1"),
        (nn.Identity(), "The module has no layers"),
    ],
)
def test_what_cannot_be_converted_is_named(module, message):
    with pytest.raises(ArchitectureError, match=message):
        graph_from_torch(module, SHAPE)
