"""Networks for model files, and their headers rewritten."""

import json
import struct

import numpy as np

from neocog.layers import (
    ELU,
    GELU,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    BatchNorm2d,
    ChannelShuffle,
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
    Slice,
    Softplus,
    Tanh,
    Upsample,
    ZeroPad2d,
)
from neocog.network import Network
from neocog.preprocessing import Preprocessing


def network() -> Network:
    net = Network(
        input_shape=(1, 6, 4),
        classes=("ring", "größer als 3 ✓"),
        preprocessing=Preprocessing((0.1307,), (0.3081,)),
        **{
            "features.0": Conv2d(1, 2, (3, 1), padding=(1, 0), bias=False),
            "relu": ReLU(),
            "pool": MaxPool2d(),
            "flatten": Flatten(),
            "fc": Linear(12, 2),
        },
    )
    rng = np.random.default_rng(0)
    net.load_state_dict({k: rng.normal(size=s) for k, s in net.parameter_shapes.items()})
    return net


def nested() -> Network:
    """A network with every type of layer, and with arguments of every kind."""
    net = Network(
        input_shape=(4, 13, 10),
        stem=Sequential(
            **{
                "0": Conv2d(4, 8, (3, 5), padding="same", dilation=(2, 1), bias=False),
                "1": BatchNorm2d(8, momentum=0.4, eps=1e-12),
                "self": GELU("tanh"),
            }
        ),
        block=Residual(
            Sequential(
                depthwise=Conv2d(8, 8, 3, stride=2, padding=1, groups=8),
                norm=BatchNorm2d(8, affine=False),
                act=SiLU(),
                inner=Residual(Conv2d(8, 8, 1, padding="valid")),
                drop=Dropout(0.3),
            ),
            Conv2d(8, 8, 1, stride=(2, 2), groups=2),
        ),
        leaky=LeakyReLU(0.2),
        pool=MaxPool2d(3, stride=2, padding=1),
        zeros=ZeroPad2d(1),
        mirrored=ReflectionPad2d((1, 0, 0, 1)),
        nearest=ReplicationPad2d((0, 1, 2, 0)),
        around=CircularPad2d(1),
        larger=Upsample(scale_factor=(1, 2)),
        tanh=Tanh(),
        group=GroupNorm(4, 8),
        layer=LayerNorm2d(8),
        six=ReLU6(),
        step=Hardsigmoid(),
        swish=Hardswish(),
        elu=ELU(0.5),
        plus=Softplus(2.0, 10.0),
        mish=Mish(),
        prelu=PReLU(8),
        part=Slice(0, 8),
        mixed=ChannelShuffle(2),
        mean=AvgPool2d((2, 3), stride=1, padding=(1, 1), count_include_pad=False),
        sigmoid=Sigmoid(),
        scale=Scale(-1.5),
        best=AdaptiveMaxPool2d(),
        relu=ReLU(),
        one=AdaptiveAvgPool2d(1),
        flatten=Flatten(),
        fc=Linear(8, 5),
    )
    net.initialize(4)
    state = net.state_dict()
    state["stem.1.num_batches_tracked"] += 2**40
    net.load_state_dict(state)
    return net


def header_of(path):
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + size]), data[8 + size :]


def write(path, header, numbers):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + numbers)


def rewrite(path, change):
    """Change the description inside a model file."""
    header, numbers = header_of(path)
    description = json.loads(header["__metadata__"]["neocog"])
    change(description)
    header["__metadata__"]["neocog"] = json.dumps(description)
    write(path, header, numbers)


def put(*path):
    *keys, last, value = path

    def change(description):
        for key in keys:
            description = description[key]
        description[last] = value

    return change
