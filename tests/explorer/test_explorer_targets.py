"""The explorer of several labels and of numbers: its explanations, steps and accuracy."""

import numpy as np
import pytest
from exploring import at, served

import neocog
from neocog.data import Data
from neocog.layers import Flatten, Linear
from neocog.web.training import Training
from neocog.web.training_pace import TrainingPace

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (10, 6, 5, 3), np.uint8)
TARGETS = {
    "binary-cross-entropy": RNG.integers(0, 2, (10, 3)).astype(np.float32),
    "mse": RNG.normal(50, 20, (10, 3)).astype(np.float32),
}


def network_of(loss):
    network = neocog.Network(
        input_shape=(3, 6, 5), classes=("red", "old", "wet"), flatten=Flatten(), fc=Linear(90, 3)
    )
    network.initialize(0)
    network.loss = loss
    return network


@pytest.fixture(params=TARGETS)
def explored(request):
    """A page, the network that it shows, and the loss and targets."""
    loss = request.param
    network = network_of(loss)
    part = neocog.Dataset(IMAGES, TARGETS[loss])
    data = Data(name="pictures", train=part, test=part, classes=("red", "old", "wet"))
    with served(network.copy(), data) as page:
        yield page, network, loss, TARGETS[loss]


def test_a_held_out_image_is_explained_with_its_truth(explored):
    page, network, loss, targets = explored
    page.do("/api/picture", index=4)
    page.do("/api/label", label="old")
    structure, block = page.binary("/api/explanation")
    expected = neocog.explain(network, IMAGES[4], "old", targets=targets[4])
    assert structure["label"] == 1
    assert structure["kind"] == {"mse": "number", "binary-cross-entropy": "label"}[loss]
    np.testing.assert_array_equal(at(structure["targets"], block), targets[4])
    np.testing.assert_allclose(at(structure["delta"], block), expected.delta, rtol=1e-6)
    state = page.do("/api/label", label=None)
    assert state["picture"]["label"] is None
    what = structure["kind"]
    assert page.refused("/api/label", label="odd").startswith(f"There is no {what} 'odd'.")


def test_steps_are_those_of_fit(explored):
    page, network, loss, targets = explored
    for _ in range(3):  # an epoch of batches of four
        page.do("/api/training/step")
    how = {"epochs": 1, "batch_size": 4, "optimizer": neocog.SGD(0.001, 0.9), "loss": loss}
    neocog.fit(network, (IMAGES, targets), standardize_targets=loss == "mse", **how)
    for name, value in network.state_dict().items():
        np.testing.assert_allclose(page.weights()[name], value, rtol=1e-6, atol=1e-7)
    structure, _block = page.binary("/api/batch")
    np.testing.assert_allclose(structure["labels"], targets[structure["indices"]])


def test_new_weights_begin_as_a_training_from_nothing(explored):
    """Numbers begin near the targets' mean, as those of a network that `fit` sees first."""
    page, _network, loss, targets = explored
    page.do("/api/training/reset", seed=3)
    for _ in range(3):
        page.do("/api/training/step")
    new = neocog.Network(input_shape=(3, 6, 5), flatten=Flatten(), fc=Linear(90, 3))
    how = {"epochs": 1, "batch_size": 4, "optimizer": neocog.SGD(0.001, 0.9), "loss": loss}
    neocog.fit(new, (IMAGES, targets), seed=3, standardize_targets=loss == "mse", **how)
    for name, value in new.state_dict().items():
        np.testing.assert_allclose(page.weights()[name], value, rtol=1e-6, atol=1e-7)


def test_the_accuracy_is_the_part_of_the_labels_that_are_right():
    for loss, targets in TARGETS.items():
        network, part = network_of(loss), neocog.Dataset(IMAGES, targets)
        pace = TrainingPace(network, Training(network, part, 0, 1, lambda _many: None), part, 1)
        pace.start()
        assert pace.tick()
        found = pace.curve.points[-1].accuracy
        right = (network.predict_proba(IMAGES) >= 0.5) == (targets == 1)
        assert found is None if loss == "mse" else found == pytest.approx(right.mean())
