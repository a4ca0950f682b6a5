"""Every layer has a view; every value has a figure; what their sentences say is so."""

from dataclasses import dataclass

import numpy as np
import pytest

import neocog
from neocog.errors import NeocogError
from neocog.explanation import Attribution, Explanation, Filters, LayerExplanation, Step
from neocog.explanation.page import layers_without_view
from neocog.explanation.page.payload import pack
from neocog.explanation.page.views import LayerView, view, view_of
from neocog.explanation.receptive_field import receptive_field
from neocog.explanation.rendering import render_figure, render_html
from neocog.explanation.topology import branches, lanes, named_layers, nodes_to
from neocog.layers import (
    GELU,
    AdaptiveAvgPool2d,
    Add,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Layer,
    LeakyReLU,
    Linear,
    MaxPool2d,
    Multiply,
    Node,
    ReflectionPad2d,
    ReLU,
    Residual,
    Scale,
    Sequential,
    Tanh,
    Upsample,
    ZeroPad2d,
)
from neocog.network import Network


@dataclass(frozen=True)
class Unknown(Layer):
    """A layer that nobody registered a view for."""

    def output_shape(self, shape):
        return shape


def everything():
    return Network(
        input_shape=(3, 12, 8),
        conv=Conv2d(3, 4, (3, 5), padding=(1, 2), stride=(1, 2)),
        norm=BatchNorm2d(4),
        relu=ReLU(),
        leaky=LeakyReLU(0.25),
        pool=MaxPool2d(2, stride=1),
        block=Residual(
            Sequential(wide=Conv2d(4, 4, 3, padding=1, groups=2), drop=Dropout(0.5), tanh=Tanh()),
            Conv2d(4, 4, 1),
        ),
        gelu=GELU(),
        plain=Residual(Scale(0.5)),
        mean=AvgPool2d(2),
        all=AdaptiveAvgPool2d(),
        flatten=Flatten(),
        fc=Linear(4, 3),
    )


@pytest.fixture(scope="module")
def explanation():
    network = everything()
    network.initialize(3)
    image = np.random.default_rng(3).integers(0, 256, (12, 8, 3), np.uint8)
    return neocog.explain(network, image, 1)


@pytest.fixture(scope="module")
def packed(explanation):
    structure = pack(explanation, attributions=False).structure
    return {layer["name"]: layer for layer in structure["layers"]}


# Views


def test_every_layer_has_a_view():
    assert layers_without_view() == []


def test_layers_that_have_no_view_are_named():
    assert layers_without_view({"Unknown": Unknown, "ReLU": ReLU, "Another": Unknown}) == [
        "Another",
        "Unknown",
    ]
    with pytest.raises(NeocogError, match="x cannot be shown: there is no view of Unknown"):
        view_of(LayerExplanation("x", Unknown(), *[np.zeros(1)] * 4))


def test_a_view_of_a_new_layer():
    @dataclass(frozen=True)
    class Fresh(Unknown):
        pass

    @view(Fresh)
    class FreshView(LayerView):
        kind = "unknown"

    layer = LayerExplanation("x", Fresh(), *[np.zeros(1)] * 4)
    assert view_of(layer).kind == "unknown" and view_of(layer).summary(layer) == ""
    assert view_of(layer).options(layer) == {"function": "Fresh"}


def test_kinds_are_those_that_the_program_has(packed):
    assert {name: layer["kind"] for name, layer in packed.items()} == {
        "image": "image",
        "conv": "convolution",
        "norm": "normalization",
        "relu": "activation",
        "leaky": "activation",
        "pool": "pooling",
        "block.body.wide": "convolution",
        "block.body.tanh": "activation",
        "block.shortcut": "convolution",
        "block": "sum",
        "gelu": "activation",
        "plain.body": "activation",
        "plain": "sum",
        "mean": "pooling",
        "all": "pooling",
        "flatten": "flatten",
        "fc": "linear",
    }


def test_layers_in_a_few_words(packed):
    assert {name: layer["text"] for name, layer in packed.items() if layer["text"]} == {
        "conv": "3 × 5, 3 → 4 channels, stride 1 × 2, padding 1 × 2",
        "pool": "2 × 2, stride 1",
        "block.body.wide": "3 × 3, 4 → 4 channels, padding 1, 2 groups",
        "block.shortcut": "1 × 1, 4 → 4 channels",
        "mean": "2 × 2",
        "fc": "4 → 3",
    }


def test_what_formulas_need(packed):
    assert packed["leaky"]["details"] == {"function": "LeakyReLU", "slope": 0.25}
    assert packed["gelu"]["details"] == {"function": "GELU", "tanh": False}
    assert packed["plain.body"]["details"] == {"function": "Scale", "factor": 0.5}
    assert packed["block.body.tanh"]["details"] == {"function": "Tanh"}
    assert packed["pool"]["details"]["most"] is True
    assert packed["mean"]["details"]["most"] is False and packed["mean"]["details"]["padded"]
    assert packed["pool"]["details"]["columns"] == [(0, 2), (1, 3), (2, 4)]
    assert (packed["all"]["details"]["rows"], packed["all"]["details"]["columns"]) == (
        [(0, 5)],
        [(0, 1)],
    )


def test_pooling_with_options():
    layers = {
        "clipped": MaxPool2d(3, 2, 1, ceil_mode=True),
        "summed": AvgPool2d(2, divisor_override=1),
        "parts": AdaptiveAvgPool2d((2, 1)),
    }
    network = Network(input_shape=(3, 8, 6), **layers, flatten=Flatten(), fc=Linear(6, 2))
    network.initialize(0)
    explanation = neocog.explain(network, np.zeros((8, 6, 3), np.uint8), 1)
    packed = {
        each["name"]: each for each in pack(explanation, attributions=False).structure["layers"]
    }
    clipped, summed, parts = (packed[name] for name in layers)
    assert clipped["text"] == "3 × 3, stride 2, ceil_mode"
    # PyTorch's five rows; the padding after the map counts as part of the last one.
    assert clipped["details"]["rows"] == [(-1, 2), (1, 4), (3, 6), (5, 8), (7, 9)]
    assert summed["text"] == "2 × 2, divided by 1" and summed["details"]["divisor"] == 1
    assert summed["caption"]["forward"].startswith("Each region gives its sum, divided by 1: ")
    assert "its gradient, divided by 1." in summed["caption"]["backward"]
    assert parts["text"] == "" and parts["details"]["rows"] == [(0, 1), (1, 2)]


def test_copies():
    layers = {
        "conv": Conv2d(3, 2, 3, padding=1, padding_mode="circular"),
        "pad": ReflectionPad2d((1, 0, 0, 2)),
        "zeros": ZeroPad2d(1),
        "larger": Upsample(scale_factor=(1, 2)),
    }
    fc = Linear(2 * 8 * 10, 2)
    network = Network(input_shape=(3, 4, 2), **layers, flatten=Flatten(), fc=fc)
    network.initialize(0)
    explanation = neocog.explain(network, np.zeros((4, 2, 3), np.uint8), 1)
    structure = pack(explanation, attributions=False).structure
    packed = {each["name"]: each for each in structure["layers"]}
    conv, pad, zeros, larger = (packed[name] for name in layers)
    assert conv["text"] == "3 × 3, 3 → 2 channels, padding 1 (circular)"
    assert conv["details"]["sources"] == ((3, 0, 1, 2, 3, 0), (1, 0, 1, 0))
    assert pad["text"] == "1 left, 0 right, 0 above, 2 below" and zeros["text"] == "1"
    assert pad["details"] == {"rows": (0, 1, 2, 3, 2, 1), "columns": (1, 0, 1)}
    says = pad["caption"]["forward"]
    assert says.endswith("mirrored in its first and last rows and columns. It becomes 6 × 3.")
    assert larger["text"] == "× 1 × 2" and "repeated 1 × 2 times" in larger["caption"]["forward"]


def test_sentences_have_the_layers_numbers(explanation, packed):
    def says(name, side="forward"):
        return packed[name]["caption"][side]

    conv = explanation["conv"].output
    channel, row, column = np.unravel_index(np.abs(conv).argmax(), conv.shape)
    assert "4 kernels of 3 × 5 × 3 slide over 3 channels" in says("conv")
    assert "each number is a sum of 45 products" in says("conv")
    assert says("conv").endswith(f"in channel {channel}, row {row}, column {column}.")
    zeros = 100 * (explanation["relu"].output == 0).mean()
    assert says("relu").startswith(f"Negative numbers become zero: {zeros:.0f} % of 192.")
    assert "132 of 192. The map becomes 11 × 3." in says("pool")
    assert says("plain.body") == "Every number is multiplied by 0.5."
    assert "1 × 1 = 4" in says("flatten")
    assert says("mean", "backward").startswith("Each gradient is divided evenly among")
    delta = explanation.delta[1]
    assert f"for 1 it is −{abs(delta):.3g}. " in says("fc", "backward")


def test_where_no_gradient_arrives(explanation):
    network = explanation.network.copy()
    state = network.state_dict()
    network.load_state_dict({**state, "fc.weight": 0 * state["fc.weight"]})
    layers = pack(neocog.explain(network, explanation.image, 1), attributions=False).structure
    says = {each["name"]: each["caption"]["backward"] for each in layers["layers"]}
    assert says["conv"].startswith("The loss does not depend on any number here")
    assert says["fc"].startswith("The gradient of every score")


# Figures and pages


@pytest.mark.parametrize("value", [Attribution, Explanation, Filters, LayerExplanation, Step])
def test_every_value_has_a_figure(value):
    assert callable(value.figure)
    assert render_figure.dispatch(value) is not render_figure.dispatch(object)


def test_values_without_a_figure():
    with pytest.raises(TypeError, match="No figure is registered for a int"):
        render_figure(3)
    with pytest.raises(TypeError, match="No page is registered for a str"):
        render_html("text")


# How layers hang together


def test_branches():
    body, shortcut = Conv2d(1, 1, 1), Scale(2)
    assert branches(ReLU()) == ()
    assert branches(Sequential(a=body, b=shortcut)) == ({"a": body, "b": shortcut},)
    assert branches(Residual(body)) == ({"body": body}, {})
    assert branches(Residual(body, shortcut)) == ({"body": body}, {"shortcut": shortcut})


def test_lanes(explanation):
    assert lanes(explanation.network, explanation) == [
        *("conv", "norm", "relu", "leaky", "pool"),
        {"sum": "block", "lanes": [["block.body.wide", "block.body.tanh"], ["block.shortcut"]]},
        "gelu",
        {"sum": "plain", "lanes": [["plain.body"], []]},
        *("mean", "all", "flatten", "fc"),
    ]


def test_named_layers_have_containers_too():
    names = list(named_layers(everything()))
    assert names[5:10] == [
        "block",
        "block.body",
        "block.body.wide",
        "block.body.drop",
        "block.body.tanh",
    ]
    assert {"plain", "plain.body", "block.shortcut"} <= set(names)


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("norm", ["conv", "norm"]),
        ("block.body.tanh", ["block.body.wide", "block.body.drop", "block.body.tanh"]),
        ("block.body", ["block.body.wide", "block.body.drop", "block.body.tanh"]),
        ("block.shortcut", ["block.shortcut"]),
        (
            "gelu",
            [
                *(f"block.body.{each}" for each in ("wide", "drop", "tanh")),
                *("block.shortcut", "block", "gelu"),
            ],
        ),
    ],
)
def test_the_nodes_to_a_layer(name, way):
    before = ["conv", "norm", "relu", "leaky", "pool"]
    found = [node.name for node in nodes_to(everything().graph, name)]
    assert found == (way if name == "norm" else [*before, *way])


@pytest.mark.parametrize("name", ["zzz", "block.zzz", "block.body.zzz", "conv.zzz"])
def test_the_nodes_to_no_layer(name):
    with pytest.raises(NeocogError, match=f"The network has no layer '{name}'"):
        nodes_to(everything().graph, name)


def test_what_a_graph_of_several_ways_reads():
    """Both convolutions' pixels, but for the factor of a channel, which sees the whole image."""
    nodes = [
        Node("left", Conv2d(1, 2, 3, padding=1)),
        Node("right", Conv2d(1, 2, (1, 5), padding=(0, 2)), "input"),
        Node("sum", Add(), ("left", "right")),
        Node("pool", AdaptiveAvgPool2d(), "right"),
        Node("both", Multiply(), ("sum", "pool")),
        Node("flatten", Flatten()),
        Node("fc", Linear(2 * 9 * 9, 2)),
    ]
    network = Network.from_nodes(nodes, input_shape=(1, 9, 9))
    assert receptive_field(network, "sum", 4, 4) == (3, 2, 6, 7)
    assert receptive_field(network, "left", 4, 4) == (3, 3, 6, 6)
    assert receptive_field(network, "both", 4, 4) == (0, 0, 9, 9)
