"""Losses beside cross-entropy in a training: against PyTorch in float64, and all that fit does."""

import numpy as np
import pytest
from trainer_by_torch import (
    BATCHES,
    CLASSES,
    COUNT,
    ORDER,
    InTorch,
    assert_near,
    assert_same,
    compare,
    small,
    trainer_of,
)

import neocog
from neocog import SGD, Augmentation, DataError, NeocogError
from neocog.settings.codec import to_plain
from neocog.settings.training import TrainingSettings
from neocog.training.fixed_settings import check_fixed_settings
from neocog.training.run import TrainingRun

MOMENTUM = SGD(0.02, momentum=0.9)
IN_TORCH = {
    "binary-cross-entropy": "binary_cross_entropy_with_logits",
    "mse": "mse_loss",
}
LOSSES = tuple(IN_TORCH)


def with_targets(loss):
    """The small network, its images, and targets: of numbers, or of 0, 1 and what is between."""
    network, images, _ = small()
    rng = np.random.default_rng(5)
    if loss == "mse":
        return network, images, rng.normal(0, 2, (COUNT, CLASSES)).astype(np.float32)
    targets = rng.integers(0, 2, (COUNT, CLASSES)).astype(np.float32)
    targets[::7] = rng.uniform(0, 1, targets[::7].shape)
    return network, images, targets


def of_torch(loss, **how):
    torch = pytest.importorskip("torch")
    function = getattr(torch.nn.functional, IN_TORCH[loss])
    return lambda z, t: function(z, t.double(), **how)


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("loss", LOSSES)
def test_steps_are_those_of_pytorch(loss, accumulate):
    data = with_targets(loss)
    torch_side = InTorch(data, of_torch(loss))
    stepper = torch_side.torch.optim.SGD(torch_side.module.parameters(), lr=0.02, momentum=0.9)
    losses = []
    for number, batch in enumerate(BATCHES, 1):
        losses.append(torch_side.backward(batch, 1 / accumulate))
        if number % accumulate == 0 or number == len(BATCHES):
            stepper.step()
            stepper.zero_grad()
    trainer = trainer_of(data, MOMENTUM, loss=loss, accumulate=accumulate)
    compare(trainer, torch_side, trainer.run(ORDER), losses)


def test_weights_of_what_is_true():
    """PyTorch's ``pos_weight``, also of targets between 0 and 1."""
    data = with_targets("binary-cross-entropy")
    weights = (3.0, 0.25, 1.0, 7.5)
    torch = pytest.importorskip("torch")
    of_true = torch.tensor(weights, dtype=torch.float64)
    torch_side = InTorch(data, of_torch("binary-cross-entropy", pos_weight=of_true))
    stepper = torch_side.torch.optim.SGD(torch_side.module.parameters(), lr=0.02, momentum=0.9)
    losses = []
    for batch in BATCHES:
        losses.append(torch_side.backward(batch))
        stepper.step()
        stepper.zero_grad()
    trainer = trainer_of(data, MOMENTUM, loss="binary-cross-entropy", pos_weight=weights)
    compare(trainer, torch_side, trainer.run(ORDER), losses)


@pytest.mark.parametrize("loss", LOSSES)
def test_weights_of_images(loss):
    data = with_targets(loss)
    weights = np.random.default_rng(3).uniform(0, 2, COUNT).astype(np.float32)
    weights[BATCHES[0][0]] = 0
    torch_side = InTorch(data, of_torch(loss, reduction="none"))
    z = torch_side.module(torch_side.x[BATCHES[0]])
    a = torch_side.torch.from_numpy(weights[BATCHES[0]]).double()
    each = torch_side.loss(z, torch_side.y[BATCHES[0]]).mean(dim=1)
    mean = (a * each).sum() / a.sum()
    mean.backward()
    trainer = trainer_of(data, loss=loss, sample_weights=weights)
    assert_near(trainer.run(BATCHES[0]), [mean.item()], 1e-5)
    gradients = trainer.gradients()
    for name, expected in torch_side.gradients().items():
        assert_near(gradients[name], expected, 1e-5, name)


def test_mixed_targets_are_those_of_mixed_labels():
    """With a single output cross-entropy of two classes and binary cross-entropy are the same.

    Of the scores (z, 0) softmax gives σ(z): so the losses of both networks are, if one has the
    weights of the other's first output and nothing at its second.
    """
    two, images, _ = small()
    labels = np.random.default_rng(4).integers(0, 2, COUNT)
    layers = {**two.layers, "fc": neocog.Linear(9 * 5 * 6, 2)}
    two = neocog.Network(input_shape=(3, 5, 6), **layers)
    one = neocog.Network(input_shape=(3, 5, 6), **{**layers, "fc": neocog.Linear(9 * 5 * 6, 1)})
    two.initialize(0)
    state = two.state_dict()
    for name in ("fc.weight", "fc.bias"):
        state[name][1] = 0
    two.load_state_dict(state)
    one.load_state_dict(
        {**state, "fc.weight": state["fc.weight"][:1], "fc.bias": state["fc.bias"][:1]}
    )
    how = {"augmentation": Augmentation(mixup=0.6)}
    targets = (labels == 0).astype(np.float32)[:, None]
    found = trainer_of((one, images, targets), loss="binary-cross-entropy", **how).run(ORDER)
    assert_near(found, trainer_of((two, images, labels), **how).run(ORDER), 1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_result_does_not_depend_on_threads(loss):
    one, three = (trainer_of(with_targets(loss), MOMENTUM, loss=loss, threads=n) for n in (1, 3))
    np.testing.assert_array_equal(one.run(ORDER), three.run(ORDER))
    assert_same(one.parameters(), three.parameters())


def fitted(loss, **how):
    network, *data = with_targets(loss)
    how = {"epochs": 30, "batch_size": 8, "optimizer": SGD(0.05, momentum=0.9)} | how
    history = neocog.fit(network, tuple(data), loss=loss, validation=tuple(data), seed=1, **how)
    return network, data, history


def test_several_labels_are_learned(tmp_path):
    network, (images, targets), history = fitted("binary-cross-entropy")
    last = history.epochs[-1]
    assert last.loss < 0.2 * history.epochs[0].loss
    result = neocog.evaluate(network, (images, targets))
    assert last.validation_loss == result.loss and last.validation_accuracy == result.accuracy
    assert result.accuracy > 0.95 and result.f1 > 0.9 and result.mean_precision > 0.95
    p = network.predict_proba(images)
    z = network.predict_scores(images).astype(np.float64)
    np.testing.assert_allclose(p, 1 / (1 + np.exp(-z)), rtol=1e-6)
    np.testing.assert_array_equal(network.predict(images), p >= 0.5)
    np.testing.assert_array_equal(network.predict(images, threshold=0.9), p >= 0.9)
    saved = tmp_path / "labels.safetensors"
    network.save(saved)
    again = neocog.load(saved)
    assert again.loss == "binary-cross-entropy"
    np.testing.assert_array_equal(again.predict_proba(images), p)
    assert again.copy().loss == again.loss


def test_numbers_are_learned(tmp_path):
    network, (images, targets), history = fitted("mse", folder=tmp_path / "run")
    assert history.epochs[-1].loss < 0.2 * history.epochs[0].loss
    assert history.epochs[-1].validation_accuracy is None
    result = neocog.evaluate(network, (images, targets))
    assert result.loss == history.epochs[-1].validation_loss
    assert result.r2 > 0.8
    np.testing.assert_array_equal(network.predict(images), network.predict_scores(images))
    again = neocog.load(tmp_path / "run" / "last.safetensors")
    assert again.loss == "mse"
    np.testing.assert_array_equal(again.predict(images), network.predict(images))


@pytest.mark.parametrize("loss", LOSSES)
def test_a_run_is_continued_to_the_bit(loss):
    network, *data = with_targets(loss)
    settings = TrainingSettings(epochs=2, batch_size=6, optimizer=MOMENTUM, loss=loss)
    run = TrainingRun(network.copy(), tuple(data), settings)
    run.step(4)
    state = run.state()
    run.step()
    other = TrainingRun(network.copy(), tuple(data), settings)
    other.load_state(state)
    other.step()
    run.update_network()
    other.update_network()
    assert_same(other.network.state_dict(), run.network.state_dict())


def test_a_later_training_by_cross_entropy_gives_classes_again():
    network, (images, _), _ = fitted("mse", epochs=1)
    neocog.fit(network, (images, np.arange(COUNT) % CLASSES), epochs=1)
    assert network.loss == "cross-entropy"
    assert network.predict(images).shape == (COUNT,)


@pytest.mark.parametrize(
    ("loss", "labels", "message"),
    [
        ("cross-entropy", np.zeros((COUNT, CLASSES)), "labels must be one number for each image"),
        ("mse", np.zeros(COUNT, int), r"loss='mse' needs targets, float32 \[n, 4\]"),
        ("mse", np.zeros((COUNT, 3)), r"targets are \[58, 3\], but the network has 4 outputs"),
        ("mse", np.full((COUNT, CLASSES), np.nan), "targets must be finite"),
        ("binary-cross-entropy", np.full((COUNT, CLASSES), 2.0), "from 0 to 1, and go from 2 to 2"),
        ("binary-cross-entropy", np.zeros((COUNT, CLASSES), int), "labels.astype"),
    ],
)
def test_labels_that_do_not_fit(loss, labels, message):
    network, images, _ = small()
    with pytest.raises(DataError, match=message):
        neocog.fit(network, (images, labels), loss=loss)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": "hinge"}, "loss"),
        ({"loss": "mse", "label_smoothing": 0.1}, r"label_smoothing \(=0.1\) is for cross-entropy"),
        ({"loss": "mse", "class_weights": (1.0, 2.0)}, "class_weights"),
        ({"loss": "binary-cross-entropy", "balance": "sample"}, "balance"),
        ({"loss": "mse", "augmentation": Augmentation(mixup=0.2)}, "mixup"),
        ({"loss": "mse", "pos_weight": (1.0,)}, "pos_weight .* is for binary-cross-entropy"),
        ({"pos_weight": (1.0,)}, r"leave it out with loss='cross-entropy'"),
        ({"loss": "binary-cross-entropy", "pos_weight": (1.0, 0.0)}, "one for each output"),
        ({"loss": "mse", "monitor": "validation_accuracy"}, "has no accuracy"),
    ],
)
def test_settings_that_do_not_go_with_a_loss(settings, message):
    with pytest.raises(NeocogError, match=message):
        TrainingSettings(**settings)


def test_a_weight_for_each_output():
    network, images, targets = with_targets("binary-cross-entropy")
    with pytest.raises(NeocogError, match="pos_weight must be 4 numbers, one for each output"):
        neocog.fit(network, (images, targets), loss="binary-cross-entropy", pos_weight=[1, 2])


def test_what_is_for_classes_only():
    network, (images, targets), _ = fitted("binary-cross-entropy", epochs=1)
    with pytest.raises(NeocogError, match="this one was trained by binary-cross-entropy"):
        neocog.calibrate(network, (images, targets))
    with pytest.raises(NeocogError, match="labels must be one number"):
        neocog.evaluate(small()[0], (images, targets))


def test_a_run_of_an_earlier_version_had_cross_entropy():
    older = to_plain(TrainingSettings())
    del older["loss"]
    check_fixed_settings(older, to_plain(TrainingSettings()), TrainingSettings)
    with pytest.raises(NeocogError, match=r"loss \(was 'cross-entropy', is 'mse'\)"):
        check_fixed_settings(older, to_plain(TrainingSettings(loss="mse")), TrainingSettings)
