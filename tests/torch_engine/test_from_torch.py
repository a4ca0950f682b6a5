"""PyTorch's modules as networks: the same layers, names, weights and scores."""

import numpy as np
import pytest

import neocog
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
    ("MaxPool2d", (3,)), ("AvgPool2d", (3, 1, 1, False)),
    ("AdaptiveAvgPool2d", ((2, 3),)), ("AdaptiveMaxPool2d", (1,)), ("ZeroPad2d", ((1, 2, 0, 3),)),
    ("ReflectionPad2d", (1,)), ("ReplicationPad2d", (1,)), ("CircularPad2d", (2,)),
    ("Upsample", ()), ("Dropout", (0.2,)),
    ("ReLU", ()), ("LeakyReLU", (0.3,)), ("SiLU", ()), ("GELU", ("tanh",)),
    ("Sigmoid", ()), ("Tanh", ()), ("ReLU6", ()), ("Hardsigmoid", ()), ("Hardswish", ()),
    ("ELU", (0.7,)), ("Softplus", (2.0, 9.0)), ("Mish", ()), ("PReLU", (3,)),
    ("ChannelShuffle", (3,)),
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
        # PyTorch has no modules for these; see test_to_torch.py.
        *("LayerNorm2d", "Scale", "Add", "Multiply", "Concat", "Slice"),
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


class Calling(nn.Module):
    """Calls a function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def within(function):
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(nn.ReLU(), Calling(function)))


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Branching(), "Branching cannot be traced, as what it does depends on values: torch.fx"),
        (Sorting(), r"sort: there is no layer for sort\(\)"),
        (Twice(), "conv is called twice; layers cannot share parameters"),
        (nn.Sequential(nn.LSTM(3, 3)), "0: there is no layer for LSTM|does not take images"),
        (nn.Sequential(nn.Conv2d(3, 2, 1), nn.Softsign()), "^1: there is no layer for Softsign"),
        (nn.Sequential(nn.LayerNorm(10)), "0: layer normalization is a layer over the channels"),
        (nn.Conv2d(4, 3, 1), r"does not take images of the shape \(3, 12, 10\)"),
        (nn.Sequential(nn.Upsample(scale_factor=1.5)), r"scale_factor \(=1.5\) must be whole"),
        (nn.Sequential(nn.MaxPool2d(2, dilation=2)), r"MaxPool2d: dilation \(=2\) must be 1"),
        (nn.Identity(), "The module has no layers"),
        (within(torch.exp), r"1\.1 \(Calling\): exp: there is no layer for exp\(\)"),
        (within(lambda x: functional.dropout(x, 0.1)), r"1\.1 \(Calling\): dropout: it drops at"),
        (within(lambda x: x.transpose(2, 3)), r"exchanging axes \{2, 3\} is no layer"),
        (within(lambda x: x.permute(0, 1, 3, 2)), r"order \(0, 1, 3, 2\) of axes is no layer"),
        (within(lambda x: x.reshape(1, 8, 12, 5)), r"\(1, 4, 12, 10\) to \(1, 8, 12, 5\) is no"),
        (within(lambda x: x[:, :, 1:]), "indexing"),
        (within(lambda x: x[:, 0]), r"getitem\(\) is no layer with these arguments: 'int'"),
        (within(lambda x: torch.narrow(x, 2, 0, 3)), "only a part of the channels is a layer"),
        (within(lambda x: x / x), "only division by a number is a layer"),
        (within(lambda x: torch.add(x, x, alpha=2)), "a sum with alpha is no layer"),
        (within(lambda x: x + torch.ones(4, 1, 1)), "is no output of a layer"),
        (within(lambda x: functional.conv2d(x, x)), "its weight must be a"),
        (within(lambda x: functional.hardtanh(x)), "only limits of 0 and 6 are a layer"),
        (within(lambda x: functional.pad(x, (1, 1), value=2.0)), "with zeros or from the map"),
        (within(lambda x: functional.interpolate(x, (13, 11))), "with whole factors is a layer"),
        (within(lambda x: x.flatten(1).unsqueeze(2).unsqueeze(3)), "comes from none of 1 × 1"),
        (within(lambda x: x.mean(1)), "only the mean over height and width"),
        (within(lambda x: (x, x)), "must return one tensor"),
    ],
)
def test_what_cannot_be_converted_is_named(module, message):
    for part in module.modules():
        part.training = isinstance(part, nn.Sequential)  # as no module has it by itself
    with pytest.raises(ArchitectureError, match=message):
        graph_from_torch(module, SHAPE)
    assert all(part.training == isinstance(part, nn.Sequential) for part in module.modules())


@pytest.mark.parametrize(
    ("module", "shape", "message"),
    [
        ("resnet18", SHAPE, r"must be a torch.nn.Module or .*, not 'resnet18'"),
        (nn.ReLU, SHAPE, "must be a torch.nn.Module"),
        (nn.ReLU(), None, "give input_shape"),
        (nn.ReLU(), (3, 4), r"must be \(channels, height, width\)"),
    ],
)
def test_wrong_arguments(module, shape, message):
    with pytest.raises(ArchitectureError, match=message):
        neocog.from_torch(module, shape)


def test_a_program_must_take_images():
    program = torch.export.export(nn.Linear(3, 4), (torch.zeros(2, 3),))
    with pytest.raises(ArchitectureError, match="must take one tensor of images"):
        neocog.from_torch(program)


def test_classes_and_preprocessing_are_the_networks():
    look = Preprocessing((0.1, 0.2, 0.3), (0.5, 0.6, 0.7))
    module = nn.Sequential(nn.Conv2d(3, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    network = neocog.from_torch(module, SHAPE, classes=("a", "b"), preprocessing=look)
    assert (network.classes, network.preprocessing) == (("a", "b"), look)
    with pytest.raises(ArchitectureError, match="there are 1 classes"):
        neocog.from_torch(module, SHAPE, classes=("a",))
