"""A loss that is not finite ends a training at once, and says where."""

import numpy as np
import pytest
from fitting import BATCH, Recorder, assert_same_weights, fit, small_data, small_network

from neocog import SGD
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
    assert f"epoch 1, batch {len(history.logged) + 1}. " in str(caught.value)
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
    with pytest.raises(TrainingDivergedError, match=r"(nan|inf) in epoch 2, batch 1\. "):
        fit(network, data, epochs=3, optimizer=SGD(1e30), callback=callback)
    assert [call[1].epoch for call in callback.calls if call[0] == "epoch_done"] == [1]
    assert_same_weights(network.state_dict(), kept.state_dict())


def test_weights_that_become_infinite_in_an_epochs_last_step_are_seen():
    network = small_network()
    with pytest.raises(TrainingDivergedError, match=r"A weight became .* epoch 1, batch 1\. "):
        fit(network, small_data(BATCH), optimizer=SGD(1e300))
    assert all(np.isfinite(value).all() for value in network.state_dict().values())
