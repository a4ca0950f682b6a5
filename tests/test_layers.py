"""Layers: their shapes and names against PyTorch's, what they refuse, and layers as plain data."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neocog.errors import ArchitectureError
from neocog.layers import (
    ELU,
    GELU,
    LAYERS,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    Add,
    AvgPool2d,
    BatchNorm2d,
    ChannelShuffle,
    CircularPad2d,
    Concat,
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
    Multiply,
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
    build,
    describe,
)
from neocog.layers.registry import build_row
from neocog.network import Network

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
quick = settings(max_examples=60, deadline=None, derandomize=True)

#: One of each type at least, with arguments that are not their own.
EVERY = (
    Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0), dilation=2, groups=2, bias=False),
    Conv2d(4, 6, 3, padding="same"),
    Conv2d(4, 6, 3, padding="valid"),
    Conv2d(4, 6, 3, padding=1, padding_mode="reflect"),
    ZeroPad2d(2),
    ReflectionPad2d((1, 0, 2, 3)),
    ReplicationPad2d((4, 3, 2, 1)),
    CircularPad2d(1),
    Upsample(scale_factor=(2, 3)),
    Linear(5, 7, bias=False),
    BatchNorm2d(4, eps=1e-3, momentum=0.4, affine=False),
    GroupNorm(2, 6, eps=1e-3, affine=False),
    LayerNorm2d(4, eps=1e-3, elementwise_affine=False),
    MaxPool2d(3, stride=2, padding=1),
    MaxPool2d(),
    MaxPool2d((2, 3), ceil_mode=True),
    AvgPool2d((2, 3), (1, 2), 1, True, False, 5),
    AdaptiveAvgPool2d(1),
    AdaptiveAvgPool2d((3, 2)),
    AdaptiveMaxPool2d(),
    Dropout(0.25),
    Flatten(),
    ReLU(),
    LeakyReLU(0.2),
    SiLU(),
    GELU("tanh"),
    Sigmoid(),
    Tanh(),
    ReLU6(),
    Hardsigmoid(),
    Hardswish(),
    ELU(0.5),
    Softplus(2.0, 10.0),
    Mish(),
    PReLU(3, 0.5),
    Scale(-1.5),
    Add(),
    Multiply(),
    Concat(),
    Slice(0, 3),
    Slice(3, 5),
    ChannelShuffle(3),
    Sequential(conv=Conv2d(1, 1, 1), act=ReLU()),
    Residual(Conv2d(1, 1, 1)),
    Residual(Sequential(a=ReLU(), b=Residual(Tanh(), SiLU())), Sequential(c=Scale(2))),
)


@pytest.fixture(scope="module")
def torch():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    return torch


# Shapes and names


@st.composite
def windowed(draw, kind, groups):
    """A convolution or a pooling with any geometry, and an input's shape; not all of them fit."""
    pairs = st.integers(1, 4) | st.tuples(st.integers(1, 4), st.integers(1, 4))
    kernel = draw(pairs)
    sides = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    shape = draw(st.integers(1, 3)) * groups, draw(st.integers(3, 12)), draw(st.integers(3, 12))
    if kind is Conv2d:
        padding = draw(st.sampled_from(["same", "valid", 0, 1, (2, 3)]))
        layer = Conv2d(
            shape[0],
            draw(st.integers(1, 3)) * groups,
            kernel,
            stride=1 if padding == "same" else draw(pairs),
            padding=padding,
            dilation=draw(st.integers(1, 2)),
            groups=groups,
            bias=draw(st.booleans()),
        )
    else:
        padding = tuple(draw(st.integers(0, k // 2)) for k in sides)
        layer = kind(kernel, draw(st.none() | pairs), padding, ceil_mode=draw(st.booleans()))
    return layer, shape


@pytest.mark.parametrize(
    ("kind", "groups"), [(Conv2d, 1), (Conv2d, 2), (Conv2d, 3), (MaxPool2d, 1), (AvgPool2d, 1)]
)
@quick
@given(data=st.data())
def test_windows_give_the_shapes_of_torch(torch, kind, groups, data):
    from neocog.torch_engine.module import to_torch

    layer, shape = data.draw(windowed(kind, groups))
    try:
        network = Network(input_shape=shape, layer=layer)
    except ArchitectureError as error:
        assert "not fit into its input" in str(error)
        channels = torch.zeros(1, *shape)
        with pytest.raises(RuntimeError):
            if kind is Conv2d:
                torch.nn.functional.conv2d(
                    channels,
                    torch.zeros(layer.parameter_shapes()["weight"]),
                    stride=layer.stride,
                    padding=layer.padding,
                    dilation=layer.dilation,
                    groups=groups,
                )
            else:
                geometry = layer.kernel, layer.steps, layer.before
                torch.nn.functional.max_pool2d(channels, *geometry, ceil_mode=layer.ceil_mode)
        return
    module = to_torch(network)
    assert tuple(module(torch.zeros(1, *shape)).shape[1:]) == network.output_shape
    shapes = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    assert shapes == dict(network.state_shapes)
    assert list(shapes) == list(network.state_shapes)


def nested(**options):
    return Network(
        input_shape=(3, 8, 8),
        stem=Sequential(conv=Conv2d(3, 4, 3, padding=1, bias=False), norm=BatchNorm2d(4)),
        block1=Residual(
            Sequential(conv1=Conv2d(4, 6, 3, stride=2, padding=1), norm=BatchNorm2d(6)),
            Conv2d(4, 6, 1, stride=2),
        ),
        flatten=Flatten(),
        fc=Linear(96, 5),
        **options,
    )


def test_full_names_and_shapes_of_nested_layers():
    network = nested()
    assert list(network.leaves) == [
        "stem.conv", "stem.norm", "block1.body.conv1", "block1.body.norm", "block1.shortcut",
        "flatten", "fc",
    ]  # fmt: skip
    assert network.shapes == {
        "stem": (4, 8, 8),
        "stem.conv": (4, 8, 8),
        "stem.norm": (4, 8, 8),
        "block1": (6, 4, 4),
        "block1.body": (6, 4, 4),
        "block1.body.conv1": (6, 4, 4),
        "block1.body.norm": (6, 4, 4),
        "block1.shortcut": (6, 4, 4),
        "flatten": (96,),
        "fc": (5,),
    }
    assert list(network.state_shapes)[:7] == [
        "stem.conv.weight",
        "stem.norm.weight",
        "stem.norm.bias",
        "stem.norm.running_mean",
        "stem.norm.running_var",
        "stem.norm.num_batches_tracked",
        "block1.body.conv1.weight",
    ]
    assert network.parameter_count() == 108 + 8 + 216 + 6 + 12 + 24 + 6 + 480 + 5
    assert not network.parameter_shapes.keys() & network.buffer_shapes.keys()


def test_the_state_of_a_nested_network_is_that_of_torch(torch):
    from neocog.torch_engine.module import to_torch

    network = nested()
    network.initialize(3)
    state = network.state_dict()
    found = to_torch(network).state_dict()
    assert list(found) == list(state)
    for name, value in state.items():
        assert found[name].numpy().dtype == value.dtype
        np.testing.assert_array_equal(found[name].numpy(), value)


def test_names_that_torch_keeps_for_itself_are_refused_there(torch):
    from neocog.torch_engine.module import to_torch

    for name in ("forward", "a.forward", "a..b"):
        with pytest.raises(ArchitectureError, match="PyTorch has no module for these names"):
            to_torch(Network(**{name: ReLU()}))


# What is refused


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ({"block": Sequential(a=Conv2d(9, 1, 1))}, r"block\.a: Conv2d: in_channels \(=9\)"),
        ({"block": Residual(Sequential(a=Linear(9, 1)))}, r"block\.body\.a: Linear: in_features"),
        ({"block": Residual(Conv2d(3, 4, 1))}, r"body gives \(4, 8, 8\) but its input is \(3, 8"),
        ({"b": Residual(ReLU(), MaxPool2d())}, r"but the shortcut gives \(3, 4, 4\)"),
        ({"a": Sequential(b=ReLU()), "a.b": ReLU()}, r"Two layers are called 'a\.b'"),
        ({"a.b": ReLU(), "a": Sequential(b=ReLU())}, r"Two layers are called 'a\.b'"),
        ({"norm": BatchNorm2d(4)}, r"norm: BatchNorm2d: num_features \(=4\) must equal"),
        ({"norm": GroupNorm(2, 4)}, r"norm: GroupNorm: num_channels \(=4\) must equal"),
        ({"norm": LayerNorm2d(4)}, r"norm: LayerNorm2d: normalized_shape \(=4\) must equal"),
        ({"pool": AvgPool2d(9)}, "regions of 9 × 9 do not fit"),
        ({"f": Flatten(), "pool": AdaptiveAvgPool2d()}, "takes feature maps"),
        (
            {"pad": ReflectionPad2d((0, 8, 0, 0))},
            r"pad: ReflectionPad2d: reflect padding can add at most 7 columns .*\(3, 8, 8\), not 8",
        ),
        ({"pad": CircularPad2d(9)}, "circular padding can add at most 8 rows"),
        (
            {"conv": Conv2d(3, 1, 3, padding=8, padding_mode="reflect")},
            "conv: Conv2d: reflect padding can add at most 7 rows",
        ),
        ({"a": 3}, "a: 3 is not a layer"),
    ],
)
def test_networks_that_do_not_fit_are_named(layers, message):
    with pytest.raises(ArchitectureError, match=message):
        Network(input_shape=(3, 8, 8), **layers)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conv2d(4, 6, 3, groups=4), r"groups \(=4\) must divide out_channels"),
        (lambda: Conv2d(4, 6, 3, stride=2, padding="same"), "padding 'same' needs stride 1"),
        (
            lambda: Conv2d(4, 6, 3, padding_mode="same"),
            "padding_mode .*must be one of 'zeros', 'ref",
        ),
        (
            lambda: ZeroPad2d(-1),
            "ZeroPad2d: padding .=-1. must be a whole number of at least 0, or",
        ),
        (lambda: ReflectionPad2d((1, 2)), "four of them .left, right, top, bottom."),
        (lambda: Upsample(scale_factor=1.5), "scale_factor .=1.5. must be a whole number"),
        (lambda: Upsample(mode="bilinear"), "mode .='bilinear'. must be 'nearest'"),
        (lambda: Conv2d(4, 6, 3, padding="reflect"), "must be 'same', 'valid' or numbers"),
        (lambda: Conv2d(4, 6, 3, dilation=0), "dilation"),
        (lambda: Conv2d(4, 6, 3, bias=1), "must be true or false"),
        (lambda: MaxPool2d(2, padding=2), "at most half"),
        (lambda: MaxPool2d(2, ceil_mode=1), "ceil_mode .=1. must be true or false"),
        (lambda: AvgPool2d(2, divisor_override=0), "divisor_override .=0. must be a whole number"),
        (lambda: AdaptiveAvgPool2d(0), "output_size .=0. must be a whole number of at least 1"),
        (lambda: AdaptiveMaxPool2d((2, 3, 4)), "output_size .*or two of them"),
        (lambda: BatchNorm2d(0), "num_features"),
        (lambda: GroupNorm(0, 4), "num_groups"),
        (lambda: GroupNorm(3, 4), r"num_channels \(=4\) must be a multiple of num_groups \(=3\)"),
        (lambda: LayerNorm2d(0), "normalized_shape"),
        (lambda: LayerNorm2d(1, eps=-1), "eps"),
        (lambda: BatchNorm2d(1, eps=-1), "eps"),
        (lambda: BatchNorm2d(1, momentum=2), "momentum"),
        (lambda: Dropout(1.5), "from 0 to 1"),
        (lambda: Dropout(True), "from 0 to 1"),
        (lambda: GELU("erf"), "'none' or 'tanh'"),
        (lambda: Scale(float("nan")), "must be a number"),
        (lambda: Sequential(), "at least one layer"),
        (lambda: Sequential(a=3), r"a \(=3\) is not a layer"),
        (lambda: Residual(None), "is not a layer"),
    ],
)
def test_arguments_that_cannot_be_are_refused(make, message):
    with pytest.raises(ArchitectureError, match=message):
        make()


def test_counts_of_batches_are_whole_numbers():
    network = nested()
    network.initialize(0)
    state = network.state_dict()
    assert state["stem.norm.num_batches_tracked"].dtype == np.int64
    state["stem.norm.num_batches_tracked"] = np.array(7, np.int32)
    network.load_state_dict(state)
    assert network.state_dict()["stem.norm.num_batches_tracked"] == 7
    state["stem.norm.num_batches_tracked"] = np.array(np.nan)
    with pytest.raises(ArchitectureError, match="must hold a whole number"):
        network.load_state_dict(state)


# As plain data


def test_every_type_is_among_them():
    assert {type(layer) for layer in EVERY} == set(LAYERS.values())


@pytest.mark.parametrize("layer", EVERY, ids=lambda layer: type(layer).__name__)
def test_a_layer_comes_back_from_its_description(layer):
    assert build(json.loads(json.dumps(describe(layer)))) == layer


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ({}, "Unknown layer type None"),
        ({"type": "Evil"}, "Unknown layer type 'Evil'"),
        ({"type": ["ReLU"]}, "Unknown layer type"),
        ({"type": "ReLU", "inplace": True}, "ReLU has no argument 'inplace'"),
        ({"type": "Linear"}, "Linear: .*missing"),
        ({"type": "Sequential"}, "no list of layers"),
        ({"type": "Sequential", "layers": [3]}, "A layer cannot be called"),
        ({"type": "Sequential", "layers": [{"name": "__init__", "type": "ReLU"}]}, "be called"),
        ({"type": "Sequential", "layers": [{"name": "a", "type": "ReLU"}] * 2}, "Two layers are"),
        ({"type": "Residual", "body": 3}, "is not a layer"),
        ({"type": "Residual", "body": [{"type": "ReLU"}]}, "is not a layer"),
        ({"type": "MaxPool2d", "kernel_size": {"type": "ReLU"}}, "kernel_size"),
    ],
)
def test_descriptions_of_no_layer_are_refused(description, message):
    with pytest.raises(ArchitectureError, match=message):
        build(description)


def test_layers_in_a_sequential_may_be_called_as_in_torch():
    layers = [{"name": name, "type": "ReLU"} for name in ("0", "self", "layers", "features.1")]
    assert list(build_row(layers)) == ["0", "self", "layers", "features.1"]
    built = build({"type": "Sequential", "layers": layers})
    assert list(built.children()) == ["0", "self", "layers", "features.1"]
    assert build(describe(built)) == built


def test_layers_may_lie_only_so_deep():
    layer = ReLU()
    for _ in range(16):
        layer = Residual(layer)
    assert build(describe(layer)) == layer
    with pytest.raises(ArchitectureError, match="more than 16 deep"):
        build(describe(Residual(layer)))
