"""Every layer with every argument: ONNX Runtime gives what neocog gives."""

import numpy as np
import pytest
from every_layer import ELEMENTWISE, MERGING, NETWORKS, ON_MAPS, SHAPE, ended
from onnx_networks import BOUND, by_hand, noise, scores_apart

from neocog.errors import ArchitectureError
from neocog.formats.onnx.writing.session import OnnxSession
from neocog.formats.onnx.writing.writer import make_onnx, onnx_nodes
from neocog.layers import (
    LAYERS,
    AdaptiveAvgPool2d,
    Conv2d,
    Dropout,
    Flatten,
    Layer,
    Linear,
    Multiply,
    Node,
    Scale,
    Sigmoid,
)
from neocog.layers.graph import Container
from neocog.network import Network


@pytest.mark.parametrize("what", NETWORKS)
def test_every_layer(what):
    assert scores_apart(NETWORKS[what](), 3) < BOUND


@pytest.mark.parametrize("order", [("image", "gate"), ("gate", "image")])
def test_a_factor_a_channel(order):
    nodes = [
        Node("image", Conv2d(6, 6, 1)),
        Node("pool", AdaptiveAvgPool2d(1)),
        Node("gate", Sigmoid()),
        Node("scaled", Multiply(), order),
    ]
    assert scores_apart(ended(nodes), 3) < BOUND


def test_every_layer_is_tried():
    tried = {type(layer) for layer in (*ON_MAPS, *ELEMENTWISE, *MERGING)}
    assert tried | {Linear, Flatten} == set(LAYERS.values())


@pytest.mark.parametrize("layer", LAYERS.values(), ids=list(LAYERS))
def test_every_layer_has_a_rule(layer):
    assert (onnx_nodes.of(layer) is None) == issubclass(layer, Container)


def test_names_that_the_writer_uses_itself():
    names = ["images", "input", "scores", "probabilities", "conv.weight", "preprocessing/Cast"]
    nodes = [Node("conv", Conv2d(6, 6, 1)), *(Node(name, Scale(1.5)) for name in names)]
    network = ended(nodes)
    assert scores_apart(network, 2) < BOUND
    assert scores_apart(network, 2, pictures=False) < BOUND


def test_layers_that_do_nothing():
    network = Network(input_shape=(4, 1, 1), flatten=Flatten(), drop=Dropout(0.5))
    network.load_state_dict({})
    for pictures in (True, False):
        images = noise(network, 3)
        session = OnnxSession(make_onnx(network.parts(), pictures=pictures))
        given = images if pictures else by_hand(network, images)
        found = session.run(given)["scores"]
        np.testing.assert_allclose(found, images[:, 0, 0] / 127.5 - 1, rtol=1e-5, atol=1e-6)


def test_a_layer_without_operators_is_named():
    class Halved(Layer):
        def output_shape(self, shape):
            return shape

    network = Network(input_shape=SHAPE, half=Halved(), flatten=Flatten())
    network.load_state_dict({})
    with pytest.raises(ArchitectureError, match="half: there are no ONNX operators for Halved"):
        make_onnx(network.parts())
