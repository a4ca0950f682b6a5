"""The training loop against the formulas in float64, and the note's script against PyTorch."""

import itertools
import os
import re
import signal
import subprocess
import sys
import threading
import time
import types
from pathlib import Path

import numpy as np
import pytest

import neocog
from neocog import SGD, Adam, Conv2d, Flatten, Linear, MaxPool2d, ReLU, reference
from neocog.data import Dataset
from neocog.engine import Trainer
from neocog.errors import ArchitectureError, DataError, NeocogError, TrainingDivergedError
from neocog.training import schedules
from neocog.training.augmentation import Augmentation
from neocog.training.averaging import EMA, Lookahead
from neocog.training.history import Epoch, History
from neocog.training.live_line import LiveLine
from neocog.training.optimizers import Group
from neocog.training.run_length import RunLength
from neocog.training.torch_stream import TorchStream

BATCH = 4
# Losses here are sums of a few hundred float32 products, of size 1: off by some 1e-6 at most.
CLOSE = 2e-5


def small_network(**settings) -> neocog.Network:
    return neocog.Network(
        input_shape=(3, 8, 8),
        conv1=Conv2d(3, 8, 3, padding=1),
        relu=ReLU(),
        pool=MaxPool2d(2),
        flatten=Flatten(),
        fc=Linear(8 * 4 * 4, 4),
        **settings,
    )


def small_data(images: int = 42, seed: int = 0) -> Dataset:
    """Noise that is a little brighter in the quarter that its class names; 11 steps of 4."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 200, (images, 8, 8, 3))
    labels = rng.integers(0, 4, images)
    for image, label in zip(pixels, labels, strict=True):
        row, column = divmod(int(label), 2)
        image[4 * row : 4 * row + 4, 4 * column : 4 * column + 4] += 55
    return Dataset(pixels.astype(np.uint8), labels)


def long_data(images: int) -> Dataset:
    """The same thousand again and again: some 5 µs a step of 4."""
    data = small_data(1000)
    return Dataset(
        np.tile(data.images, (images // 1000, 1, 1, 1)), np.tile(data.labels, images // 1000)
    )


def by_formula(network, data, optimizer, epochs, seed):
    """The loss of every step and the last weights, by `neocog.reference` in float64."""
    stream = TorchStream(seed)
    w = {k: v.astype(np.float64) for k, v in stream.initial_state(network).items()}
    m = {k: np.zeros_like(v) for k, v in w.items()}
    v = {k: np.zeros_like(x) for k, x in w.items()}
    losses = []
    for _ in range(epochs):
        order = stream.epoch_order(len(data))
        for first in range(0, len(data), BATCH):
            chosen = order[first : first + BATCH]
            x = reference.preprocess(data.images[chosen], (0.5,) * 3, (0.5,) * 3)
            loss, gradients, _ = reference.backward(network, w, x, data.labels[chosen])
            losses.append(loss)
            for k, g in gradients.items():
                if isinstance(optimizer, SGD):
                    w[k], m[k] = reference.sgd_step(w[k], g, m[k], optimizer.lr, optimizer.momentum)
                else:
                    w[k], m[k], v[k] = reference.adam_step(
                        w[k], g, m[k], v[k], len(losses), optimizer.lr, *optimizer.betas
                    )
    return losses, w


class Recorder(neocog.Callback):
    """Writes down what it is told, and does as asked at one of those times."""

    def __init__(self, act=None):
        self.calls = []
        self.act = act

    def note(self, *call):
        self.calls.append(call)
        if self.act is not None:
            self.act(*call)

    def compiling(self, kernels):
        self.note("compiling", kernels)

    def ready(self, history):
        self.note("ready", history)

    def progress(self, epoch, step, steps):
        self.note("progress", epoch, step, steps)

    def logged(self, entry):
        self.note("logged", entry)

    def epoch_done(self, epoch, history):
        self.note("epoch_done", epoch, history)


def once(what, error):
    """Raise `error` at the first call named `what`."""
    raised = []

    def act(name, *_):
        if name == what and not raised:
            raised.append(name)
            raise error

    return act


def fit(network, data=None, **settings):
    settings = {"batch_size": BATCH, "epochs": 1, "log_every": 1, **settings}
    return neocog.fit(network, small_data() if data is None else data, **settings)


@pytest.mark.parametrize(
    "optimizer", [SGD(0.01), SGD(0.01, momentum=0.9), Adam(0.003)], ids=["sgd", "momentum", "adam"]
)
def test_every_loss_and_the_weights_are_the_formulas(optimizer):
    network = small_network()
    history = fit(network, epochs=3, optimizer=optimizer, seed=3)
    losses, weights = by_formula(network, small_data(), optimizer, epochs=3, seed=3)
    np.testing.assert_allclose(history.losses, losses, atol=CLOSE, rtol=0)
    for name, value in network.state_dict().items():
        np.testing.assert_allclose(value, weights[name], atol=CLOSE, rtol=0, err_msg=name)


def test_it_learns():
    network, data = small_network(), small_data(400)
    history = fit(network, data, epochs=15, optimizer=SGD(0.02, momentum=0.9), log_every=1000)
    assert history.epochs[-1].loss < 0.25 * history.epochs[0].loss
    assert neocog.evaluate(network, data).accuracy > 0.95


def test_without_an_optimizer_it_is_the_notes():
    default, named = small_network(), small_network()
    fit(default)
    fit(named, optimizer=SGD(0.001, momentum=0.9))
    assert_same_weights(default.state_dict(), named.state_dict())


def assert_same_weights(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


# What is logged


def test_lines_are_means_since_the_line_before_and_begin_anew_each_epoch():
    each = fit(small_network(), epochs=2).losses
    history = fit(small_network(), epochs=2, log_every=4)
    assert [(e.epoch, e.batch) for e in history.logged] == [(1, 4), (1, 8), (2, 4), (2, 8)]
    # Of 11 steps the last 3 are on no line, and do not count for the next epoch's first.
    means = [np.mean(each[i : i + 4]) for i in (0, 4, 11, 15)]
    np.testing.assert_allclose(history.losses, means, rtol=1e-15)


def test_an_epoch_shorter_than_log_every_is_logged_once_at_its_end():
    each = fit(small_network(), epochs=2).losses
    history = fit(small_network(), epochs=2, log_every=2000)
    assert [(e.epoch, e.batch) for e in history.logged] == [(1, 11), (2, 11)]
    np.testing.assert_allclose(history.losses, [np.mean(each[:11]), np.mean(each[11:])], rtol=1e-15)


def test_the_history_counts_steps_epochs_and_time():
    history = fit(small_network(), epochs=2)
    assert history.steps == 22
    assert [e.epoch for e in history.epochs] == [1, 2]
    for epoch, first in zip(history.epochs, (0, 11), strict=True):
        assert epoch.loss == pytest.approx(np.mean(history.losses[first : first + 11]), rel=1e-15)
        assert epoch.seconds > 0
    assert history.seconds == pytest.approx(sum(e.seconds for e in history.epochs))
    times = [e.seconds for e in history.logged]
    assert times == sorted(times)
    assert 0 < times[0] <= times[-1] <= history.seconds
    assert history.compile_seconds > 0
    assert history.memory > 0
    assert not history.interrupted


def test_history_as_a_table():
    history = fit(small_network(), log_every=5)
    header, *rows = history.to_csv().splitlines()
    assert header == "epoch,batch,loss,seconds"
    assert [row.split(",")[:2] for row in rows] == [["1", "5"], ["1", "10"]]
    assert [float(row.split(",")[2]) for row in rows] == pytest.approx(history.losses, rel=1e-8)


def test_a_batch_larger_than_the_data_is_all_of_it():
    history = fit(small_network(), small_data(7), batch_size=100, epochs=2)
    assert [(e.epoch, e.batch) for e in history.logged] == [(1, 1), (2, 1)]


# Seeds and weights


def test_the_same_seed_gives_the_same_bits_for_any_number_of_threads():
    runs = []
    for threads in (1, 2, 3, 2):
        network = small_network()
        runs.append((fit(network, seed=7, threads=threads).losses, network.state_dict()))
    for losses, weights in runs[1:]:
        assert losses == runs[0][0]
        assert_same_weights(weights, runs[0][1])


def test_another_seed_gives_other_weights_and_another_order():
    assert fit(small_network(), seed=1).losses[0] != fit(small_network(), seed=2).losses[0]
    # The same weights: what differs is the order.
    losses = []
    for seed in (1, 2):
        network = small_network()
        network.initialize(0)
        losses.append(fit(network, seed=seed).losses[0])
    assert losses[0] != losses[1]


def test_a_network_with_weights_keeps_them():
    network = small_network()
    network.initialize(5)
    before = network.state_dict()
    fit(network, optimizer=SGD(1e-30), seed=0)  # too small a rate to change any weight
    assert_same_weights(network.state_dict(), before)


def test_training_goes_on_where_it_ended():
    network = small_network()
    first = fit(network, epochs=3, optimizer=SGD(0.02, momentum=0.9))
    second = fit(network, epochs=3, optimizer=SGD(0.02, momentum=0.9))
    assert second.epochs[0].loss < first.epochs[0].loss


def test_predictions_are_of_the_new_weights():
    network, data = small_network(), small_data()
    network.initialize(0)
    before = network.predict_proba(data.images)
    fit(network, optimizer=SGD(0.1))
    assert np.abs(network.predict_proba(data.images) - before).max() > 0.01


def test_the_data_are_left_alone():
    data = small_data()
    fit(small_network(), data)
    np.testing.assert_array_equal(data.images, small_data().images)
    np.testing.assert_array_equal(data.labels, small_data().labels)


def test_classes_travel_with_the_network():
    network = small_network()
    fit(network, classes=("a", "b", "c", "d"))
    assert network.classes == ("a", "b", "c", "d")


# Callbacks


def test_a_callback_is_told_in_order():
    weights = {}

    def act(name, *rest):
        if name == "epoch_done":
            weights[rest[0].epoch] = network.state_dict()

    network, callback = small_network(), Recorder(act)
    history = fit(network, epochs=2, log_every=4, callback=callback)
    names = [call[0] for call in callback.calls]
    told = [name for name in names if name not in ("compiling", "progress")]
    assert told == ["ready", *["logged"] * 2, "epoch_done", *["logged"] * 2, "epoch_done"]
    assert names.index("ready") == names.count("compiling")
    assert [call[1] for call in callback.calls if call[0] == "logged"] == history.logged
    assert [call[1] for call in callback.calls if call[0] == "epoch_done"] == history.epochs
    assert all(call[2] is history for call in callback.calls if call[0] == "epoch_done")
    progress = [call[1:] for call in callback.calls if call[0] == "progress"]
    assert progress == sorted(progress)
    assert {(1, 11, 11), (2, 11, 11)} <= set(progress)

    one_epoch = small_network()
    fit(one_epoch, epochs=1)
    assert_same_weights(weights[1], one_epoch.state_dict())
    assert_same_weights(weights[2], network.state_dict())


@pytest.mark.parametrize("when", ["ready", "progress", "logged", "epoch_done"])
def test_a_callback_that_fails_ends_training_and_every_worker(when):
    threads = threading.active_count()
    with pytest.raises(OSError, match="disk full"):
        fit(
            small_network(),
            long_data(20_000),
            threads=2,
            callback=Recorder(once(when, OSError("disk full"))),
        )
    deadline = time.monotonic() + 5
    while threading.active_count() > threads and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == threads


# What is refused


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        *[("epochs", value) for value in (0, -1, -0.5, True, "2", None, float("inf"))],
        *[("batch_size", value) for value in (0, -4, 4.0, None)],
        *[("threads", value) for value in (0, -1, 257, 2.0)],
        *[("log_every", value) for value in (0, -1, 0.5)],
        *[("seed", value) for value in ("zero", 1.5, None, 2**64, -(2**63) - 1)],
        *[("label_smoothing", value) for value in (-0.1, 1.5, float("nan"), "much")],
        *[("clip_norm", value) for value in (0, -1.0, float("inf"), "short")],
        *[("accumulate", value) for value in (0, 1.5, None)],
        *[("optimizer", value) for value in ("sgd", 0.1)],
        *[("schedule", value) for value in ("cosine", 0.1)],
        *[("averaging", value) for value in ("ema", 0.999)],
        *[("augmentation", value) for value in ("flip", {"flip": "random"})],
        ("freeze_after", 3),
    ],
)
def test_silly_settings_are_refused_by_name_and_value(setting, value):
    network = small_network()
    with pytest.raises(NeocogError) as caught:
        fit(network, **{setting: value})
    message = str(caught.value)
    assert message.startswith(f"{setting} (={value!r})")
    assert "\n" not in message
    assert not network.initialized


@pytest.mark.parametrize(
    ("make", "named"),
    [
        *[(lambda lr=lr: SGD(lr), "lr") for lr in (0, -0.1, float("nan"), float("inf"))],
        *[(lambda m=m: SGD(0.1, m), "momentum") for m in (-0.1, 1, 2, float("nan"))],
        *[(lambda lr=lr: Adam(lr), "lr") for lr in (0, -0.1, float("nan"), float("inf"))],
        *[(lambda b=b: Adam(betas=b), "betas") for b in ((1, 0.9), (0.9, -1), (0.9,))],
        *[(lambda e=e: Adam(eps=e), "eps") for e in (0, -1, float("nan"), float("inf"))],
    ],
)
def test_optimizers_refuse_silly_settings(make, named):
    with pytest.raises(NeocogError, match=rf"^(SGD|Adam): {named} \(=.*\) must be"):
        make()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"class_weights": [1, 2, 3]}, "class_weights must be 4 numbers"),
        ({"class_weights": [1, 2, 3, 0]}, "must be positive"),
        ({"class_weights": [1, 2, 3, float("nan")]}, "must be positive"),
        ({"class_weights": "abcd"}, "must be numbers"),
        (
            {"freeze_after": {"conv9.*": 1}},
            "no parameter is called 'conv9.\\*'. There are: conv1.w",
        ),
        ({"freeze_after": {"conv1.bias": 0}}, r"freeze_after\['conv1.bias'\] \(=0\)"),
        ({"optimizer": SGD(0.1, groups=(Group("no.*", frozen=True),))}, "no parameter is called"),
    ],
)
def test_settings_that_do_not_fit_the_network_are_refused(settings, message):
    network = small_network()
    with pytest.raises(NeocogError, match=message):
        fit(network, **settings)
    assert not network.initialized


def with_labels(low: int, high: int) -> Dataset:
    data = small_data()
    labels = data.labels.copy()
    labels[5], labels[6] = low, high
    return Dataset(data.images, labels)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (small_data(0), DataError, "no images to train on"),
        (Dataset(np.zeros((4, 9, 8, 3), np.uint8), np.zeros(4, int)), DataError, "9"),
        (Dataset(np.zeros((4, 8, 8, 1), np.uint8), np.zeros(4, int)), DataError, "1"),
        (with_labels(0, 4), DataError, "labels go from 0 to 4, but the network has 4 classes"),
        (with_labels(-1, 3), DataError, "labels go from -1 to 3, but the network has 4 classes"),
    ],
    ids=["none", "size", "channels", "label above", "label below"],
)
def test_data_that_do_not_fit_are_refused(data, error, message):
    with pytest.raises(error, match=message):
        fit(small_network(), data)


def test_class_names_that_do_not_fit_are_refused():
    with pytest.raises(ArchitectureError, match="5 classes"):
        fit(small_network(), classes=tuple("abcde"))


# Divergence


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


# Schedules, averages, sums of batches, and all that a recipe may ask for


def by_torch(data, settings, *, epochs=2, seed=3):
    """The same training in PyTorch, in float64: the loss of every batch, weights and averages."""
    torch = pytest.importorskip("torch")
    network = small_network()
    stream = TorchStream(seed)
    initial = stream.initial_state(network)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(8 * 4 * 4, 4),
    ).double()
    for parameter, value in zip(module.parameters(), initial.values(), strict=True):
        parameter.data = torch.from_numpy(value.astype(np.float64))
    of = settings["optimizer"]
    optimizer = torch.optim.SGD(
        module.parameters(), of.lr, of.momentum, weight_decay=of.weight_decay, nesterov=of.nesterov
    )
    batches = -(-len(data) // BATCH)
    accumulate = settings.get("accumulate", 1)
    steps = epochs * -(-batches // accumulate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    weights = settings.get("class_weights")
    criterion = torch.nn.CrossEntropyLoss(
        weight=None if weights is None else torch.tensor(weights, dtype=torch.float64),
        label_smoothing=settings.get("label_smoothing", 0.0),
    )
    losses, average = [], None
    for _ in range(epochs):
        order = stream.epoch_order(len(data))
        waiting = 0
        for first in range(0, len(data), BATCH):
            chosen = order[first : first + BATCH]
            x = reference.preprocess(data.images[chosen], (0.5,) * 3, (0.5,) * 3)
            loss = criterion(module(torch.from_numpy(x)), torch.from_numpy(data.labels[chosen]))
            losses.append(loss.item())
            loss.backward()
            waiting += 1
            if waiting < accumulate and first + BATCH < len(data):
                continue
            for parameter in module.parameters():
                parameter.grad /= accumulate
            waiting = 0
            if "clip_norm" in settings:
                torch.nn.utils.clip_grad_norm_(module.parameters(), settings["clip_norm"])
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
            now = [p.detach().numpy().copy() for p in module.parameters()]
            decay = settings["averaging"].decay if "averaging" in settings else 0.0
            if average is None:
                average = now
            average = [a + (1 - decay) * (w - a) for a, w in zip(average, now, strict=True)]
    return losses, dict(zip(initial, average, strict=True))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"label_smoothing": 0.2},
        {"class_weights": [1.0, 2.0, 0.5, 3.0]},
        {"clip_norm": 0.5},
        {"accumulate": 3},
        {"accumulate": 100},
        {"averaging": EMA(0.8)},
        {
            "label_smoothing": 0.1,
            "class_weights": [1.0, 2.0, 0.5, 3.0],
            "clip_norm": 0.5,
            "accumulate": 2,
            "averaging": EMA(0.7),
        },
    ],
    ids=lambda settings: " ".join(settings) or "plain",
)
def test_settings_are_pytorchs(settings):
    optimizer = SGD(0.05, momentum=0.9, weight_decay=0.01, nesterov=True)
    settings = {"optimizer": optimizer, **settings}
    losses, weights = by_torch(small_data(), settings)
    network = small_network()
    history = fit(network, epochs=2, seed=3, schedule=schedules.Cosine(), **settings)
    np.testing.assert_allclose(history.losses, losses, atol=10 * CLOSE, rtol=0)
    for name, value in network.state_dict().items():
        np.testing.assert_allclose(value, weights[name], atol=10 * CLOSE, rtol=0, err_msg=name)


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
    run_length = RunLength(42, 4, 16 / 11)
    rates = np.concatenate([run_length.rates(e, schedules.Linear(), None)[:, 0] for e in (1, 2)])
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
        rates = run_length.rates(epoch, schedules.Constant(), EMA(0.9))
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


# Ctrl+C


def test_ctrl_c_within_an_epoch_keeps_the_weights_so_far():
    network, data = small_network(), long_data(400_000)
    network.initialize(0)
    before = network.state_dict()

    def act(name, *rest):
        if name == "progress" and rest[1] > 0 and not seen:
            seen.append(rest[1])
            raise KeyboardInterrupt

    seen = []
    callback = Recorder(act)
    history = fit(network, data, callback=callback, optimizer=SGD(0.001))
    assert history.interrupted
    assert seen[0] <= history.steps < 100_000
    assert history.epochs == []
    assert len(history.losses) == history.steps  # what was done is logged
    assert np.isfinite(history.losses).all()
    assert "epoch_done" not in [call[0] for call in callback.calls]

    # The weights are those after exactly so many steps.
    same = small_network()
    stream = TorchStream(0)
    same.initialize(0)
    order = stream.epoch_order(len(data))[: BATCH * history.steps]
    trainer = Trainer(
        same, data.images, data.labels, batch_size=BATCH, optimizer=SGD(0.001), threads=1
    )
    trainer.run(order)
    assert_same_weights(network.state_dict(), trainer.state())
    assert any((network.state_dict()[name] != before[name]).any() for name in before)


def test_ctrl_c_at_the_end_of_an_epoch_keeps_that_epoch():
    def act(name, *rest):
        if name == "logged" and rest[0].epoch == 2 and rest[0].batch == 11 and not raised:
            raised.append(True)
            raise KeyboardInterrupt

    raised = []
    network, two = small_network(), small_network()
    history = fit(network, epochs=5, callback=Recorder(act))
    fit(two, epochs=2)
    assert history.interrupted
    assert [e.epoch for e in history.epochs] == [1, 2]
    assert_same_weights(network.state_dict(), two.state_dict())


def test_ctrl_c_after_the_last_step_changes_nothing():
    def act(name, *rest):
        if name == "logged" and rest[0].batch == 11 and not raised:
            raised.append(True)
            raise KeyboardInterrupt

    raised = []
    history = fit(small_network(), epochs=1, callback=Recorder(act))
    assert raised
    assert not history.interrupted
    assert history.steps == 11
    assert len(history.epochs) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT to another process is POSIX")
def test_a_real_sigint_ends_training_and_keeps_the_weights(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import neocog\n"
        "from test_fit import long_data, small_network\n"
        "class Callback(neocog.Callback):\n"
        "    def logged(self, entry):\n"
        "        print(entry.batch, flush=True)\n"
        "net = small_network()\n"
        "history = neocog.fit(net, long_data(100_000), epochs=10_000, log_every=1000,\n"
        "                     callback=Callback())\n"
        "net.save('kept.safetensors')\n"
        "print('interrupted', history.interrupted, flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, str(script)], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "1000\n"
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        output, _ = process.communicate(timeout=60)
        assert time.monotonic() - began < 10
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert output.splitlines()[-1] == "interrupted True"
    assert neocog.load(tmp_path / "kept.safetensors").initialized


# The note's script

CIFAR = os.environ.get("NEOCOG_DATA")


@pytest.fixture
def one_torch_thread():
    """PyTorch, or a skip; beside other load its second thread makes it ten times slower."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield torch
    torch.set_num_threads(before)


def notes_script(images, labels, *, epochs: int, every: int, seed: int):
    """The note's training script in PyTorch, with the data in memory; (lines, model)."""
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    class SimpleCNN(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(3, 16, 3, padding=1)
            self.fc = nn.Linear(16 * 16 * 16, 10)

        def forward(self, x):
            x = torch.max_pool2d(torch.relu(self.conv1(x)), 2)
            return self.fc(x.flatten(1))

    torch.manual_seed(seed)
    x = torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).float()
    dataset = TensorDataset((x / 255 - 0.5) / 0.5, torch.from_numpy(labels))
    loader = DataLoader(dataset, batch_size=4, shuffle=True)
    model = SimpleCNN()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9)
    lines = []
    for epoch in range(1, epochs + 1):
        running = 0.0
        for batch, (inputs, targets) in enumerate(loader, 1):
            optimizer.zero_grad()
            loss = criterion(model(inputs), targets)
            loss.backward()
            optimizer.step()
            running += loss.item()
            if batch % every == 0:
                lines.append((epoch, batch, running / every))
                running = 0.0
    return lines, model


@pytest.mark.skipif(not CIFAR, reason="NEOCOG_DATA does not name CIFAR-10")
def test_the_notes_script_line_by_line(one_torch_thread):
    torch = one_torch_thread
    data = neocog.load_data("cifar10")
    train, test = data.train[:4000], data.test[:2000]
    lines, model = notes_script(train.images, train.labels, epochs=2, every=500, seed=0)

    network = neocog.models.simple_cnn()
    history = neocog.fit(network, train, epochs=2, seed=0, log_every=500, classes=data.classes)
    assert [(e.epoch, e.batch) for e in history.logged] == [line[:2] for line in lines]
    assert len(lines) == 4
    # Allowed are 0.005. Measured: 0.00008 at most.
    np.testing.assert_allclose(history.losses, [line[2] for line in lines], atol=0.001, rtol=0)
    state = {name: value.numpy() for name, value in model.state_dict().items()}
    for name, value in network.state_dict().items():
        # Measured: 0.0014 at most, as much as PyTorch with one thread is from PyTorch with two.
        np.testing.assert_allclose(value, state[name], atol=0.005, rtol=0, err_msg=name)

    # And evaluated, with PyTorch's own weights in both.
    network.load_state_dict(state)
    result = neocog.evaluate(network, test)
    x = torch.from_numpy(test.images.transpose(0, 3, 1, 2).copy()).float()
    with torch.no_grad():
        scores = model((x / 255 - 0.5) / 0.5)
        targets = torch.from_numpy(test.labels)
        loss = torch.nn.functional.cross_entropy(scores, targets).item()
        accuracy = (scores.argmax(1) == targets).double().mean().item()
    assert result.loss == pytest.approx(loss, abs=1e-5)
    assert abs(result.accuracy - accuracy) <= 1 / len(test)  # one image may lie on the border


def test_ctrl_c_while_an_epoch_is_saved_keeps_that_epoch():
    network, one = small_network(), small_network()
    history = fit(network, epochs=5, callback=Recorder(once("epoch_done", KeyboardInterrupt())))
    fit(one, epochs=1)
    assert history.interrupted
    assert [e.epoch for e in history.epochs] == [1]
    assert_same_weights(network.state_dict(), one.state_dict())


# Ending early, and again


STILL = {"optimizer": SGD(1e-30)}  # weights stand still, so that losses show what is seen


@pytest.mark.parametrize("where", ["ready", "progress", "logged", "epoch_done"])
def test_a_callback_ends_the_training_after_an_epoch(where):
    def act(name, *rest):
        if name == where and (name == "ready" or len(callback.history.epochs) >= 1):
            callback.stop()
        if name == "ready":
            callback.history = rest[0]

    callback = Recorder(act)
    network, same = small_network(), small_network()
    history = fit(network, epochs=5, callback=callback)
    epochs = {"ready": 1, "progress": 2, "logged": 2, "epoch_done": 1}[where]
    assert (history.stopped, history.interrupted) == (True, False)
    assert [e.epoch for e in history.epochs] == list(range(1, epochs + 1))
    fit(same, epochs=epochs)
    assert_same_weights(network.state_dict(), same.state_dict())
    # It can watch another training, and to stop one at its end is nothing special.
    callback.act = lambda name, *_: callback.stop() if name == "epoch_done" else None
    assert not fit(small_network(), epochs=1, callback=callback).stopped


@pytest.mark.parametrize(
    "error", [None, KeyboardInterrupt(), OSError("disk full")], ids=["end", "Ctrl+C", "error"]
)
def test_a_callback_is_told_of_the_end(error):
    class Ending(Recorder):
        def ended(self, history):
            self.note("ended", history)

    callback = Ending(once("logged", error) if error else None)
    if isinstance(error, OSError):
        with pytest.raises(OSError, match="disk full"):
            fit(small_network(), callback=callback)
    else:
        fit(small_network(), callback=callback)
    assert callback.calls[-1][0] == "ended"
    assert [call[0] for call in callback.calls].count("ended") == 1


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
    expected.initial_state(whole)
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


# The line in interactive Python


class Shell:
    """As IPython's: in a notebook it has a kernel."""

    def __init__(self, **attributes):
        self.__dict__ |= attributes


class Handle:
    def __init__(self, shown):
        self.shown = shown

    def update(self, content, *, raw):
        assert raw
        self.shown.append(content["text/plain"])


@pytest.fixture
def ipython(monkeypatch):
    """Be in IPython; gives what its display is given."""

    def be(shell):
        shown = []

        def display(content, *, raw, display_id):
            assert raw
            assert display_id
            shown.append(content["text/plain"])
            return Handle(shown)

        module = types.ModuleType("IPython")
        module.get_ipython = lambda: shell
        module.display = types.SimpleNamespace(display=display)
        monkeypatch.setitem(sys.modules, "IPython", module)
        return shown

    return be


def test_in_a_notebook_a_line_shows_how_it_goes(ipython, monkeypatch, capsys):
    monkeypatch.setattr("neocog.training.live_line._PAUSE", 0)
    shown = ipython(Shell(kernel=1))
    history = fit(small_network(), epochs=2)
    *running, last = [text for text in shown if not text.startswith("Compiling")]
    number = r"\d+(,\d{3})*(\.\d)?"
    for text in running:
        assert re.fullmatch(
            rf"epoch [12] of 2, \d+ %(, loss \d\.\d{{3}})?, {number} batches/s", text
        ), text
    assert running
    assert last == f"2 epochs, loss {history.epochs[-1].loss:.3f}, {history.seconds:.1f} s"
    assert capsys.readouterr() == ("", "")
    shown.clear()
    fit(small_network(), callback=neocog.Callback())
    assert shown == []


@pytest.mark.parametrize("word", ["interrupted", "stopped", ""])
def test_what_ended_early_says_how(word):
    history = History(epochs=[Epoch(1, 0.5, 2.0)], seconds=2.0)
    if word:
        setattr(history, word, True)
    shown = []
    line = LiveLine(3, lambda text, _last: shown.append(text))
    line.ready(history)
    line.ended(history)
    after = f"{word} after " if word else ""
    assert shown == [f"{after}1 epoch, 2.0 s"]
    assert repr(history).endswith(f" 2.0 s, {word}>" if word else " 2.0 s>")


def test_at_a_prompt_a_line_is_written_anew(monkeypatch, capsys):
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    fit(small_network())
    assert capsys.readouterr() == ("", "")  # in a pipe nothing is
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    fit(small_network())
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("\r")
    assert re.search(r"\r1 epoch, loss \d\.\d{3}, \d\.\d s\x1b\[K\n$", err)


def test_programs_and_ipython_without_a_terminal_get_no_line(ipython, capsys):
    fit(small_network())
    ipython(Shell())
    fit(small_network())
    ipython(None)
    fit(small_network())
    assert capsys.readouterr() == ("", "")
