"""Networks at the edges: batches of one image, one value a channel, scores of ten thousands."""

import numpy as np
import pytest
from yardstick import COUNT, InTorch, Yardstick, compare, data_for, trainer_of

from neocog import SGD
from neocog.layers import (
    BatchNorm2d,
    Conv2d,
    Flatten,
    Linear,
    ReLU,
    Scale,
)
from neocog.network import Network


def edge():
    """A small network with batch normalization."""
    network = Network(
        input_shape=(3, 6, 5),
        conv=Conv2d(3, 8, 3, padding=1),
        norm=BatchNorm2d(8),
        relu=ReLU(),
        flatten=Flatten(),
        fc=Linear(240, 5),
    )
    network.initialize(0)
    return network


def test_a_batch_of_one_image_has_its_own_statistics():
    network = edge()
    images, labels = data_for(network, 10)
    compare(network, images, labels, batch=1)


def test_one_value_a_channel_has_no_variance():
    """PyTorch refuses it. Here the batch's variance is 0, and the running one stays finite."""
    network = Network(
        input_shape=(3, 1, 1), c=Conv2d(3, 4, 1), n=BatchNorm2d(4), f=Flatten(), l=Linear(4, 3)
    )
    network.initialize(0)
    images, labels = data_for(network, 5)
    trainer = trainer_of(network, images, labels, batch=1)
    losses = trainer.run(np.arange(5))
    assert len(losses) == 5
    for value in trainer.state().values():
        assert np.isfinite(value).all()
    assert (trainer.gradients()["c.weight"] == 0).all()
    assert (trainer.gradients()["n.weight"] == 0).all()


def test_images_of_one_color_and_labels_that_are_all_the_same():
    network = edge()
    images = np.full((COUNT, 6, 5, 3), 128, np.uint8)
    labels = np.full(COUNT, 3)
    compare(network, images, labels)
    trainer = trainer_of(network, images, labels)
    losses = np.concatenate([trainer.run(np.arange(COUNT)) for _ in range(5)])
    assert (np.diff(losses[1:]) <= 0).all(), "there is only one thing to learn"
    assert losses[-1] < 0.1


@pytest.mark.parametrize("scale", [1e4, -1e4])
def test_scores_of_ten_thousands(scale):
    network = Network(
        input_shape=(3, 6, 5), flatten=Flatten(), fc=Linear(90, 5), scale=Scale(scale)
    )
    network.initialize(0)
    images, labels = data_for(network, 12)
    torchs, everything = Yardstick(network, images, labels, 1e-12), np.arange(12)
    assert 1e3 < np.abs(torchs.double.scores()).max() < 1e5
    trainer = trainer_of(network, images, labels, batch=12, optimizer=SGD(1e-12))
    torchs.steps([everything], trainer.run(everything))
    torchs.compare(trainer.gradients(), InTorch.gradients, "gradients")
    probabilities = network.predict_proba(images)
    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)


def test_pictures_of_one_shard_or_many_and_a_last_batch_of_one():
    """Shards of one image and of several; the last batch leaves some of them empty."""
    network = edge()
    images, labels = data_for(network, 41)
    start = network.state_dict()
    for batch in (40, 20, 3):
        network.load_state_dict(start)
        order = np.arange(41)
        states = []
        for threads in (1, 2, 3):
            trainer = trainer_of(network, images, labels, batch, threads)
            losses = trainer.run(order)
            states.append({"losses": losses, **trainer.state()})
        for state in states[1:]:
            for name, value in state.items():
                np.testing.assert_array_equal(value, states[0][name], name)
        compare(network, images, labels, batch=batch, threads=3)
