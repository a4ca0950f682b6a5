"""Numbers of any size are learned as standardized ones, and the network gives them as they are."""

import numpy as np
import pytest

import neocog
from neocog.settings.override import override
from neocog.training.run import TrainingRun

HOW = {"loss": "mse", "batch_size": 8, "optimizer": "sgd", "lr": 0.05, "momentum": 0.9}


@pytest.fixture(scope="module")
def doses():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, 4, 4, 3), np.uint8)
    mean = images.mean(axis=(1, 2)) / 255
    doses = mean @ np.array([[900.0, -0.4], [100, 0.3], [500, 0.1]]) + [3000, 0.001]
    return images, doses.astype(np.float32)


def network(**how):
    layers = {"flatten": neocog.Flatten(), "fc": neocog.Linear(48, 2)}
    return neocog.Network(input_shape=(3, 4, 4), **layers, **how)


def standardized(targets):
    wide = targets.astype(np.float64)
    mean, deviation = wide.mean(axis=0), wide.std(axis=0)
    return ((wide - mean) / deviation).astype(np.float32), mean, deviation


def test_it_is_a_training_on_standardized_numbers(doses):
    """The same losses as where somebody standardizes them, and outputs in their own units."""
    images, targets = doses
    units, mean, deviation = standardized(targets)
    own, other = network(), network()
    validation = images[:10], targets[:10]
    history = neocog.fit(
        own, doses, validation=validation, epochs=3, standardize_targets=True, **HOW
    )
    by_hand = neocog.fit(
        other, (images, units), validation=(images[:10], units[:10]), epochs=3, **HOW
    )
    # The first weights went through float32 in doses, whose mean is some ten deviations.
    np.testing.assert_allclose(history.losses, by_hand.losses, rtol=1e-4)
    for epoch, expected in zip(history.epochs, by_hand.epochs, strict=True):
        assert epoch.loss == pytest.approx(expected.loss, rel=1e-4)
        assert epoch.validation_loss == pytest.approx(expected.validation_loss, rel=1e-4)
    expected = other.predict(images) * deviation + mean
    np.testing.assert_allclose(own.predict(images), expected, rtol=1e-4, atol=1e-4)
    assert history.epochs[-1].loss < history.epochs[0].loss


def test_further_training_goes_on_from_what_was_learned(doses):
    own = network()
    how = {**HOW, "standardize_targets": True}
    first = neocog.fit(own, doses, epochs=4, **how)
    again = neocog.fit(own, doses, epochs=1, **how)
    assert again.epochs[0].loss < first.epochs[0].loss / 2


def test_a_run_that_is_continued_is_the_same_bit_by_bit(doses, tmp_path):
    how = {**HOW, "standardize_targets": True}
    whole, part = network(), network()
    neocog.fit(whole, doses, epochs=3, folder=tmp_path / "whole", **how)
    neocog.fit(part, doses, epochs=2, folder=tmp_path / "part", **how)
    rest = network()
    neocog.fit(rest, doses, epochs=3, resume=tmp_path / "part")
    for name, value in whole.state_dict().items():
        np.testing.assert_array_equal(rest.state_dict()[name], value)


def test_weights_that_are_set_between_steps_are_in_their_own_units(doses):
    settings = override(neocog.TrainingSettings(), **HOW, standardize_targets=True)
    own = network()
    run = TrainingRun(own, doses, settings)
    run.step(1)
    state = own.state_dict()
    changed = {**state, "fc.bias": np.array([1234.5, -3], np.float32)}
    own.load_state_dict(changed)
    run.take_network()
    run.update_network()
    for name, value in changed.items():
        np.testing.assert_allclose(own.state_dict()[name], value, rtol=1e-5, atol=1e-6)


def test_what_is_refused(doses):
    images, targets = doses
    how = {**HOW, "epochs": 1, "standardize_targets": True}
    own = network()
    with pytest.raises(neocog.NeocogError, match="the same number, 5: there is nothing to learn"):
        neocog.fit(own, (images, np.full_like(targets, 5)), **how)
    assert not own.initialized
    with pytest.raises(neocog.NeocogError, match="is for loss='mse'"):
        neocog.fit(own, (images, np.zeros(40, int)), epochs=1, standardize_targets=True)
    ends = neocog.Network(
        input_shape=(3, 4, 4), flatten=neocog.Flatten(), fc=neocog.Linear(48, 2), r=neocog.ReLU()
    )
    with pytest.raises(neocog.NeocogError, match="ends in r, a ReLU"):
        neocog.fit(ends, doses, **how)
