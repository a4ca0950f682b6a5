"""Whole networks of every layer there is against PyTorch in float64."""

from functools import partial

import numpy as np
import pytest
from yardstick import BATCH, COUNT, compare, data_for, trainer_of

from neocog.layers import (
    ELU,
    GELU,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    BatchNorm2d,
    CircularPad2d,
    Conv2d,
    Dropout,
    Flatten,
    GroupNorm,
    Hardsigmoid,
    Hardswish,
    LayerNorm2d,
    LeakyReLU,
    Linear,
    MaxPool2d,
    Mish,
    PReLU,
    ReflectionPad2d,
    ReLU,
    ReLU6,
    ReplicationPad2d,
    Residual,
    Scale,
    Sequential,
    Sigmoid,
    SiLU,
    Softplus,
    Tanh,
    Upsample,
    ZeroPad2d,
)
from neocog.models import make
from neocog.network import Network


def named(name, width, *sides):
    """A network by its name, of few channels and for small images."""
    return partial(make, name, 5, width=width, input_shape=(3, *sides))


def in_a_row(*layers, **options):
    """A network of layers called a, b, c …"""
    names = (chr(ord("a") + n) for n in range(26))
    return partial(Network, **options, **dict(zip(names, layers, strict=False)))


NETWORKS = {
    # By name, all of eight channels and mostly for images of one size, so that they share kernels
    "simple-cnn": named("simple-cnn", 0.1, 9, 8),
    "lenet5": named("lenet5", 0.1, 16, 17),
    "vgg-small": named("vgg-small", 0.1, 9, 8),
    "resnet8": named("resnet8", 0.1, 9, 8),
    "resnet20": named("resnet20", 0.1, 9, 8),
    "resnet18": named("resnet18", 0.01, 9, 8),
    "airbench": named("airbench", 0.01, 25, 25),
    # Every layer in unusual places
    "activations and pooling": in_a_row(
        AvgPool2d(2, 1, 1),
        Conv2d(3, 7, 3, padding=1),
        GELU(),
        MaxPool2d(3, 2, 1),
        Tanh(),
        AvgPool2d((3, 2), (2, 1), (1, 0), count_include_pad=False),
        Sigmoid(),
        LeakyReLU(0.2),
        Scale(-1.5),
        Flatten(),
        GELU("tanh"),
        Linear(7 * 3 * 5, 6),
        SiLU(),
        Linear(6, 5),
        Tanh(),
        input_shape=(3, 9, 11),
    ),
    "more activations": in_a_row(
        BatchNorm2d(3),
        PReLU(3),
        Mish(),
        Conv2d(3, 7, 3, padding=1),
        PReLU(),
        Softplus(2.0, 3.0),
        Conv2d(7, 9, 3, padding=1),
        BatchNorm2d(9),
        ReLU6(),
        Conv2d(9, 9, 3, padding=1, groups=9),
        Hardswish(),
        Conv2d(9, 5, 3),
        Hardsigmoid(),
        Flatten(),
        Linear(5 * 6 * 7, 6),
        ELU(0.5),
        Linear(6, 5),
        input_shape=(3, 8, 9),
    ),
    "pooling of every kind": in_a_row(
        AdaptiveAvgPool2d((8, 13)),
        Conv2d(3, 9, 3, padding=1),
        MaxPool2d(3, 2, ceil_mode=True),
        Tanh(),
        AvgPool2d(3, 2, 1, ceil_mode=True, divisor_override=5),
        Conv2d(9, 9, 1),
        AdaptiveMaxPool2d((3, 3)),
        AvgPool2d((1, 2), ceil_mode=True, count_include_pad=False),
        AvgPool2d(2, 1, (1, 0)),
        AdaptiveAvgPool2d((3, 1)),
        Flatten(),
        Linear(27, 5),
        input_shape=(3, 9, 10),
    ),
    "pooling behind strides": in_a_row(
        Conv2d(3, 8, 3, padding=1),
        ReLU(),
        Conv2d(8, 8, 3, stride=(2, 1), padding=1),
        MaxPool2d(),
        ReLU(),
        Flatten(),
        Linear(8 * 2 * 4, 5),
        input_shape=(3, 9, 8),
    ),
    "padding of every kind": in_a_row(
        Conv2d(3, 5, 3, padding=(1, 2), padding_mode="reflect"),
        ReLU(),
        ReplicationPad2d((0, 1, 2, 0)),
        Conv2d(5, 5, (2, 3), padding="same", padding_mode="circular", groups=5),
        ZeroPad2d((0, 1, 0, 1)),
        Conv2d(5, 17, 3, stride=2),
        Tanh(),
        Upsample(scale_factor=2),
        ReflectionPad2d((1, 0, 2, 3)),
        Conv2d(17, 16, 3, padding=1, padding_mode="replicate", bias=False),
        BatchNorm2d(16),
        Upsample(scale_factor=(1, 3)),
        CircularPad2d(1),
        AdaptiveAvgPool2d(2),
        Flatten(),
        Linear(64, 5),
        input_shape=(3, 8, 7),
    ),
    # Their weight gradients are of the whole batch, and all of them use the same scratch memory.
    "wide convolutions without normalization": in_a_row(
        Conv2d(3, 64, 3, padding=1),
        ReLU(),
        Conv2d(64, 72, 3, padding=1),
        ReLU(),
        Conv2d(72, 64, 3, padding=1),
        Residual(Conv2d(64, 80, 3, padding=1), Conv2d(64, 80, 3, padding=1)),
        AdaptiveAvgPool2d(1),
        Flatten(),
        Linear(80, 5),
        input_shape=(3, 6, 8),
    ),
    "normalization everywhere": in_a_row(
        BatchNorm2d(3),
        Conv2d(3, 10, 3, padding=1),
        BatchNorm2d(10, affine=False),
        BatchNorm2d(10, momentum=0.5, eps=1e-3),
        ReLU(),
        MaxPool2d(2),
        BatchNorm2d(10),
        Conv2d(10, 6, 2),
        MaxPool2d(2),
        BatchNorm2d(6),
        AdaptiveMaxPool2d(1),
        Flatten(),
        Linear(6, 5),
        input_shape=(3, 8, 7),
    ),
    "normalization of the image": in_a_row(
        BatchNorm2d(3),
        Conv2d(3, 6, 3, stride=2),
        Flatten(),
        Linear(6 * 4 * 3, 5),
        input_shape=(3, 9, 8),
    ),
    # PyTorch's GroupNorm of an image crashes where no gradient of the image is asked for.
    "normalization within images": in_a_row(
        LayerNorm2d(3),
        Conv2d(3, 20, 3, padding=1),
        GroupNorm(5, 20, eps=1e-3),
        ReLU(),
        Conv2d(20, 12, 3, bias=False),
        LayerNorm2d(12),
        GELU(),
        Residual(Sequential(n=LayerNorm2d(12, 1e-3, False), c=Conv2d(12, 12, 1))),
        Residual(GroupNorm(12, 12, affine=False), LayerNorm2d(12)),
        Flatten(),
        Linear(12 * 6 * 5, 5),
        input_shape=(3, 8, 7),
    ),
    "blocks": in_a_row(
        Conv2d(2, 6, 3, padding=1),
        Residual(Conv2d(6, 6, 3, padding=1)),
        Residual(Sequential(r=Tanh(), n=BatchNorm2d(6)), Conv2d(6, 6, 1)),
        Residual(Residual(ReLU()), ReLU()),
        Residual(Sequential(p=MaxPool2d(2), a=Residual(Sigmoid())), AvgPool2d(2)),
        Residual(Conv2d(6, 6, 1), BatchNorm2d(6)),
        Residual(BatchNorm2d(6), MaxPool2d(3, 1, 1)),
        Flatten(),
        Linear(6 * 3 * 3, 7),
        Residual(Linear(7, 7), ReLU()),
        Linear(7, 5),
        Residual(Scale(0.5)),
        input_shape=(2, 6, 7),
    ),
    "the image itself in a block": in_a_row(
        Residual(Conv2d(3, 3, 3, padding=1), BatchNorm2d(3)),
        MaxPool2d(3, 2),
        Flatten(),
        Linear(3 * 3 * 3, 5),
        input_shape=(3, 7, 7),
    ),
    "depthwise": in_a_row(
        Conv2d(5, 5, 3, padding=1, groups=5),
        ReLU(),
        Conv2d(5, 20, 1),
        Conv2d(20, 20, 3, stride=2, groups=20, bias=False, dilation=2, padding=1),
        BatchNorm2d(20),
        ReLU(),
        Residual(Conv2d(20, 20, (3, 5), padding="same", groups=20)),
        Flatten(),
        Linear(20 * 4 * 4, 5),
        input_shape=(5, 10, 9),
    ),
    "odd convolutions": in_a_row(
        Conv2d(3, 12, (2, 3), padding="same"),
        GELU(),
        Conv2d(12, 18, 3, stride=2, padding=1, groups=6),
        ReLU(),
        Conv2d(18, 20, 3, dilation=2, padding=(2, 1)),
        LeakyReLU(0.1),
        Conv2d(20, 9, 1, stride=(3, 2)),
        Flatten(),
        Linear(9 * 3 * 2, 5),
        input_shape=(3, 13, 11),
    ),
    "many channels": in_a_row(
        Conv2d(3, 72, 3, padding=1, stride=2),
        ReLU(),
        Conv2d(72, 40, 3, padding=1),
        ReLU(),
        Conv2d(40, 20, 3, bias=False),
        BatchNorm2d(20),
        AdaptiveAvgPool2d(),
        Flatten(),
        Linear(20, 5),
        input_shape=(3, 13, 11),
    ),
    "no linear layer": in_a_row(
        Sequential(a=Sequential(a=Conv2d(1, 6, 3), b=ReLU()), b=Sequential(c=Dropout(0.0))),
        Conv2d(6, 5, 3),
        AdaptiveAvgPool2d(1),
        Flatten(),
        input_shape=(1, 8, 8),
    ),
}


# PyTorch's word on what an even kernel costs there.
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("name", NETWORKS)
def test_ten_steps_by_pytorch_for_any_number_of_threads(name):
    network = NETWORKS[name]()
    network.initialize(0)
    images, labels = data_for(network)
    start = network.state_dict()
    states = [compare(network, images, labels).state()]
    order = np.random.default_rng(1).permutation(COUNT)
    for threads in (1, 3):
        network.load_state_dict(start)
        trainer = trainer_of(network, images, labels, threads=threads)
        trainer.run(order[:BATCH])
        trainer.run(order[BATCH:])
        states.append(trainer.state())
    for state in states[1:]:
        for name_, value in state.items():
            np.testing.assert_array_equal(value, states[0][name_], name_)
