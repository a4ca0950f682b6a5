"""The learning-rate range test: what it measures, chooses, and leaves as it was."""

import csv
import io

import numpy as np
import pytest
from fitting import BATCH, assert_same_weights, fit, small_data, small_network

import neocog
from neocog import SGD, AdamW, Group, Muon, NeocogError
from neocog.settings import schedules
from neocog.settings.override import override
from neocog.settings.training import TrainingSettings
from neocog.training.lr_finder import _curve, find_lr, smooth, with_lr


def curve_of(losses, rates=None, *, diverged=False):
    rates = np.geomspace(1e-5, 1e-5 * 1.1 ** (len(losses) - 1), len(losses))
    return _curve(rates, np.array(losses, np.float64), diverged)


def test_smoothing_is_the_mean_with_weights_that_decay():
    losses = np.random.default_rng(0).random(30)
    for count, mean in enumerate(smooth(losses, 4), 1):
        weights = 0.75 ** np.arange(count)[::-1]
        np.testing.assert_allclose(mean, np.average(losses[:count], weights=weights))


def test_the_choice_is_a_tenth_of_the_least_loss():
    # Over 100 steps the window is 2.5; a loss falls for long, and is least where it turns.
    losses = [*np.linspace(2.3, 1.0, 80), *([3.0] * 20)]
    curve = curve_of(losses)
    assert curve.suggestion == float(f"{curve.rates[79] / 10:.2g}")
    assert "where the loss was least" in curve.reason
    assert f"suggestion={curve.suggestion:.3g}" in repr(curve)


def test_where_the_loss_diverged_that_counts_too():
    rates = np.geomspace(1e-5, 10, 100)
    losses = np.array([*np.linspace(2.3, 1.0, 70), 8.0])
    curve = _curve(rates, losses, True)
    expected = (rates[69] / 10 * rates[71] / 30) ** 0.5
    assert curve.suggestion == float(f"{expected:.2g}")
    assert "(end)" in curve.reason
    assert len(curve.rates) == len(curve.losses) == len(curve.smoothed) == 71


def test_a_loss_that_is_not_finite_at_once_is_an_error():
    with pytest.raises(NeocogError, match=r"at a learning rate of 1\.3e-05 already"):
        _curve(np.geomspace(1e-5, 10, 100), np.array([2.3, 2.2]), True)


@pytest.mark.parametrize("given", [True, False], ids=["with weights", "without"])
def test_the_run_that_follows_is_the_one_without_a_test(given):
    def made():
        network = small_network()
        if given:
            network.initialize(3)
        return network

    tested, plain = made(), made()
    curve = find_lr(tested, small_data(), batch_size=BATCH, seed=5)
    assert tested.initialized == given
    a = fit(tested, optimizer=SGD(curve.suggestion, momentum=0.9), seed=5)
    b = fit(plain, optimizer=SGD(curve.suggestion, momentum=0.9), seed=5)
    assert a.losses == b.losses
    assert_same_weights(tested.state_dict(), plain.state_dict())


def test_losses_are_those_of_steps_with_these_rates():
    # The first three steps of the test, by fit with a rate that grows by the same factor.
    data = small_data(3 * BATCH)
    settings = TrainingSettings(batch_size=BATCH, optimizer=SGD(1.0), epochs=1, log_every=1)
    curve = find_lr(small_network(), data, settings)
    factor = curve.rates[1] / curve.rates[0]
    np.testing.assert_allclose(curve.rates[1:] / curve.rates[:-1], factor)
    network, losses = small_network(), []
    run = neocog.TrainingRun(network, data, override(settings, lr=curve.rates[0]))
    losses = [run.step(1)[0]]
    for index in (1, 2):
        run.rate = curve.rates[0] * factor**index
        losses += list(run.step(1))
    np.testing.assert_allclose(curve.losses[:3], losses, rtol=1e-12)


def test_a_schedule_and_an_average_are_left_out():
    plain = find_lr(small_network(), small_data(), batch_size=BATCH)
    late = find_lr(
        small_network(),
        small_data(),
        batch_size=BATCH,
        schedule=schedules.Warmup(0.5, then=schedules.Cosine()),
        ema=0.9,
    )
    np.testing.assert_array_equal(late.losses, plain.losses)


def test_the_suggestion_learns_and_a_hundred_times_as_much_does_not():
    data = small_data(2000)
    for optimizer in (SGD(1.0, momentum=0.9), AdamW()):
        curve = find_lr(small_network(), data, batch_size=BATCH, optimizer=optimizer)
        lr = curve.suggestion

        def last(rate, kind=optimizer):
            try:
                history = fit(
                    small_network(),
                    data,
                    epochs=2,
                    optimizer=override(TrainingSettings(optimizer=kind), lr=rate).optimizer,
                )
            except NeocogError:
                return np.inf
            return history.epochs[-1].loss

        learned = last(lr)
        assert learned < 1.1  # guessing gives log 4 = 1.39
        assert learned < last(100 * lr)
        assert learned < last(lr / 100)


def test_groups_and_what_muon_leaves_follow():
    groups = (Group("fc.*", lr=0.02),)
    settings = TrainingSettings(optimizer=SGD(0.01, groups=groups))
    assert override(settings, **with_lr(settings, 0.1)).optimizer == SGD(
        0.1, groups=(Group("fc.*", lr=0.2),)
    )
    settings = TrainingSettings(optimizer=Muon(0.02, rest=AdamW(0.001)))
    assert override(settings, **with_lr(settings, 0.1)).optimizer == Muon(0.1, rest=AdamW(0.005))


def test_the_table_has_every_step():
    curve = curve_of(np.linspace(2.0, 1.0, 50))
    rows = list(csv.DictReader(io.StringIO(curve.to_csv())))
    assert [float(row["loss"]) for row in rows] == pytest.approx(list(curve.losses))
    assert float(rows[-1]["lr"]) == pytest.approx(1e-5 * 1.1**49)
    assert float(rows[-1]["smoothed_loss"]) == pytest.approx(curve.smoothed[-1])
