"""Results that do not depend on the number of threads, nor on the run."""

import threading

import numpy as np
import pytest
from engine_networks import NETWORKS, assert_same, prepared, small
from engines import parts_of

from neocog import SGD, Adam
from neocog.engine.trainer import Trainer
from neocog.errors import NeocogError
from neocog.kernels.runtime.workers import GROUP
from neocog.layers import GELU, BatchNorm2d, Conv2d, Flatten, Linear, MaxPool2d, ReLU, SiLU
from neocog.network import Network
from neocog.settings.training import TrainingSettings


@pytest.mark.parametrize("batch", [1, 4, 7, 64])
def test_results_do_not_depend_on_threads_or_runs(batch):
    network, images, labels = small()
    order = np.random.default_rng(1).permutation(len(images))
    results = []
    for threads in (1, 2, 3, 4, 1):
        optimizer = Adam(0.003) if batch == 7 else SGD(0.02, momentum=0.9)
        trainer = Trainer(
            *parts_of(network),
            images,
            labels,
            TrainingSettings(batch_size=batch, optimizer=optimizer, threads=threads),
        )
        losses = np.concatenate([trainer.run(order), trainer.run(order[::-1])])
        state = trainer.parameters(), trainer.optimizer_state(), trainer.gradients()
        results.append((losses, *state))
    steps = 2 * -(-len(images) // batch)
    for losses, *states in results:
        assert len(losses) == steps
        np.testing.assert_array_equal(losses, results[0][0])
        for state, first in zip(states, results[0][1:], strict=True):
            assert_same(state, first)
    assert len(np.unique(results[0][0])) == steps, "losses that all differ show that it learned"


@pytest.mark.parametrize("name", ["simple_cnn", "odd sizes, no bias"])
def test_other_networks_do_not_depend_on_threads_either(name):
    network, images, labels = prepared(NETWORKS[name], 45)
    order, states = np.arange(45), []
    for threads in (1, 3):
        trainer = Trainer(
            *parts_of(network),
            images,
            labels,
            TrainingSettings(batch_size=20, optimizer=SGD(0.01, 0.9), threads=threads),
        )
        losses = trainer.run(order)
        states.append({"losses": losses, **trainer.parameters(), **trainer.optimizer_state()})
    assert_same(*states)


def test_predictions_do_not_depend_on_threads_or_company():
    network, images, _ = small()
    scores = network.predict_scores(images, threads=1)
    probabilities = network.predict_proba(images, threads=1)
    for threads in (1, 2, 3, 4):
        np.testing.assert_array_equal(network.predict_scores(images, threads=threads), scores)
    for size in (1, 2, 3, 33):
        parts = [images[at : at + size] for at in range(0, len(images), size)]
        together = np.concatenate([network.predict_scores(p, threads=2) for p in parts])
        np.testing.assert_array_equal(together, scores)
        together = np.concatenate([network.predict_proba(p) for p in parts])
        np.testing.assert_array_equal(together, probabilities)


def wide():
    """A network whose layers are shared in every way: direct, pooled, by Winograd, not at all."""
    network = Network(
        input_shape=(3, 17, 12),
        conv1=Conv2d(3, 40, 5, stride=2),
        relu1=ReLU(),
        conv2=Conv2d(40, 33, 3, padding=1),
        norm=BatchNorm2d(33),
        act=GELU(),
        conv3=Conv2d(33, 8, 1),
        pool=MaxPool2d(2),
        flatten=Flatten(),
        fc=Linear(8 * 3 * 2, 4),
    )
    network.initialize(0)
    rng = np.random.default_rng(0)
    return network, rng.integers(0, 256, (7, 17, 12, 3), np.uint8)


def separable():
    """Depthwise convolutions with functions behind them, of an odd and of an even height."""
    network = Network(
        input_shape=(3, 13, 9),
        conv=Conv2d(3, 20, 1),
        depth1=Conv2d(20, 20, 3, padding=1, groups=20),
        norm=BatchNorm2d(20),
        act1=SiLU(),
        depth2=Conv2d(20, 20, 2, stride=2, groups=20),
        act2=ReLU(),
        flatten=Flatten(),
        fc=Linear(20 * 6 * 4, 4),
    )
    network.initialize(0)
    return network, np.random.default_rng(0).integers(0, 256, (7, 13, 9, 3), np.uint8)


def test_workers_that_help_each_other_change_nothing():
    """Where there are many images, who is done takes what others have not come to yet."""
    network, images = wide()
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (59, *images.shape[1:]), np.uint8)
    labels, order = rng.integers(0, 4, 59), np.tile(np.arange(59), 4)
    states = []
    for threads in (1, 2, 5):
        trainer = Trainer(
            *parts_of(network),
            images,
            labels,
            TrainingSettings(batch_size=24, optimizer=SGD(0.01, 0.9), threads=threads),
        )
        groups = trainer._program._groups
        steal_sizes = groups[:, GROUP.index("steal_size")]
        assert (steal_sizes > 0).sum() >= 3
        assert (steal_sizes == 0).any()
        losses = trainer.run(order)
        states.append({"losses": losses, **trainer.parameters(), **trainer.optimizer_state()})
    assert_same(states[1], states[0])
    assert_same(states[2], states[0])


def test_more_threads_than_a_small_batch_has_shards():
    """A batch of 160 is cut into 20 shards, for as many threads; the others find nothing to do."""
    network = Network(
        input_shape=(3, 6, 6),
        conv=Conv2d(3, 5, 3, padding=1),
        norm=BatchNorm2d(5),
        act=ReLU(),
        depthwise=Conv2d(5, 5, 3, groups=5),
        pool=MaxPool2d(2),
        flatten=Flatten(),
        fc=Linear(5 * 2 * 2, 4),
    )
    network.initialize(0)
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (180, 6, 6, 3), np.uint8), rng.integers(0, 4, 180)
    first = None
    for threads in range(1, 41):
        trainer = Trainer(
            *parts_of(network),
            images,
            labels,
            TrainingSettings(batch_size=160, optimizer=SGD(0.1, 0.9), threads=threads),
        )
        assert trainer._program.workers == threads
        assert trainer._program.plan.shard == 8
        losses = trainer.run(np.arange(180))
        state = {"losses": losses, **trainer.parameters(), **trainer.optimizer_state()}
        first = first or state
        assert_same(state, first)
    assert len(np.unique(first["losses"])) == 2


@pytest.mark.parametrize(("batch", "shards"), [(1, 1), (16, 16), (20, 10), (128, 16), (256, 32)])
def test_a_batch_is_cut_by_its_size(batch, shards):
    network, images, labels = small(256)
    settings = TrainingSettings(batch_size=batch, optimizer=SGD(0.1), threads=1)
    trainer = Trainer(*parts_of(network), images, labels, settings)
    assert -(-batch // trainer._program.plan.shard) == shards


@pytest.mark.parametrize("make", [small, wide, separable])
def test_one_image_shared_by_threads_is_the_same(make, monkeypatch):
    network, images, *_ = make()
    expected = network.predict_scores(images)
    network.initialize(0)  # the same parameters, and nothing kept for predicting
    monkeypatch.setattr("neocog.engine.predictor._SHARED", 0)
    monkeypatch.setattr("neocog.engine.ops.linear._SPLIT_WEIGHTS", 0)
    for threads in (1, 2, 3):
        for n in range(3):
            alone = network.predict_scores(images[n : n + 1], threads=threads)
            np.testing.assert_array_equal(alone, expected[n : n + 1])


def test_one_image_without_winograd_is_the_same_but_for_rounding(monkeypatch):
    network, images = wide()
    expected = network.predict_scores(images)
    network.initialize(0)
    monkeypatch.setattr("neocog.engine.predictor._SHARED", 0)
    monkeypatch.setattr("neocog.engine.ops.winograd._FAR_BYTES", 0)
    alone = np.concatenate([network.predict_scores(images[n : n + 1], threads=2) for n in range(7)])
    assert not np.array_equal(alone, expected)
    np.testing.assert_allclose(alone, expected, rtol=1e-5, atol=1e-6)


def test_no_images_have_no_predictions_and_leave_the_thread_as_it_was():
    network = Network(input_shape=(3, 4, 4), flatten=Flatten(), fc=Linear(48, 4))
    network.initialize(0)
    assert network.predict_scores(np.zeros((0, 4, 4, 3), np.uint8)).shape == (0, 4)
    # Denormals are flushed in the workers only.
    network.predict_scores(np.zeros((2, 4, 4, 3), np.uint8))
    assert np.float32(1e-40) * np.float32(1) != 0


@pytest.mark.parametrize("threads", [0, -1])
def test_threads_that_cannot_be(threads):
    network = Network(input_shape=(3, 4, 4), flatten=Flatten(), fc=Linear(48, 4))
    network.initialize(0)
    with pytest.raises(NeocogError, match="threads"):
        network.predict_proba(np.zeros((1, 4, 4, 3), np.uint8), threads=threads)


def test_predictions_from_several_threads_at_once():
    network, images, _ = small(200)
    expected = network.predict_scores(images, threads=1)
    network.initialize(0)  # the same parameters, and nothing kept for predicting
    wrong = []

    def ask(seed):
        rng = np.random.default_rng(seed)
        for _ in range(20):
            chosen = rng.integers(0, len(images), rng.integers(1, 60))
            found = network.predict_scores(images[chosen], threads=1 + seed % 3)
            if not np.array_equal(found, expected[chosen]):
                wrong.append(seed)

    askers = [threading.Thread(target=ask, args=(seed,)) for seed in range(6)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert not wrong


def test_images_that_do_not_lie_in_a_row_in_memory():
    network, images, labels = small(8)
    order, expected = np.arange(8), None
    turned = np.asfortranarray(images)
    backwards = np.ascontiguousarray(images[::-1])[::-1]
    for same in (images, turned, backwards):
        trainer = Trainer(
            *parts_of(network),
            same,
            labels,
            TrainingSettings(batch_size=4, optimizer=SGD(0.01), threads=2),
        )
        result = {"losses": trainer.run(order), "scores": network.predict_scores(same)}
        expected = expected or result
        assert_same(result, expected)
