"""Weights as other programs store them, made of random numbers."""

import numpy as np

from neocog.models import make


def random_state(model, classes=1000, seed=1):
    """A network's state dict, by our names, in which no two arrays of a shape are equal."""
    network = make(model, classes)
    network.initialize(seed)
    rng = np.random.default_rng(seed)
    state = network.state_dict()
    for name, value in state.items():
        if name.endswith("running_var"):
            state[name] = rng.uniform(0.5, 2, value.shape).astype(np.float32)
        elif value.ndim == 1:
            state[name] = rng.normal(size=value.shape).astype(np.float32)
    return state


def assert_has(network, state, but=()):
    """That a network's parameters and statistics are these, but for the layers named."""
    found = network.state_dict()
    assert found.keys() == state.keys()
    for name, value in state.items():
        if not name.startswith(tuple(f"{layer}." for layer in but)):
            np.testing.assert_array_equal(found[name], value.reshape(found[name].shape), name)
