"""What the page says of layers with several inputs, and of those that pick and learn channels."""

import numpy as np
import pytest
from graph_networks import of_many_inputs

import neocog
from neocog.explanation.page.numbers import number
from neocog.explanation.page.payload import pack
from neocog.explanation.page.views import view_of


@pytest.fixture(scope="module")
def explanation():
    network = of_many_inputs()
    network.initialize(1)
    state, rng = network.state_dict(), np.random.default_rng(1)
    for name in ("slopes.weight", "slope.weight", "each.weight", "groups.weight"):
        state[name] = rng.normal(0.3, 0.4, len(state[name]))
    network.load_state_dict(state)
    return neocog.explain(network, rng.integers(0, 256, (6, 5, 3), np.uint8), 2)


@pytest.fixture(scope="module")
def packed(explanation):
    structure = pack(explanation, attributions=False).structure
    return {layer["name"]: layer for layer in structure["layers"]}


def test_the_layers_are_those_of_the_network(explanation, packed):
    assert {*packed} == {"image", *explanation.network.layers}
    assert all(layer["kind"] for layer in packed.values())
    assert packed["image_norm"]["reads"] == ["image"]
    assert packed["scaled"]["reads"] == ["slopes", "gate", "slope"]
    assert packed["squared"]["reads"] == ["groups", "groups"]
    assert packed["joined"]["reads"] == ["rest", "colors", "scaled", "squared"]


def test_layers_in_a_few_words(packed):
    words = {
        "added": "mixed + scaled + squared",
        "scaled": "slopes · gate · slope",
        "joined": "rest, colors, scaled, squared",
        "rest": "channels 3 to 7 of 8",
        "shuffled": "2 groups",
    }
    assert {name: packed[name]["text"] for name in words} == words


def test_channels_are_those_that_are_copied(explanation, packed):
    for name in ("colors", "rest", "shuffled"):
        layer = explanation[name]
        order = packed[name]["details"]["channels"]
        np.testing.assert_array_equal(layer.output, layer.input[order])
    for name in ("joined", "row"):
        assert packed[name]["details"]["channels"] is None
        parts = [explanation[each].output for each in packed[name]["reads"]]
        np.testing.assert_array_equal(explanation[name].output, np.concatenate(parts))


def test_slopes_and_their_gradients(explanation):
    for name in ("slopes", "slope", "each"):
        layer = explanation[name]
        arrays = view_of(layer).arrays(explanation, layer)
        x, g = layer.input.reshape(len(layer.output), -1), layer.output_gradient.reshape(-1)
        products = np.where(x <= 0, g.reshape(x.shape) * x, 0)
        expected = products.sum(axis=1) if len(arrays["slopes"]) > 1 else [products.sum()]
        np.testing.assert_allclose(arrays["slope_gradients"], expected, rtol=1e-4, atol=1e-7)
        np.testing.assert_array_equal(arrays["slopes"], layer.parameters["weight"])


def test_sentences_have_the_layers_numbers(explanation, packed):
    def says(name, side="forward"):
        return packed[name]["caption"][side]

    sizes = [number(float(np.abs(explanation[n].output).mean())) for n in ("mixed", "scaled")]
    assert says("added").startswith("3 inputs are added, number by number.")
    assert f"{sizes[0]} in mixed, {sizes[1]} in scaled and " in says("added")
    assert says("scaled").endswith("Of gate there is one number for each channel.")
    assert "the sum over all of its places" in says("scaled", "backward")
    assert "each channel" not in says("squared") and "places" not in says("squared", "backward")
    assert says("joined").endswith(
        "5 channels of rest, 2 channels of colors, 8 channels of scaled, 8 channels of squared."
    )
    assert says("row").endswith("3 numbers of less, 20 numbers of times.")
    assert says("rest").startswith("5 channels of 8 are taken")
    assert "first each one’s first channel" in says("shuffled")
    assert "a slope that its channel has learned" in says("slopes")
    below = 100 * (explanation["slope"].input <= 0).mean()
    slope = number(float(explanation["slope"].parameters["weight"][0]))
    assert f"The others, {below:.0f} % of 240, are multiplied by a learned slope, {slope}." in (
        says("slope")
    )
