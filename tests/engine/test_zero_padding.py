"""`ZeroPad2d` before a convolution: no copy of the map, and the same numbers as with one."""

from functools import partial

import numpy as np
import pytest
from yardstick import compare, data_for

from neocog import reference
from neocog.engine.lowering import lower
from neocog.engine.ops import PaddingOp
from neocog.layers import (
    AdaptiveAvgPool2d,
    Add,
    BatchNorm2d,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    Node,
    ReLU,
    ReLU6,
    ZeroPad2d,
)
from neocog.models import make
from neocog.network import Network
from neocog.transfer.features import Features


def padded(pad, conv, behind=(), sides=(13, 10), before=()):
    """Two convolutions with zeros before them, the first of the image; a mean of what they give."""
    channels, out = conv.in_channels, conv.out_channels
    layers = [ZeroPad2d((1, 0, 2, 1)), Conv2d(3, channels, 3, stride=2, bias=False)]
    layers += [BatchNorm2d(channels), *before, ZeroPad2d(pad), conv, *behind]
    layers += [AdaptiveAvgPool2d(2), Flatten(), Linear(4 * out, 5)]
    named = {f"l{n}": layer for n, layer in enumerate(layers)}
    return Network(**named, input_shape=(3, *sides))


def depthwise(kernel, **options):
    return Conv2d(8, 8, kernel, groups=8, **options)


BEFORE, BEHIND = (ReLU6(),), (BatchNorm2d(8), ReLU6())
NETWORKS = {
    "depthwise, as in EfficientNet-Lite": partial(
        padded, (0, 1, 0, 1), depthwise(3, stride=2, bias=False), BEHIND, (16, 12), BEFORE
    ),
    "depthwise, 5 × 5": partial(padded, (1, 2, 1, 2), depthwise(5, stride=2), BEHIND, (17, 14)),
    "depthwise, more before than after": partial(padded, (2, 0, 1, 0), depthwise((3, 4)), BEHIND),
    "depthwise, dilated": partial(padded, (4, 1, 0, 3), depthwise(3, stride=(2, 1), dilation=2)),
    "dense, its own padding too": partial(
        padded, (0, 1, 2, 0), Conv2d(8, 8, 3, stride=2, padding=1), BEHIND, before=BEFORE
    ),
    "dense, behind ReLU": partial(
        padded, (1, 2, 0, 3), Conv2d(8, 8, 4, stride=3), BEHIND, (22, 19), (ReLU(),)
    ),
    "dense, stride 1": partial(padded, (0, 2, 1, 0), Conv2d(8, 8, (2, 3)), (ReLU(),)),
    "dense, 'same'": partial(padded, (0, 1, 0, 1), Conv2d(8, 8, (3, 5), padding="same"), BEHIND),
    "dense, of groups": partial(padded, (0, 1, 0, 1), Conv2d(8, 8, 3, 2, groups=2), BEHIND),
    "dense, pooled": partial(padded, (0, 1, 1, 0), Conv2d(8, 8, 3), (ReLU(), MaxPool2d(2))),
    "Winograd": partial(padded, (0, 1, 1, 2), Conv2d(16, 16, 3), (ReLU(),), (21, 14)),
    "dilated": partial(padded, (0, 2, 2, 1), Conv2d(8, 8, 2, stride=3, dilation=2)),
}


def pads(network, **how):
    """The operations that copy a map."""
    ops = lower(network.graph, **{"training": True, **how})
    return [op.name for op in ops if isinstance(op, PaddingOp)]


def by_formulas(network, images):
    """What every layer gives."""
    how = network.preprocessing
    inputs = reference.preprocess(images, how.mean, how.std).astype(np.float64)
    return reference.forward(network, network.state_dict(), inputs)


@pytest.mark.parametrize("make_network", NETWORKS.values(), ids=NETWORKS)
def test_the_convolution_has_the_zeros(make_network):
    network = make_network()
    network.initialize(0)
    assert pads(network) == pads(network, training=False) == []
    images, labels = data_for(network)
    *_, expected = by_formulas(network, images).values()
    np.testing.assert_allclose(network.predict_scores(images), expected, atol=1e-5)
    np.testing.assert_allclose(network.predict_scores(images[:1]), expected[:1], atol=1e-5)
    compare(network, images, labels)


def test_efficientnet_lite_copies_no_map():
    network = make("efficientnet-lite0", 10)
    names = [name for name in network.layers if "pad" in name]
    assert len(names) == 5
    for how in ({}, {"training": False}, {"training": False, "single_image": True}):
        assert pads(network, **how) == []
    assert pads(network, unfused=True) == names, "explanations show each layer"


def branches(*nodes):
    """Of an image of 9 × 9 the nodes, which end in "last", and a mean."""
    ends = [Node("mean", AdaptiveAvgPool2d(1), "last"), Node("flatten", Flatten())]
    return Network.from_nodes(
        [Node("first", Conv2d(3, 8, 1)), *nodes, *ends, Node("fc", Linear(8, 5))],
        input_shape=(3, 9, 9),
    )


KEPT = {
    "two readers": [
        Node("pad", ZeroPad2d((0, 1, 0, 1))),
        Node("a", Conv2d(8, 8, 3), "pad"),
        Node("b", depthwise(3), "pad"),
        Node("last", Add(), ("a", "b")),
    ],
    "a reader that is no convolution": [
        Node("pad", ZeroPad2d((0, 1, 0, 1))),
        Node("last", MaxPool2d(2)),
    ],
    "windows of zeros alone": [Node("pad", ZeroPad2d((0, 0, 0, 3))), Node("last", Conv2d(8, 8, 3))],
    "other padding in the convolution": [
        Node("pad", ZeroPad2d((0, 1, 0, 1))),
        Node("last", Conv2d(8, 8, 3, padding=1, padding_mode="reflect")),
    ],
}


@pytest.mark.parametrize("nodes", KEPT.values(), ids=KEPT)
def test_elsewhere_the_map_is_copied(nodes):
    network = branches(*nodes)
    assert pads(network)[0] == "pad"
    network.initialize(0)
    compare(network, *data_for(network))


def test_a_map_that_others_read_without_zeros():
    network = branches(
        Node("r", ReLU(), "first"),
        Node("pad", ZeroPad2d((1, 2, 2, 1)), "r"),
        Node("a", Conv2d(8, 8, 4), "pad"),
        Node("b", Conv2d(8, 8, 1), "r"),
        Node("last", Add(), ("a", "b")),
    )
    assert pads(network) == []
    network.initialize(0)
    compare(network, *data_for(network))


def test_a_cut_at_the_zeros_gives_a_map_with_them():
    network = NETWORKS["depthwise, as in EfficientNet-Lite"]()
    network.initialize(0)
    images, _ = data_for(network, 3)
    padded_map = by_formulas(network, images)["l4"].transpose(0, 2, 3, 1)
    assert not padded_map[:, -1].any()
    np.testing.assert_allclose(Features(network, "l4").of(images), padded_map, atol=2e-3)
