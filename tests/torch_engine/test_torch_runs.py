"""Whole trainings with PyTorch as the engine: `fit`, checkpoints, folders, and the command."""

import json
import os

import numpy as np
import pytest

import neocog
from neocog import EMA, AdamW, Augmentation, NeocogError, TrainingDivergedError
from neocog.data import Dataset
from neocog.layers import BatchNorm2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU
from neocog.settings.schedules import OneCycle
from neocog.training.run import TrainingRun

pytest.importorskip("torch")

CIFAR = os.environ.get("NEOCOG_DATA")
# All that lasts from one step to the next: means, averages, sums of batches, a schedule of momenta,
# dropout, mixup, and parameters that come to rest.
ALL = {
    "epochs": 3,
    "batch_size": 5,
    "accumulate": 2,
    "clip_norm": 1.0,
    "label_smoothing": 0.1,
    "optimizer": AdamW(0.01, eps=0.01),
    "schedule": OneCycle(),
    "averaging": EMA(0.9),
    "augmentation": Augmentation(flip="random", translate=1, mixup=0.2),
    "freeze_after": {"conv.*": 2},
    "log_every": 2,
    "threads": 1,
}


def network():
    return neocog.Network(
        input_shape=(3, 8, 8),
        conv=Conv2d(3, 8, 3, padding=1),
        bn=BatchNorm2d(8),
        relu=ReLU(),
        pool=MaxPool2d(2),
        drop=Dropout(0.3),
        flatten=Flatten(),
        fc=Linear(8 * 4 * 4, 4),
    )


def data(images=43):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (images, 8, 8, 3), dtype=np.uint8)
    return Dataset(pixels, rng.integers(0, 4, images))


def fit(net, engine="torch", **how):
    return neocog.fit(net, data(), engine=engine, **{**ALL, **how})


def assert_same_state(one, other):
    for name, value in one.state_dict().items():
        np.testing.assert_array_equal(value, other.state_dict()[name], err_msg=name)


def test_all_settings_give_what_neocogs_engine_gives():
    ours, theirs = network(), network()
    before, after = fit(ours, "neocog"), fit(theirs)
    np.testing.assert_allclose(after.losses, before.losses, atol=1e-4)
    assert [e.lr for e in after.epochs] == [e.lr for e in before.epochs]
    for name, value in ours.state_dict().items():
        np.testing.assert_allclose(theirs.state_dict()[name], value, atol=1e-4, err_msg=name)
    assert before.engine == "neocog's own on the CPU, as engine='neocog' asks for it"
    assert after.engine.startswith("PyTorch ")
    assert after.engine.endswith(" on the CPU, as engine='torch' asks for it")
    assert after.memory > 0


@pytest.mark.parametrize("steps", [1, 4, 7, 11])
def test_a_run_goes_on_exactly(steps):
    """From a checkpoint anywhere, also between two batches of a step, or where freezing begins."""
    settings = neocog.TrainingSettings(engine="torch", **ALL)
    whole, other, third = network(), network(), network()
    fit(whole)
    run = TrainingRun(other, data(), settings)
    taken = 0
    while taken < steps:
        if run.epoch_is_done:
            run.next_epoch()
        run.step(1)
        taken += 1
    if not run.epoch_is_done:
        run.step(1, watch=lambda done: True)  # pauses after some batches
    checkpoint = run.state()
    history = fit(third, resume=checkpoint)
    assert_same_state(whole, third)
    assert history.steps > 0


@pytest.mark.parametrize(("first", "then"), [("neocog", "torch"), ("torch", "neocog")])
def test_a_run_goes_on_with_the_other_engine(first, then, tmp_path):
    class Stops(neocog.Callback):
        def epoch_done(self, epoch, history):
            if epoch.epoch == 2:
                self.stop()

    whole, part = network(), network()
    fit(whole, first)
    fit(part, first, folder=tmp_path / "run", callback=Stops())
    history = neocog.fit(part, data(), resume=tmp_path / "run", engine=then)
    assert len(history.epochs) == 3
    assert history.engine.startswith("PyTorch" if then == "torch" else "neocog")
    for name, value in whole.state_dict().items():
        np.testing.assert_allclose(part.state_dict()[name], value, atol=1e-4, err_msg=name)
    info = json.loads((tmp_path / "run" / "run.json").read_text())
    assert info["engine"] == history.engine
    assert info["settings"]["engine"] == then


def test_precision_cannot_change_when_a_run_goes_on(tmp_path):
    fit(network(), folder=tmp_path / "run", epochs=1)
    with pytest.raises(NeocogError, match=r"precision \(was 'float32', is 'bf16'\)"):
        neocog.fit(network(), data(), resume=tmp_path / "run", epochs=3, precision="bf16")


def test_ctrl_c_ends_after_a_batch_and_it_goes_on_exactly():
    class Presses(neocog.Callback):
        def logged(self, entry):
            if (entry.epoch, entry.batch) == (2, 4):
                raise KeyboardInterrupt

    whole, part = network(), network()
    fit(whole)
    settings = neocog.TrainingSettings(engine="torch", **ALL)
    kept = []

    class Keeps(Presses):
        def begin(self, run):
            self.run = run

        def paused(self, history):
            kept.append(self.run.state())

    history = neocog.fit(part, data(), settings, callback=Keeps())
    assert history.interrupted
    fit(part, resume=kept[-1])
    assert_same_state(whole, part)


def test_a_training_that_diverges_says_where():
    with pytest.raises(TrainingDivergedError, match="Try a learning rate of"):
        fit(network(), optimizer=neocog.SGD(1e30), clip_norm=None, schedule="constant")


def test_sample_weights_balance_and_validation():
    how = {"balance": "weight", "label_smoothing": 0.0, "sample_weights": np.linspace(0, 1, 43)}
    ours, theirs = (
        fit(network(), engine, validation=data(9), **how) for engine in ("neocog", "torch")
    )
    for mine, its in zip(ours.epochs, theirs.epochs, strict=True):
        assert its.loss == pytest.approx(mine.loss, abs=1e-4)
        assert its.validation_loss == pytest.approx(mine.validation_loss, abs=1e-3)


def printed_losses(engine, train, **how):
    net = neocog.models.simple_cnn()
    how = {"seed": 0, "threads": 1, **how}
    return neocog.fit(net, train, neocog.Recipe.load("note"), engine=engine, **how).losses


@pytest.mark.skipif(not CIFAR, reason="NEOCOG_DATA does not name CIFAR-10")
def test_the_notes_losses():
    train = neocog.load_data("cifar10").train[:4000]
    ours, theirs = (
        printed_losses(engine, train, epochs=2, log_every=500) for engine in ("neocog", "torch")
    )
    assert len(ours) == 4
    np.testing.assert_allclose(theirs, ours, atol=0.001, rtol=0)


@pytest.mark.thorough
@pytest.mark.timeout(1800)  # 25,000 steps of PyTorch take a minute of a core that is often busy
@pytest.mark.skipif(not CIFAR, reason="NEOCOG_DATA does not name CIFAR-10")
def test_the_notes_thirty_losses():
    train = neocog.load_data("cifar10").train
    ours, theirs = (printed_losses(engine, train) for engine in ("neocog", "torch"))
    assert len(ours) == 30
    np.testing.assert_allclose(theirs, ours, atol=0.005, rtol=0)
