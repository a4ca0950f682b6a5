"""A loss that is not finite ends a training at once, and says where."""

import re

import numpy as np
import pytest
from fitting import BATCH, Recorder, assert_same_weights, fit, small_data, small_network

import neocog
from neocog import SGD
from neocog.data import Dataset
from neocog.errors import TrainingDivergedError


def test_divergence_stops_at_once_and_says_where():
    network = small_network()
    network.initialize(0)
    before = network.state_dict()
    callback = Recorder()
    with pytest.raises(TrainingDivergedError) as caught:
        fit(
            network, small_data(4000), epochs=2, optimizer=SGD(1e6, momentum=0.9), callback=callback
        )
    history = next(call[1] for call in callback.calls if call[0] == "ready")
    # Every finite loss was logged; the next one is the one that is named.
    assert f"epoch 1, batch {len(history.logged) + 1} (step {len(history.logged) + 1:,}), " in str(
        caught.value
    )
    assert np.isfinite(history.losses).all()
    assert 0 < len(history.logged) < 1000
    assert history.epochs == []
    assert "learning rate" in str(caught.value)
    assert_same_weights(network.state_dict(), before)


def test_divergence_keeps_the_last_finished_epoch():
    data = small_data(BATCH)  # an epoch of one step, whose loss is still that of sound weights
    kept = small_network()
    fit(kept, data, epochs=1, optimizer=SGD(1e30))
    network, callback = small_network(), Recorder()
    with pytest.raises(
        TrainingDivergedError, match=r"(NaN|infinite) in epoch 2, batch 1 \(step 2\), "
    ):
        fit(network, data, epochs=3, optimizer=SGD(1e30), callback=callback)
    assert [call[1].epoch for call in callback.calls if call[0] == "epoch_done"] == [1]
    assert_same_weights(network.state_dict(), kept.state_dict())


def test_weights_that_become_infinite_in_an_epochs_last_step_are_seen():
    network = small_network()
    with pytest.raises(TrainingDivergedError, match=r"A weight became .* epoch 1, batch 1 "):
        fit(network, small_data(BATCH), optimizer=SGD(1e300))
    assert all(np.isfinite(value).all() for value in network.state_dict().values())


def message_of(network, data=None, **settings):
    with pytest.raises(TrainingDivergedError) as caught:
        fit(network, data, **settings)
    return str(caught.value)


def test_the_first_layer_that_overflows_is_named():
    network = small_network()
    network.initialize(0)
    state = network.state_dict()
    # Inputs are 0.6 at most and conv1 gives some 1e30 of it: fc's sums of 1e30 · 1e20 overflow.
    state["conv1.weight"][:] = 1e30
    state["fc.weight"][:] = np.array([1e20, -1e20, 1e20, -1e20])[:, None]
    network.load_state_dict(state)
    data = Dataset(np.full((BATCH, 8, 8, 3), 255, np.uint8), np.arange(BATCH))
    message = message_of(network, data)
    # In the middle of a channel 27 inputs of 1 are added up; fc adds 8 · 16 such maxima.
    assert "(step 1), first in layer fc, whose outputs reach 3.5e+53, where float32 ends" in message
    assert "the learning rate is not the cause" in message


def test_a_parameter_that_is_not_finite_is_named():
    data = small_data(2 * BATCH)
    message = message_of(small_network(), data, optimizer=SGD(1e300))
    assert "batch 2 (step 2), where conv1.weight is no longer finite. Training" in message
    assert "a learning rate of 1e+299 (a tenth), clip_norm=1 or a schedule" in message


def test_what_is_tried_fits_the_settings():
    data = small_data(40)
    message = message_of(
        small_network(),
        data,
        optimizer=SGD(1e30, momentum=0.9),
        schedule=neocog.schedules.Cosine(),
        clip_norm=1e30,
    )
    assert "a smaller clip_norm than 1e+30 or a smaller momentum." in message


def test_inputs_that_are_too_large_are_said():
    preprocessing = neocog.Preprocessing((0.5,) * 3, (1e-30,) * 3)
    message = message_of(small_network(preprocessing=preprocessing), optimizer=SGD(1.0))
    assert "The network's inputs reach 5" in message
    assert "whose least std is 1e-30" in message


@pytest.mark.parametrize("side", [12, 6])
def test_images_that_are_cropped_are_computed_by_their_middle(side):
    rng = np.random.default_rng(0)
    data = Dataset(rng.integers(0, 256, (42, side, side, 3), np.uint8), rng.integers(0, 4, 42))
    crop = neocog.Augmentation(crop=(1, 1))
    message = message_of(small_network(), data, augmentation=crop, optimizer=SGD(1e12), epochs=5)
    assert re.search(r"\(step \d+\)(, | *\.)", message)


def test_batch_normalization_and_dropout_are_computed_as_in_training():
    network = neocog.Network(
        input_shape=(3, 8, 8),
        conv=neocog.Conv2d(3, 4, 3),
        norm=neocog.BatchNorm2d(4),
        relu=neocog.ReLU(),
        drop=neocog.Dropout(0.5),
        flatten=neocog.Flatten(),
        fc=neocog.Linear(4 * 36, 4),
    )
    network.initialize(0)
    state = network.state_dict()
    state["conv.weight"][:] = 1e30  # the variance, about 1e60, is none of float32's
    network.load_state_dict(state)
    assert "(step 11), where norm.running_var is no longer finite. " in message_of(network)
