"""`neocog.fit` against the formulas in float64; its seeds, its log and what it leaves alone."""

import numpy as np
import pytest
from fitting import BATCH, CLOSE, assert_same_weights, fit, small_data, small_network

import neocog
from neocog import SGD, Adam, reference
from neocog.random.torch_stream import TorchStream


def by_formula(network, data, optimizer, epochs, seed):
    """The loss of every step and the last weights, by `neocog.reference` in float64."""
    stream = TorchStream(seed)
    w = {k: v.astype(np.float64) for k, v in stream.initial_state(network.graph).items()}
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
