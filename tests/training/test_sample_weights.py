"""Weights of images in a training, against PyTorch in float64 and against what they must mean."""

import numpy as np
import pytest
from trainer_by_torch import (
    BATCH,
    BATCHES,
    CLASSES,
    COUNT,
    ORDER,
    InTorch,
    assert_same,
    compare,
    small,
    trainer_of,
)

import neocog
from neocog import SGD, Augmentation, NeocogError
from neocog.settings.training import TrainingSettings
from neocog.training.run import TrainingRun

CLASS_WEIGHTS = np.array([0.5, 2.0, 0.25, 1.25], np.float32)
MOMENTUM = SGD(0.02, momentum=0.9)


def weights():
    """Some zero among them, and all of the second batch."""
    found = np.random.default_rng(3).uniform(0, 2, COUNT).astype(np.float32)
    found[ORDER[[0, 20, 57]]] = 0
    found[BATCHES[1]] = 0
    return found


@pytest.mark.parametrize(
    "how",
    [{}, {"label_smoothing": 0.2, "class_weights": CLASS_WEIGHTS}, {"accumulate": 3}],
    ids=" ".join,
)
def test_steps_are_those_of_pytorch(how):
    data = small()
    torch_side = InTorch(data)
    torch = torch_side.torch
    samples = torch.from_numpy(weights()).double()
    classes = torch.from_numpy(how.get("class_weights", np.ones(CLASSES))).double()
    stepper = torch.optim.SGD(torch_side.module.parameters(), lr=0.02, momentum=0.9)
    accumulate = how.get("accumulate", 1)
    losses = []
    for number, batch in enumerate(BATCHES, 1):
        each = torch.nn.functional.cross_entropy(
            torch_side.module(torch_side.x[batch]),
            torch_side.y[batch],
            weight=classes,
            label_smoothing=how.get("label_smoothing", 0.0),
            reduction="none",
        )
        whole = (samples[batch] * classes[torch_side.y[batch]]).sum()
        loss = (samples[batch] * each).sum() / whole if whole > 0 else 0 * each.sum()
        losses.append(loss.item())
        (loss / accumulate).backward()
        if number % accumulate == 0 or number == len(BATCHES):
            stepper.step()
            stepper.zero_grad()
    trainer = trainer_of(data, MOMENTUM, sample_weights=weights(), **how)
    found = trainer.run(ORDER)
    assert losses[1] == found[1] == 0
    compare(trainer, torch_side, found, losses)


def test_a_batch_without_weight_moves_nothing():
    trainer = trainer_of(small(), SGD(0.02), sample_weights=weights())
    before = trainer.parameters()
    np.testing.assert_array_equal(trainer.run(BATCHES[1]), [0])
    assert_same(trainer.parameters(), before)


@pytest.mark.parametrize(
    "augmentation",
    [Augmentation(), Augmentation(mixup=0.5), Augmentation("random", 1)],
    ids=["as they are", "mixed", "moved"],
)
def test_equal_weights_are_no_weights(augmentation):
    """Bitwise, where they are a power of two; also with mixed labels."""
    how = {"augmentation": augmentation, "label_smoothing": 0.1}
    plain = trainer_of(small(), MOMENTUM, **how)
    trainer = trainer_of(small(), MOMENTUM, sample_weights=np.full(COUNT, 4.0), **how)
    np.testing.assert_array_equal(trainer.run(ORDER), plain.run(ORDER))
    assert_same(trainer.parameters(), plain.parameters())


def test_weights_of_classes_may_be_given_as_those_of_images():
    """Without smoothing, which looks at all classes."""
    data = small()
    by_class = trainer_of(data, MOMENTUM, class_weights=CLASS_WEIGHTS)
    by_image = trainer_of(data, MOMENTUM, sample_weights=CLASS_WEIGHTS[data[2]])
    np.testing.assert_array_equal(by_image.run(ORDER), by_class.run(ORDER))
    assert_same(by_image.parameters(), by_class.parameters())


def fitted(sample_weights, **settings):
    network, *data = small()
    how = {"epochs": 1, "batch_size": BATCH, "optimizer": MOMENTUM} | settings
    neocog.fit(network, tuple(data), sample_weights=sample_weights, **how)
    return network.state_dict()


def test_fit_takes_all_kinds_of_numbers():
    given = np.random.default_rng(0).integers(0, 3, COUNT)
    expected = fitted(given)
    assert_same(fitted(given.tolist()), expected)
    assert_same(fitted(given.astype(np.float16)), expected)
    assert (fitted(None)["fc.weight"] != expected["fc.weight"]).any()
    # Another kernel's roundings, no more.
    plain, ones = fitted(None), fitted(np.ones(COUNT))
    np.testing.assert_allclose(ones["fc.weight"], plain["fc.weight"], rtol=0, atol=1e-6)


def test_a_batch_of_one_image_is_its_own_mean():
    """Whatever the image weighs; one of weight 0 is a step of nothing."""
    given = np.random.default_rng(0).integers(0, 3, COUNT)
    one = fitted(given, batch_size=1, optimizer=SGD(0.01))
    assert_same(fitted((given > 0) * 1.0, batch_size=1, optimizer=SGD(0.01)), one)


def test_a_run_is_continued_with_its_weights():
    network, *data = small()
    settings = TrainingSettings(epochs=2, batch_size=BATCH, optimizer=MOMENTUM)
    run = TrainingRun(network.copy(), tuple(data), settings, sample_weights=weights())
    run.step(4)
    state = run.state()
    again = TrainingRun(network.copy(), tuple(data), settings, sample_weights=weights())
    again.load_state(state)
    for one in (run, again):
        one.step(None)
        one.update_network()
    assert_same(again.network.state_dict(), run.network.state_dict())
    np.testing.assert_array_equal(again.losses, run.losses)
    for others in (None, weights()[::-1]):
        other = TrainingRun(network.copy(), tuple(data), settings, sample_weights=others)
        with pytest.raises(NeocogError, match="which are not these"):
            other.load_state(state)
