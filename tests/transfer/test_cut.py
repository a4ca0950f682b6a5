"""A network that is cut computes what it did, and another last layer leaves the rest as it was."""

import numpy as np
import pytest
from photographs import network, pictures

from neocog import (
    Add,
    ArchitectureError,
    Conv2d,
    Flatten,
    Linear,
    Network,
    Node,
    Residual,
    Sequential,
    reference,
)
from neocog.transfer.cut import (
    features_place,
    lower_of,
    part_of_state,
    places,
    upper_of,
    with_outputs,
)


def normalized_images(net, n=3):
    images = pictures(n).images
    x = images / 255.0
    how = net.preprocessing
    return ((x - np.array(how.mean)) / np.array(how.std)).transpose(0, 3, 1, 2)


def doubles(state):
    return {name: array.astype(np.float64) for name, array in state.items()}


def test_every_place_divides_the_network():
    net = network()
    x, state = normalized_images(net), doubles(net.state_dict())
    whole = reference.forward(net, state, x)
    found = places(net.graph)
    names = [one.name for one in found]
    assert names == ["relu", "block1", "down.norm", "block2", "head.pool"]
    for place in found:
        below, above = lower_of(net.graph, place.name), upper_of(net.graph, place.name)
        lower = reference.forward(Network.from_graph(below), part_of_state(below, state), x)
        middle = list(lower.values())[-1]
        np.testing.assert_array_equal(middle, whole[place.name])
        how = Network.from_graph(above)
        upper = reference.forward(how, part_of_state(above, state), middle)
        np.testing.assert_array_equal(list(upper.values())[-1], whole["classifier.fc"])
        assert place.shape == middle.shape[1:]
        assert set(below.state_shapes) | set(above.state_shapes) == set(net.state_shapes)


def test_multiply_adds_on_both_sides():
    """down: 20 channels of 6 × 6 of 8 · 9 products; block2: 60 · 20 · 36 · 2 + 60 · 9 · 36."""
    by_name = {one.name: one for one in places(network().graph)}
    assert by_name["down.norm"].below - by_name["block1"].below == 20 * 36 * 8 * 9
    assert by_name["block2"].below - by_name["down.norm"].below == 60 * 20 * 36 * 2 + 60 * 9 * 36
    assert by_name["block2"].behind == 20 * 40 * 36 + 40 * 7


def test_a_path_around_a_layer_leaves_no_place_there():
    net = Network.from_nodes(
        [
            Node("one", Conv2d(3, 4, 3, stride=2)),
            Node("two", Conv2d(4, 4, 1)),
            Node("sum", Add(), ("one", "two")),
            Node("flat", Flatten()),
            Node("fc", Linear(4, 2)),
        ],
        input_shape=(3, 4, 4),
    )
    assert [one.name for one in places(net.graph)] == ["one", "sum"]
    with pytest.raises(ArchitectureError, match="cannot be cut at two: a path goes around it"):
        upper_of(net.graph, "two")


def test_a_place_that_is_none():
    with pytest.raises(ArchitectureError, match=r"cut at 'block3'\. Did you mean 'block"):
        lower_of(network().graph, "block3")


def test_features_are_what_the_last_layer_reads():
    assert features_place(network().graph) == "flat"


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ({"flat": Flatten(), "fc": Linear(12, 3), "again": Residual(Linear(3, 3))}, "ends in Add"),
        ({"conv": Conv2d(3, 4, 2), "flat": Flatten()}, "ends in Flatten"),
    ],
)
def test_networks_that_end_otherwise(layers, message):
    net = Network(**layers, input_shape=(3, 2, 2))
    net.initialize(0)
    with pytest.raises(ArchitectureError, match=message):
        with_outputs(net, 3)


def test_another_last_layer():
    net = network()
    net.classes = tuple("abcdefg")
    found = with_outputs(net, 3)
    assert found.output_shape == (3,)
    assert found.classes is None
    before, after = net.state_dict(), found.state_dict()
    assert list(before) == list(after)
    for name, array in after.items():
        if name.startswith("classifier.fc."):
            assert not array.any()
        else:
            np.testing.assert_array_equal(array, before[name])
    assert net.output_shape == (7,)


def test_a_last_layer_without_a_bias_gets_one():
    net = Network(
        flat=Flatten(), all=Sequential(fc=Linear(12, 3, bias=False)), input_shape=(3, 2, 2)
    )
    net.initialize(0)
    assert with_outputs(net, 2).parameter_shapes == {"all.fc.weight": (2, 12), "all.fc.bias": (2,)}
