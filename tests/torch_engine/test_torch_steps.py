"""Ten steps by both engines: every optimizer, average, loss and weight, and all augmentation."""

import numpy as np
import pytest
from both_engines import (
    BATCH,
    CLASSES,
    COUNT,
    ORDER,
    SAMPLE_WEIGHTS,
    TorchTrainer,
    compare,
    data_for,
    small,
    trainers,
)
from engines import parts_of

from neocog import (
    EMA,
    SGD,
    Adagrad,
    Adam,
    AdamW,
    Augmentation,
    Lookahead,
    Muon,
    NeocogError,
    RMSprop,
)
from neocog.engine import Trainer
from neocog.layers import Conv2d, Flatten, Linear
from neocog.network import Network
from neocog.settings.optimizers import Group
from neocog.settings.training import TrainingSettings

BETAS = {"betas": (0.8, 0.95), "eps": 0.01}
OPTIMIZERS = {
    "plain": SGD(0.05),
    "momentum": SGD(0.05, momentum=0.9, weight_decay=0.01),
    "nesterov": SGD(0.05, momentum=0.9, nesterov=True),
    "adam": Adam(0.01, **BETAS, weight_decay=0.1),
    "adamw": AdamW(0.01, **BETAS),
    "adamw but for some": AdamW(0.01, **BETAS, groups=(Group("conv.*", weight_decay=0.0),)),
    "rmsprop": RMSprop(0.003, eps=0.01, weight_decay=0.1),
    "rmsprop with momentum": RMSprop(0.003, eps=0.01, momentum=0.9),
    "adagrad": Adagrad(0.03, lr_decay=0.1, eps=0.01, initial_accumulator_value=0.1),
    "muon": Muon(0.01),
    "muon renormalized": Muon(0.01, renormalize=True, adjust_lr_fn="match_rms_adamw", ns_steps=3),
    "muon plain": Muon(0.01, nesterov=False, rest=SGD(0.05, momentum=0.5)),
    "groups": SGD(0.05, groups=(Group("*.bias", lr=0.5), Group("conv.*", weight_decay=0.1))),
    "frozen": AdamW(0.01, **BETAS, groups=(Group("conv.*", frozen=True),)),
}
WEIGHTS = (1.0, 2.0, 0.5, 3.0)
SETTINGS = {
    "clipped": {"clip_norm": 0.3},
    "accumulated": {"accumulate": 3},
    "clipped and accumulated": {"clip_norm": 0.1, "accumulate": 4},
    "smooth": {"label_smoothing": 0.2},
    "weights of classes": {"class_weights": WEIGHTS, "label_smoothing": 0.1},
    "weights of images": {"sample_weights": SAMPLE_WEIGHTS},
    "all weights": {
        "class_weights": WEIGHTS,
        "label_smoothing": 0.1,
        "sample_weights": SAMPLE_WEIGHTS,
        "augmentation": Augmentation(mixup=0.4),
    },
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name):
    network = small()
    compare(*trainers(network, data_for(network), OPTIMIZERS[name]))


@pytest.mark.parametrize("name", SETTINGS)
def test_settings(name):
    network = small()
    compare(*trainers(network, data_for(network), **SETTINGS[name]))


@pytest.mark.parametrize(
    "optimizer", [SGD(0.05), SGD(0.05, momentum=0.5), Adam(0.01, **BETAS), Muon(0.01)]
)
def test_rates_and_momenta_of_a_schedule(optimizer):
    """A momentum comes, is zero for two steps, and goes on; one step has the optimizer's own."""
    rates = np.tile([0.5, 0.8, np.nan, 0.0], (10, 1))
    rates[:, 0] = np.linspace(0.1, 2, 10)
    rates[3:5, 1], rates[7, 1] = 0, np.nan
    network = small()
    compare(*trainers(network, data_for(network), optimizer, moves_momentum=True), rates)


@pytest.mark.parametrize("averaging", [EMA(0.8), Lookahead()])
def test_averages(averaging):
    rates = np.tile([1.0, np.nan, 0.8, 0.0], (10, 1))
    rates[0, 2], rates[3:5, 2] = 0, np.nan
    network = small()
    ours, theirs = trainers(network, data_for(network), averaging=averaging)
    compare(ours, theirs, rates)
    assert len(theirs.averages()) == 4


@pytest.mark.parametrize("loss", ["mse", "binary-cross-entropy"])
def test_losses_of_targets(loss):
    network = small()
    targets = np.random.default_rng(2).uniform(0, 1, (COUNT, CLASSES)).astype(np.float32)
    how = {"sample_weights": SAMPLE_WEIGHTS}
    if loss != "mse":
        how |= {"pos_weight": WEIGHTS, "augmentation": Augmentation(mixup=0.3)}
    compare(*trainers(network, (data_for(network)[0], targets), loss=loss, **how))


@pytest.mark.parametrize(
    "augmentation",
    [
        Augmentation(flip="random", translate=2, border="zero"),
        Augmentation(flip="alternating", cutout=3, jitter=(0.2, 0.3, 0.4)),
        Augmentation(mixup=0.4, rotate=20, trivial_augment=True),
    ],
)
def test_augmentation_shows_the_same_pictures(augmentation):
    network = small()
    ours, theirs = trainers(network, data_for(network), augmentation=augmentation)
    ours.epochs = theirs.epochs = 3
    compare(ours, theirs)


def test_crops_of_larger_pictures():
    network = small()
    data = data_for(network, size=(9, 11))
    compare(*trainers(network, data, augmentation=Augmentation(crop=(0.3, 1.0))))


@pytest.mark.parametrize("how", [{}, {"dropout_seed": 12345}, {"seed": -7}, {"accumulate": 3}])
def test_dropout_drops_the_same(how):
    network = small(0.4)
    data = data_for(network)
    ours, theirs = trainers(network, data, **how)
    ours.steps = theirs.steps = 5
    compare(ours, theirs)
    (_, without) = trainers(small(), data)
    assert np.abs(without.run(ORDER) - theirs.run(ORDER)).max() > 0.01


def test_a_run_can_be_of_some_batches_of_an_order():
    network = small(0.4)
    data = data_for(network)
    how = {"augmentation": Augmentation(mixup=0.4)}
    whole, parts = (trainers(network, data, **how)[1] for _ in range(2))
    losses = np.full(10, np.nan)
    for first, until in ((0, 3), (3, 4), (4, None)):
        parts.start(ORDER, losses, first=first, until=until).finish()
        done = parts.end()
        assert done == (until or 10)
        parts.finished(done, 10, first)
    np.testing.assert_array_equal(losses, whole.run(ORDER))
    for name, value in whole.state().items():
        np.testing.assert_array_equal(value, parts.state()[name])


def test_gradients_are_those_of_the_latest_step():
    network = small()
    ours, theirs = trainers(network, data_for(network))
    for trainer in (ours, theirs):
        trainer.run(ORDER[:BATCH])
    for name, value in ours.gradients().items():
        np.testing.assert_allclose(theirs.gradients()[name], value, atol=1e-6)


def test_a_loss_that_is_not_finite_moves_nothing():
    network = small()
    state = network.state_dict()
    state["fc.weight"][:] = np.inf
    network.load_state_dict(state)
    _, theirs = trainers(network, data_for(network))
    record = np.full(10, -np.inf)
    theirs.start(ORDER, record).finish()
    assert theirs.end() == 0
    assert np.isnan(record[0]) and (record[1:] == -np.inf).all()
    for name, value in theirs.state().items():
        np.testing.assert_array_equal(value, state[name])


def test_muon_refuses_convolutions_in_groups_as_neocogs_engine_does():
    network = Network(
        input_shape=(4, 5, 6),
        conv=Conv2d(4, 8, 3, groups=2),
        flatten=Flatten(),
        fc=Linear(8 * 3 * 4, CLASSES),
    )
    network.initialize(0)
    for trainer in (Trainer, TorchTrainer):
        with pytest.raises(NeocogError, match=r"Muon cannot move conv\.weight, which is not one"):
            trainer(*parts_of(network), *data_for(network), TrainingSettings(optimizer=Muon(0.01)))
