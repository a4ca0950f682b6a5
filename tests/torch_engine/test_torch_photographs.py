"""Ten steps of every network for photographs by both engines.

With a network's first weights, some activations are so near a ReLU's zero that rounding decides on
which side they are. Whether such a number is in a gradient differs from engine to engine, and with
as few values a channel as a quick test has, that is some hundredths of a layer's gradient. So batch
normalization gives 1 ± ¼ here: zero, and every other kink, is three or more deviations away.

What is left is rounding. The next normalization subtracts a mean of 1 or more from numbers that
vary by ¼, so that 2⁻²⁴ becomes some 10⁻⁶, in each of 20 to 120 layers, forward and back: some 10⁻⁴
of a gradient. Max pooling may still take the other one of two numbers that are almost equal, in
one of 64 or more windows of a channel and one of ten steps: some 10⁻³ of the way that a weight
went. Each step also rounds the weight itself. So weights are within 10⁻² of their layer's longest
way beside that last rounding (measured: 3 · 10⁻³), and losses, which do not jump, within 10⁻⁵ of
the largest (measured: 3 · 10⁻⁷).
"""

import numpy as np
import pytest
from both_engines import assert_near, data_for, trainers

from neocog import SGD
from neocog.layers import BatchNorm2d
from neocog.models import PHOTOGRAPHS, make

pytest.importorskip("torch")

LOSSES, WAY, STATISTICS = 1e-5, 1e-2, 1e-3
STEPS, BATCH, SIDE = 10, 16, 64  # the last maps have 2 × 2 pixels, so 64 values a channel
# Of a family, the smallest runs always.
LARGE = (
    "efficientnet-lite1",
    "efficientnet-lite2",
    "mobilenet-v3-large",
    "resnet34-224",
    "resnet50-224",
    "densenet121",
)
# The classifier's steps grow without end where rate · |features|² is above 2. ResNet-50 has four
# times as many features as ResNet-34.
RATE, RATES = 0.001, {"resnet50-224": 0.0002}
CASES = [pytest.param(name, marks=[pytest.mark.thorough] * (name in LARGE)) for name in PHOTOGRAPHS]


def without_kinks(name):
    """The network, whose batch normalization gives numbers far from every kink."""
    network = make(name, 5, width=0.25, input_shape=(3, SIDE, SIDE))
    network.initialize(0)
    state = network.state_dict()
    for layer, one in network.leaves.items():
        if isinstance(one, BatchNorm2d):
            state[f"{layer}.weight"][:], state[f"{layer}.bias"][:] = 0.25, 1
    network.load_state_dict(state)
    return network


def largest_of_layers(arrays):
    """The largest number of each layer, at least a hundredth of the network's.

    The gradients of a normalization before another one cancel out, so that they are only rounding.
    """
    least = max(np.abs(value).max() for value in arrays.values()) / 100
    found = {}
    for name, value in arrays.items():
        layer = name.rpartition(".")[0]
        found[layer] = max(found.get(layer, least), np.abs(value).max())
    return found


@pytest.mark.parametrize("name", CASES)
def test_ten_steps(name):
    network = without_kinks(name)
    first = network.state_dict()
    data = data_for(network, STEPS * BATCH)
    ours, theirs = trainers(network, data, SGD(RATES.get(name, RATE), momentum=0.9), BATCH)
    order = np.random.default_rng(1).permutation(STEPS * BATCH)
    losses = ours.run(order)
    assert len(losses) == STEPS
    assert_near(losses, theirs.run(order), LOSSES, "losses")

    found, wanted = ours.state(), theirs.state()
    assert list(found) == list(wanted)
    parameters = theirs.gradients().keys()
    went = {one: wanted[one] - first[one] for one in parameters}
    largest = largest_of_layers(went)
    for one in went:
        rounding = 2 * STEPS * 2**-24 * np.abs(wanted[one]).max()
        off = np.abs(found[one] - wanted[one]).max() - rounding
        part = off / largest[one.rpartition(".")[0]]
        assert part < WAY, f"{one}: {part:.1e}"
    for one in found.keys() - parameters:
        assert_near(found[one], wanted[one], STATISTICS, one)
