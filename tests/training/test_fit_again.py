"""`neocog.fit` called again for the same network goes on where it ended."""

import itertools

import numpy as np
import pytest
from fitting import Recorder, assert_same_weights, fit, once, small_data, small_network

import neocog
from neocog import SGD, Flatten, Linear
from neocog.random.torch_stream import TorchStream
from neocog.settings.augmentation import Augmentation

STILL = {"optimizer": SGD(1e-30)}  # weights stand still, so that losses show what is seen


def dropping_network() -> neocog.Network:
    return neocog.Network(
        input_shape=(3, 8, 8), flatten=Flatten(), drop=neocog.Dropout(0.5), fc=Linear(192, 4)
    )


def test_a_loop_of_epochs_sees_what_one_call_sees():
    varied = {**STILL, "augmentation": Augmentation(flip="alternating", translate=1)}
    whole, network = small_network(), small_network()
    expected = fit(whole, epochs=3, seed=3, **varied).losses
    loop = [fit(network, epochs=1, seed=3, **varied).losses for _ in range(3)]
    assert list(itertools.chain(*loop)) == expected
    assert loop[0] != loop[1] != loop[2]


def test_dropout_does_not_repeat_in_a_loop_of_epochs():
    network, data = dropping_network(), small_data(4)  # one batch, whose order means nothing
    losses = [fit(network, data, seed=3, **STILL).losses[0] for _ in range(3)]
    assert len(set(losses)) == 3
    fresh = dropping_network()
    assert fit(fresh, data, seed=3, **STILL).losses[0] == losses[0]


def test_training_again_with_other_weights_or_another_seed_begins_anew():
    network = small_network()
    first = fit(network, seed=3, **STILL).losses
    begin = network.state_dict()
    again = fit(network, seed=3, **STILL).losses
    assert again != first
    copy = network.copy()
    network.load_state_dict(begin)
    assert fit(network, seed=3, **STILL).losses != again  # the order of seed 3 without its weights
    network.initialize(3)
    order = fit(network, seed=3, **STILL).losses
    network.initialize(3)
    assert fit(network, seed=3, **STILL).losses == order
    third = fit(copy, seed=3, **STILL).losses
    assert third not in (first, again)
    # What seed 4 has drawn is not of seed 3.
    other = small_network()
    other.initialize(3)
    expected = fit(other, seed=4, **STILL).losses
    copy.initialize(3)
    fit(copy, seed=3, **STILL)
    assert fit(copy, seed=4, **STILL).losses == expected


def test_an_interrupted_training_goes_on_with_the_next_order():
    network, whole = small_network(), small_network()
    data = small_data(4000)
    fit(network, data, epochs=2, seed=3, callback=Recorder(once("logged", KeyboardInterrupt())))
    expected = TorchStream(3)
    expected.initial_state(whole.graph)
    expected.epoch_order(len(data))
    stream = TorchStream(0)
    stream.set_state(network.trained.stream)
    np.testing.assert_array_equal(stream.epoch_order(len(data)), expected.epoch_order(len(data)))


def test_a_fit_that_fails_before_its_first_step_changes_nothing():
    """Nor where the random numbers stand, which its initial weights have moved on."""
    whole, network = small_network(), small_network()
    expected = fit(whole, epochs=1, seed=3, **STILL).losses
    with pytest.raises(OSError, match="disk full"):
        fit(network, seed=3, callback=Recorder(once("ready", OSError("disk full"))))
    assert fit(network, epochs=1, seed=3, **STILL).losses == expected
    assert_same_weights(network.state_dict(), whole.state_dict())
    assert network.trained.epochs == 1
