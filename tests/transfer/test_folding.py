"""A network without its normalizations is the same function, and comes back as it was."""

import numpy as np
import pytest
from photographs import network, pictures

from neocog import (
    AdaptiveAvgPool2d,
    Add,
    BatchNorm2d,
    Conv2d,
    Flatten,
    Linear,
    Network,
    Node,
    ReLU,
    reference,
)
from neocog.transfer.folding import Folding


def norm_first():
    """Normalization before a convolution, as DenseNet has it, and of a map that two layers read."""
    found = Network.from_nodes(
        [
            Node("conv", Conv2d(3, 6, 3)),
            Node("norm", BatchNorm2d(6), "conv"),
            Node("relu", ReLU()),
            Node("two", Conv2d(6, 6, 1, bias=True)),
            Node("norm2", BatchNorm2d(6, eps=1e-3)),
            Node("around", Conv2d(6, 6, 1), "conv"),
            Node("still", BatchNorm2d(6, affine=False)),
            Node("pool", AdaptiveAvgPool2d(1), "norm2"),
            Node("other", AdaptiveAvgPool2d(1), "still"),
            Node("sum", Add(), ("pool", "other")),
            Node("flat", Flatten()),
            Node("fc", Linear(6, 3)),
        ],
        input_shape=(3, 24, 24),
    )
    found.initialize(0)
    rng = np.random.default_rng(1)
    state = found.state_dict()
    for name, array in state.items():
        if "norm" in name and array.dtype == np.float32:
            state[name] = rng.uniform(0.3, 2, array.shape).astype(np.float32)
    found.load_state_dict(state)
    return found


def scores(net, state):
    x = pictures(3).images.transpose(0, 3, 1, 2) / 127.5 - 1
    doubles = {name: array.astype(np.float64) for name, array in state.items()}
    return list(reference.forward(net, doubles, x).values())[-1]


@pytest.mark.parametrize("make", [network, norm_first])
def test_the_same_function_without_normalizations(make):
    net = make()
    folding, state = Folding(net.graph), net.state_dict()
    folded = Network.from_graph(folding.graph)
    kinds = [type(layer).__name__ for layer in folding.graph.leaves.values()]
    assert kinds.count("BatchNorm2d") == (1 if make is norm_first else 0)
    np.testing.assert_allclose(
        scores(folded, folding.folded(state)), scores(net, state), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("make", [network, norm_first])
def test_there_and_back(make):
    net = make()
    folding, state = Folding(net.graph), net.state_dict()
    back = folding.unfolded(state, folding.folded(state))
    assert list(back) == list(state)
    for name, array in state.items():
        np.testing.assert_allclose(back[name], array, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("make", [network, norm_first])
def test_what_was_learned_comes_back(make):
    net = make()
    folding, state = Folding(net.graph), net.state_dict()
    rng = np.random.default_rng(2)
    learned = {
        name: array + 0.1 * rng.normal(size=array.shape).astype(array.dtype)
        if array.dtype == np.float32
        else array
        for name, array in folding.folded(state).items()
    }
    back = folding.unfolded(state, learned)
    folded = Network.from_graph(folding.graph)
    np.testing.assert_allclose(scores(net, back), scores(folded, learned), rtol=1e-4, atol=1e-4)
    for name, array in state.items():
        if "running" in name and "still" not in name:
            np.testing.assert_array_equal(back[name], array)


def test_a_channel_whose_factor_is_zero_can_learn():
    net = network()
    state = net.state_dict()
    state["down.norm.weight"][3] = 0
    folding = Folding(net.graph)
    learned = folding.folded(state)
    learned["down.conv.weight"][3] += 0.25
    back = folding.unfolded(state, learned)
    folded = Network.from_graph(folding.graph)
    np.testing.assert_allclose(scores(net, back), scores(folded, learned), rtol=1e-4, atol=1e-4)
