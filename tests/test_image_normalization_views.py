"""What the page says of group and layer normalization: its numbers give what the engine has."""

import numpy as np
import pytest

import neocog
from neocog.explanation.page.payload import pack
from neocog.explanation.page.views import view_of
from neocog.explanation.receptive_field import receptive_field
from neocog.layers import Conv2d, Flatten, GroupNorm, LayerNorm2d, Linear
from neocog.network import Network


@pytest.fixture(scope="module")
def explanation():
    network = Network(
        input_shape=(3, 7, 6),
        conv=Conv2d(3, 6, 3),
        groups=GroupNorm(3, 6, eps=1e-3),
        more=Conv2d(6, 10, 3, padding=1),
        places=LayerNorm2d(10),
        plain=LayerNorm2d(10, elementwise_affine=False),
        flatten=Flatten(),
        fc=Linear(10 * 5 * 4, 3),
    )
    network.initialize(3)
    rng = np.random.default_rng(3)
    state = network.state_dict()
    for name in ("groups", "places"):
        for part in ("weight", "bias"):
            state[f"{name}.{part}"] = rng.normal(size=len(state[f"{name}.{part}"]))
    network.load_state_dict(state)
    return neocog.explain(network, rng.integers(0, 256, (7, 6, 3), np.uint8), 1)


@pytest.mark.parametrize("name", ["groups", "places", "plain"])
def test_the_formulas_give_the_engines_numbers(explanation, name):
    """As image_normalization.js computes them."""
    layer = explanation.layers[name]
    view = view_of(layer)
    of_channel = view.options(layer)["per"] == "channel"
    arrays = view.arrays(explanation, layer)
    spread = (-1, 1, 1) if of_channel else (1, *layer.input.shape[1:])
    numbers = ("mean", "deviation", "through_mean", "through_variance")
    mean, deviation, of_mean, of_var = (arrays[part].reshape(spread) for part in numbers)
    weight, bias = (arrays[part][:, None, None] for part in ("weight", "bias"))
    x_hat = (layer.input - mean) / deviation
    np.testing.assert_allclose(layer.output, x_hat * weight + bias, rtol=1e-4, atol=1e-5)
    g = layer.output_gradient * weight
    dx = (g - of_mean - x_hat * of_var) / deviation
    close = 1e-4 * np.abs(layer.input_gradient).max()
    np.testing.assert_allclose(layer.input_gradient, dx, rtol=1e-4, atol=close)


def test_sentences(explanation):
    structure = pack(explanation, attributions=False).structure
    captions = {layer["name"]: layer["caption"] for layer in structure["layers"]}
    assert captions["groups"]["forward"].startswith("Every 2 channels are a group")
    assert captions["places"]["forward"].startswith("The channels of each place")
    for name in ("groups", "places"):
        assert "the gradient goes through them" in captions[name]["backward"]


def test_a_group_sees_all_of_its_map(explanation):
    network = explanation.network
    assert receptive_field(network, "groups", 0, 0) == (0, 0, 7, 6)
    assert receptive_field(network, "plain", 0, 0) == (0, 0, 7, 6)
    alone = Network(
        places=LayerNorm2d(3), flatten=Flatten(), fc=Linear(12, 2), input_shape=(3, 2, 2)
    )
    assert receptive_field(alone, "places", 1, 0) == (1, 0, 2, 1)
