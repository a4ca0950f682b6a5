"""A network and a PyTorch module beside each other."""

import numpy as np
import torch
from engines import parts_of

from neocog.engine.predictor import Predictor

#: Of the largest score, by which the same network may differ on both sides.
NEAR = 1e-5


def settled(module, shape, seed=1):
    """A module in evaluation, whose batch statistics and counts are those of some noise."""
    torch.manual_seed(seed)
    module.train()
    with torch.no_grad():
        for _ in range(3):
            module(torch.randn(16, *shape))
    return module.eval()


def assert_same_scores(network, module, images=5, seed=0):
    """On random pictures, with the network's own preprocessing."""
    c, h, w = network.input_shape
    rng = np.random.default_rng(seed)
    levels = rng.integers(0, 200, (images, 1, 1, c))
    pictures = (levels + rng.integers(0, 56, (images, h, w, c))).astype(np.uint8)
    found = Predictor(*parts_of(network)).predict(pictures)[0]
    look = network.preprocessing
    x = (pictures / 255 - np.array(look.mean)) / np.array(look.std)
    x = np.ascontiguousarray(x.transpose(0, 3, 1, 2), np.float32)
    with torch.no_grad():
        wanted = module(torch.from_numpy(x)).numpy()
    assert found.shape == wanted.shape
    largest = np.abs(wanted).max()
    assert np.abs(wanted - wanted[0]).max() > 1e-2 * largest, "all pictures have the same scores"
    off = np.abs(found - wanted).max() / largest
    assert off < NEAR, f"{off:.1e}"


def assert_same_bits(state, other):
    """The same names, types and bits of two state dicts, of arrays or tensors."""
    assert state.keys() == other.keys()
    for name, value in state.items():
        one, two = np.asarray(value), np.asarray(other[name])
        assert one.dtype == two.dtype, name
        np.testing.assert_array_equal(one, two, err_msg=name)


def randomized(network, seed=0):
    """With weights, statistics and counts that nothing has by chance; returns the network."""
    rng = np.random.default_rng(seed)
    network.initialize(seed)
    state = network.state_dict()
    for name, value in state.items():
        if name.endswith("num_batches_tracked"):
            state[name] = np.array(rng.integers(1, 1000))
        elif name.endswith("running_var"):
            state[name] = rng.uniform(0.5, 2, value.shape)
        elif name.endswith(("running_mean", "bias")):
            state[name] = rng.normal(0, 0.1, value.shape)
        elif value.ndim > 1:  # so that all layers give numbers of about the same size
            state[name] = rng.normal(0, (2 / value[0].size) ** 0.5, value.shape)
    network.load_state_dict(state)
    return network
