"""How long a run is, and what settles at its end: schedules, averages, parameters at rest."""

import itertools

import numpy as np
import pytest
from fitting import assert_same_weights, fit, small_data, small_network

import neocog
from neocog import SGD
from neocog.data import Dataset
from neocog.settings import schedules
from neocog.settings.augmentation import Augmentation
from neocog.settings.averaging import EMA, Lookahead
from neocog.settings.training import TrainingSettings
from neocog.training.run_length import RunLength


def test_a_fraction_of_an_epoch_ends_it_early():
    """11 batches an epoch: 2.3 epochs have ⌈25.3⌉, the first 22 of them as in whole epochs."""
    history = fit(small_network(), epochs=2.3)
    whole = fit(small_network(), epochs=3)
    assert history.steps == 26
    assert history.losses == whole.losses[:26]
    assert [e.epoch for e in history.epochs] == [1, 2, 3]
    assert history.epochs[2].loss == pytest.approx(np.mean(whole.losses[22:26]))
    assert not history.interrupted
    assert fit(small_network(), epochs=1e-9).steps == 1


def test_the_schedule_is_of_the_whole_run_also_of_a_fraction():
    """Linear over 16 batches; the last of them moves by a sixteenth of the rate."""
    length = RunLength(42, 4, 16 / 11)
    settings = TrainingSettings(schedule=schedules.Linear())
    rates = np.concatenate([length.rates(e, settings)[:, 0] for e in (1, 2)])
    np.testing.assert_allclose(rates, 1 - np.arange(16) / 16, rtol=1e-15)


@pytest.mark.parametrize(
    ("images", "batch", "length", "accumulate", "batches", "steps"),
    [
        (42, 4, 2, 1, [11, 11], [11, 11]),
        (42, 4, 2.5, 4, [11, 11, 6], [3, 3, 2]),
        (30, 1, 0.1, 1, [3], [3]),  # 0.1 · 30 is a little above 3 in floats
        (50_000, 1024, 9.9, 1, [49] * 9 + [45], [49] * 9 + [45]),
        (10, 10, 1.001, 1, [1, 1], [1, 1]),
    ],
)
def test_how_long_a_run_is(images, batch, length, accumulate, batches, steps):
    run_length = RunLength(images, batch, length, accumulate)
    epochs = range(1, run_length.epochs + 1)
    assert [run_length.batches(e) for e in epochs] == batches
    assert [run_length.steps(e) for e in epochs] == steps
    for epoch in epochs:
        rates = run_length.rates(epoch, TrainingSettings(averaging=EMA(0.9)))
        assert rates.shape == (run_length.batches(epoch), 4)
    order = np.arange(images)
    shown = sum(len(run_length.order(e, order)) for e in epochs)
    assert shown == min(images, batch * batches[-1]) + images * (len(batches) - 1)


def test_lookahead_returns_to_its_average_at_the_end():
    """With a decay of nearly 1 the average hardly leaves where it began, and so do the weights."""
    network = small_network()
    network.initialize(3)
    before = network.state_dict()
    optimizer = SGD(0.05, momentum=0.9)
    fit(network, epochs=2, optimizer=optimizer, averaging=Lookahead(5, 0.999999, 0.0), seed=3)
    moved = small_network()
    moved.initialize(3)
    fit(moved, epochs=2, optimizer=optimizer, seed=3)
    for name, value in network.state_dict().items():
        np.testing.assert_allclose(value, before[name], atol=1e-3, rtol=0)
        assert np.abs(moved.state_dict()[name] - before[name]).max() > 0.01


def test_parameters_come_to_rest_after_their_epochs():
    seen = []

    class Callback(neocog.Callback):
        def epoch_done(self, epoch, history):
            seen.append(network.state_dict())

    settings = {
        "epochs": 4,
        "optimizer": SGD(0.02, momentum=0.9),
        "schedule": schedules.Cosine(),
        "seed": 3,
    }
    network = small_network()
    history = fit(
        network, freeze_after={"conv1.*": 2, "*.bias": 3}, callback=Callback(), **settings
    )
    free = small_network()
    same = fit(free, **settings)
    assert history.losses[:22] == same.losses[:22]
    assert history.losses[23:] != same.losses[23:]
    moved = [
        {name for name in seen[0] if (before[name] != after[name]).any()}
        for before, after in itertools.pairwise(seen)
    ]
    fc = {"fc.weight", "fc.bias"}
    assert moved == [{"conv1.weight", "conv1.bias"} | fc, fc, {"fc.weight"}]


def test_momentum_goes_on_where_others_come_to_rest():
    """Only a bias rests that never had a gradient: the losses are the same as without."""
    data = small_data()
    black = Dataset(np.full_like(data.images, 0), data.labels)
    settings = {"epochs": 3, "optimizer": SGD(0.02, momentum=0.9), "averaging": Lookahead()}
    mean = neocog.Preprocessing((0.0,) * 3, (1.0,) * 3)
    # Black images are zeros, so the convolution's weight never learns.
    free, resting = small_network(preprocessing=mean), small_network(preprocessing=mean)
    same = fit(free, black, **settings)
    history = fit(resting, black, freeze_after={"conv1.weight": 1}, **settings)
    assert history.losses == same.losses
    assert_same_weights(free.state_dict(), resting.state_dict())


@pytest.mark.parametrize("seed", [3, 2**64 - 1, -1])
def test_augmentation_is_the_seeds(seed):
    settings = {"epochs": 2, "seed": seed, "optimizer": SGD(0.01)}
    varied = {"augmentation": Augmentation(flip="random", translate=1, mixup=0.2)}
    first = fit(small_network(), threads=1, **varied, **settings).losses
    assert fit(small_network(), threads=2, **varied, **settings).losses == first
    plain = fit(small_network(), **settings).losses
    assert first[0] != plain[0]
    nothing = fit(small_network(), augmentation=Augmentation(), **settings).losses
    assert nothing == plain
