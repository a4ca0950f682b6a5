"""The named networks: their size as published, at any width and for any images; files; costs."""

import os
import sys

import numpy as np
import pytest

from neocog import models
from neocog.errors import ArchitectureError
from neocog.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Residual, Sequential
from neocog.models import (
    SMALL_IMAGES,
    load_model_file,
    make,
    name_of,
    recognize,
    split_python_file,
)
from neocog.network import Network
from neocog.summary import cost

#: Parameters that others count: He et al. and Idelbayev's table, K. Jordan's script, MLPerf Tiny
#: (78,666 with 480 running statistics and the 240 biases that are left out), kuangliu's resnet18.
PARAMETERS = {
    "simple-cnn": 41_418,
    "lenet5": 61_706,
    "vgg-small": 9 * (3 * 32 + 32 * 32 + 32 * 64 + 64 * 64 + 64 * 128 + 128 * 128)
    + 2 * 2 * (32 + 64 + 128)
    + 2048 * 10
    + 10,
    "resnet8": 78_666 - 480 - 240,
    "resnet20": 272_474,
    "resnet18": 11_173_962,
    "airbench": 312 + 9 * 64 * (24 + 64) + 9 * 256 * (64 + 3 * 256) + 4 * (64 + 512) + 2560,
}
named_models = pytest.mark.parametrize("name", SMALL_IMAGES)


@named_models
def test_parameters_are_those_published(name):
    assert make(name).parameter_count() == PARAMETERS[name]
    assert make(name).output_shape == (10,)
    assert make(name).input_shape == ((1, 28, 28) if name == "lenet5" else (3, 32, 32))


@named_models
@pytest.mark.parametrize("width", [1, 0.25, 0.5, 1.5, 2, 0.3, 3.7])
@pytest.mark.parametrize("input_shape", [None, (1, 40, 44), (4, 64, 33)])
def test_any_width_and_images_and_its_name(name, width, input_shape):
    network = make(name, 7, width=width, input_shape=input_shape)
    assert network.output_shape == (7,)
    assert network.input_shape == (input_shape or make(name).input_shape)
    assert name_of(network) == name
    found, other = recognize(dict(network.state_shapes), 7, input_shape)
    assert found == name
    assert dict(other.layers) == dict(network.layers)
    inputs = network.input_shape[0]
    for layer in network.leaves.values():
        if width != 1 and isinstance(layer, Conv2d) and layer.in_channels != inputs:
            assert layer.in_channels % 8 == 0
            assert layer.out_channels % 8 == 0


def test_channels_of_other_widths_by_hand():
    def channels(width):
        return [x.out_channels for x in make("lenet5", width=width).leaves.values()
                if isinstance(x, Conv2d)]  # fmt: skip

    assert channels(1) == [6, 16]
    assert channels(0.01) == [8, 8]
    assert channels(2) == [16, 32]  # 12 lies in the middle
    assert channels(1.9) == [8, 32]


@named_models
def test_it_is_that_of_torch(name):
    torch = pytest.importorskip("torch")
    from neocog import reference
    from neocog.torch_engine.module import to_torch

    torch.set_num_threads(1)
    network = make(name, 5, width=0.25, input_shape=(3, 32, 32))
    network.initialize(2)
    state = network.state_dict()
    x = np.random.default_rng(0).normal(size=(2, 3, 32, 32))
    module = to_torch(network).double().eval()
    expected = module(torch.tensor(x)).detach().numpy()
    found = list(reference.forward(network, state, x).values())[-1]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_names_of_others():
    assert name_of(Network(input_shape=(3, 8, 8), f=Flatten(), l=Linear(192, 4))) is None
    assert name_of(Network(input_shape=(3, 8, 8), p=MaxPool2d())) is None
    # The same weights, but other layers between them.
    other = Network(
        conv1=Conv2d(3, 16, 3, padding=1), pool=MaxPool2d(2), flatten=Flatten(),
        fc=Linear(4096, 10),
    )  # fmt: skip
    assert name_of(other) is None
    assert recognize(other.state_shapes, 10)[0] == "simple-cnn"
    # Channels that no width gives.
    odd = Network(
        conv1=Conv2d(3, 17, 3, padding=1), relu=ReLU(), pool=MaxPool2d(2), flatten=Flatten(),
        fc=Linear(17 * 256, 10),
    )  # fmt: skip
    assert name_of(odd) is None
    assert name_of(models.simple_cnn()) == "simple-cnn"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("resnet", 10, {}), r"No model is called 'resnet'. Did you mean 'resnet\d+'\?"),
        (("zzz", 10, {}), "No model is called 'zzz'. Known: simple-cnn, lenet5, vgg-small"),
        (("lenet5", 0, {}), r"classes \(=0\)"),
        (("lenet5", 10, {"width": 0}), r"lenet5: width \(=0\) must be above 0"),
        (("lenet5", 10, {"width": float("nan")}), "must be a number"),
        (("lenet5", 10, {"width": "2"}), r"width \(='2'\) must be a number"),
        (("lenet5", 10, {"input_shape": (1, 4, 4)}), "lenet5: conv2: Conv2d: a kernel of 5 × 5"),
        (("airbench", 10, {"input_shape": (3, 20, 20)}), "airbench: pool: MaxPool2d: regions of 3"),
        (("resnet8", 10, {"input_shape": (3, 8)}), "must be .channels, height, width."),
        (("resnet8", 10, {"input_shape": (3, 8, 0)}), "must be .channels, height, width."),
    ],
)
def test_models_that_cannot_be_are_refused(arguments, message):
    name, classes, options = arguments
    with pytest.raises(ArchitectureError, match=message):
        make(name, classes, **options)


# Files of one's own


GOOD = """
from dataclasses import dataclass

import neighbor_of_mine
from neocog import Flatten, Linear, Network

@dataclass
class Settings:
    bias: bool = True

def make(classes, input_shape=(3, 4, 4)):
    c, h, w = input_shape
    settings = Settings()
    from neighbor_of_mine import NAME
    return Network(input_shape=input_shape, flatten=Flatten(), **{NAME: Linear(c * h * w, classes)})

def other(**options):
    return make(**options)

def _own(classes):
    return None

number = 3
"""


@pytest.fixture
def my_net(tmp_path):
    (tmp_path / "neighbor_of_mine.py").write_text("NAME = 'fc'\n")
    (tmp_path / "my_net.py").write_text(GOOD)
    yield tmp_path / "my_net.py"
    sys.modules.pop("neighbor_of_mine", None)


def test_a_file_gives_its_network(my_net):
    path = list(sys.path)
    assert dict(load_model_file(my_net, "make", 6).layers) == {
        "flatten": Flatten(), "fc": Linear(48, 6),
    }  # fmt: skip
    network = load_model_file(str(my_net), "other", 6, input_shape=[1, 2, 3])
    assert network.input_shape == (1, 2, 3)
    assert sys.path == path


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("mak", r"my_net\.py: there is no 'mak' in it\. It has make, other\."),
        ("number", r"'number' is not a function"),
        ("_own", r"_own\(\) gave NoneType, not a neocog\.Network"),
    ],
)
def test_functions_that_are_none_are_refused(my_net, function, message):
    with pytest.raises(ArchitectureError, match=message):
        load_model_file(my_net, function)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("make = type\n", r"make\(\) must take the number of classes, as in 'def make"),
        ("make = int\n", r"make\(\) must take the number of classes, as in 'def make"),
        ("x = 1\n1 / 0\n", r"running it failed in line 2: ZeroDivisionError: division by zero"),
        ("def make(classes:\n", r"running it failed in line 1: SyntaxError"),
        ("import sys\nsys.exit(3)\n", r"running it failed in line 2: SystemExit: 3"),
        ("def make(classes):\n\n    return nothing\n", r"make\(\) failed in line 3: NameError"),
        ("def make():\n    pass\n", r"make\(\) must take the number of classes"),
        ("x = 1\n", r"there is no 'make' in it\. It has no function"),
        (
            "from neocog import *\n"
            "def make(classes):\n    return Network(input_shape=(1, 1, 1), flatten=Flatten())\n",
            r"make\(10\) gave a network that ends in the shape \(1,\), not \(10,\)",
        ),
        (
            "from neocog import *\ndef make(classes):\n    return Network(fc=Linear(1, 2))\n",
            r"failed in line 3: ArchitectureError: fc: Linear",
        ),
    ],
)
def test_files_that_fail_say_where(tmp_path, code, message):
    (tmp_path / "net.py").write_text(code)
    path = list(sys.path)
    with pytest.raises(ArchitectureError, match=message):
        load_model_file(tmp_path / "net.py")
    assert sys.path == path


def test_missing_files_are_refused(tmp_path):
    (tmp_path / "net.txt").write_text("")
    for name in ("net.txt", "."):
        with pytest.raises(ArchitectureError, match=r"its name must end in \.py"):
            load_model_file(tmp_path / name)
    with pytest.raises(ArchitectureError, match="there is no such Python file"):
        load_model_file(tmp_path / "net.py")
    for name in ("a\0.py", "a" * 5000 + ".py"):
        with pytest.raises(ArchitectureError, match=r"must be the path of a file"):
            load_model_file(name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_pipe_is_no_python_file(tmp_path):
    os.mkfifo(tmp_path / "net.py")
    with pytest.raises(ArchitectureError, match=r"net\.py: This is a pipe"):
        load_model_file(tmp_path / "net.py")


@pytest.mark.parametrize(
    ("model", "found"),
    [
        ("net.py", ("net.py", "make")),
        ("net.py:other", ("net.py", "other")),
        ("resnet.pytorch/net.py:other", ("resnet.pytorch/net.py", "other")),
        ("a.py:b/net.py", ("a.py:b/net.py", "make")),
        (r"C:\nets\net.py", (r"C:\nets\net.py", "make")),
        (r"C:\nets\net.py:other", (r"C:\nets\net.py", "other")),
        ("net.py:", ("net.py", "")),
        ("resnet.pytorch/net", None),
        ("net.pyc", None),
        ("simple-cnn", None),
        ("net.safetensors", None),
    ],
)
def test_a_file_and_its_function_are_told_apart(model, found):
    assert split_python_file(model) == found


@pytest.mark.parametrize(
    ("name", "shape"),
    [("lenet5", (3, 32, 32)), ("simple-cnn", (1, 28, 28)), ("vgg-small", (4, 48, 48))],
)
def test_models_for_other_images_are_recognized(name, shape):
    network = make(name, 6, width=0.5, input_shape=shape)
    found, same = recognize(network.state_shapes, 6)
    assert (found, same.input_shape) == (name, shape)
    assert same.layers == network.layers


# Costs


def test_costs_by_hand():
    network = Network(
        input_shape=(4, 9, 8),
        stem=Sequential(conv=Conv2d(4, 6, (3, 2), stride=2, groups=2), relu=ReLU()),
        block=Residual(Conv2d(6, 6, 1, bias=False)),
        flatten=Flatten(),
        fc=Linear(6 * 4 * 4, 5),
    )
    rows = {row.name: row for row in cost(network).layers}
    assert list(rows) == list(network.leaves)
    conv = rows["stem.conv"]
    assert (conv.type, conv.output_shape) == ("Conv2d", (6, 4, 4))
    assert conv.parameters == 6 * 2 * 3 * 2 + 6
    assert conv.multiply_adds == 6 * 4 * 4 * 2 * 3 * 2
    assert (rows["block.body"].parameters, rows["block.body"].multiply_adds) == (36, 36 * 16)
    assert (rows["fc"].parameters, rows["fc"].multiply_adds) == (96 * 5 + 5, 480)
    assert rows["stem.relu"].multiply_adds == rows["flatten"].parameters == 0
    total = cost(network)
    assert total.parameters == network.parameter_count()
    assert total.multiply_adds == 1152 + 576 + 480


@named_models
def test_multiply_adds_are_those_torch_counts(name):
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    from neocog.torch_engine.module import to_torch

    network = make(name, width=0.5)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        to_torch(network).eval()(torch.zeros(1, *network.input_shape))
    assert 2 * cost(network).multiply_adds == counter.get_total_flops()
