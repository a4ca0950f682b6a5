"""Every way to train, for any number of threads and from where it was."""

import numpy as np
import pytest
from trainer_by_torch import BATCH, COUNT, ORDER, STEPS, STILL, assert_same, small, trainer_of

import neocog
from neocog import SGD, Adam
from neocog.settings.augmentation import Augmentation
from neocog.settings.averaging import EMA, Lookahead
from neocog.settings.optimizers import Adagrad, AdamW, Group, Muon, RMSprop
from neocog.settings.schedules import OneCycle
from neocog.training.rates import rates_of_run

# All of them, for any number of threads and from where they were
WAYS = {
    "adamw": {"optimizer": AdamW(0.01)},
    "rmsprop": {"optimizer": RMSprop(0.001, momentum=0.9, weight_decay=0.1)},
    "adagrad": {"optimizer": Adagrad(0.01)},
    "muon": {"optimizer": Muon(0.02, rest=SGD(0.05, momentum=0.9)), "clip_norm": 0.5},
    "muon, averaged": {"optimizer": Muon(0.02, rest=Adam(0.01)), "averaging": "lookahead"},
    "clipped": {"optimizer": SGD(0.05, momentum=0.9, nesterov=True), "clip_norm": 0.5},
    "accumulated": {"optimizer": SGD(0.05, momentum=0.9), "accumulate": 3},
    "averaged": {"optimizer": SGD(0.05), "averaging": "ema"},
    "augmented": {
        "optimizer": SGD(0.05),
        "augmentation": Augmentation("random", 2, "reflect", 2, (0.2, 0.3, 0.4), 0.4),
        "label_smoothing": 0.1,
    },
    "dropout": {"optimizer": SGD(0.05, momentum=0.9), "dropout": 0.5},
    "everything": {
        "optimizer": Adam(0.01, groups=(Group("conv.bias", frozen=True),)),
        "augmentation": Augmentation("alternating", 1, "zero", 3, (0.1, 0.1, 0.1), 1.0),
        "label_smoothing": 0.1,
        "class_weights": np.array([0.5, 2.0, 0.25, 1.0], np.float32),
        "sample_weights": np.random.default_rng(2).uniform(0, 2, COUNT),
        "clip_norm": 0.5,
        "accumulate": 2,
        "averaging": "lookahead",
        "dropout": 0.2,
        "moves_momentum": True,
    },
}


@pytest.mark.parametrize("name", WAYS)
def test_ways_to_train_depend_on_no_threads_and_go_on_where_they_were(name):
    how = dict(WAYS[name])
    dropout = how.pop("dropout", None)
    averaging = {"ema": EMA(0.8), "lookahead": Lookahead(2)}.get(how.get("averaging"))
    table = rates_of_run(OneCycle(), averaging, 0, 2 * STEPS, 2 * STEPS)
    results, half = [], None
    for threads in (2, 1, 3):
        data = small(dropout)
        trainer = trainer_of(data, threads=threads, seed=5, **how)
        losses = trainer.run(ORDER, table[:STEPS])
        if half is None:
            half = trainer.state(), trainer.optimizer_state(), trainer.steps, trainer.epochs
        losses = np.concatenate([losses, trainer.run(ORDER[::-1], table[STEPS:])])
        results.append(({"": losses}, trainer.state(), trainer.optimizer_state()))
    for result in results[1:]:
        for found, first in zip(result, results[0], strict=True):
            assert_same(found, first)
    assert len(np.unique(results[0][0][""])) == 2 * STEPS

    resumed = trainer_of(small(dropout, seed=1)[:1] + data[1:], threads=2, seed=5, **how)
    resumed.run(ORDER[:BATCH], table[:1])  # something to overwrite
    resumed.set_state(half[0])
    resumed.set_optimizer_state(half[1])
    resumed.steps, resumed.epochs = half[2:]
    losses = resumed.run(ORDER[::-1], table[STEPS:])
    np.testing.assert_array_equal(losses, results[0][0][""][STEPS:])
    assert_same(resumed.state(), results[0][1])
    assert_same(resumed.optimizer_state(), results[0][2])
    assert resumed.steps == trainer.steps


def test_a_loss_that_is_not_finite_ends_every_way_before_its_update():
    data = small()
    for how in ({"clip_norm": 1.0}, {"accumulate": 2}, {"averaging": "ema"}):
        trainer = trainer_of(data, SGD(0.01), **how)
        broken = trainer.state()
        broken["fc.bias"][0] = np.inf
        trainer.set_state(broken)
        assert len(trainer.run(ORDER)) == 0
        assert_same(trainer.state(), broken)


# What a network shows is what it uses


def test_preprocessing_set_during_a_training_is_refused():
    """The rest of the training would not use it, and all predictions would."""

    class Setting(neocog.Callback):
        def epoch_done(self, epoch, history):
            if epoch.epoch == self.at:
                network.preprocessing = other

    other = neocog.Preprocessing((0.4, 0.4, 0.4), (0.2, 0.2, 0.2))
    network, images, labels = small()
    data = neocog.data.Dataset(images, labels)
    callback = Setting()
    how = {"epochs": 2, "batch_size": BATCH, "threads": 1, "optimizer": STILL, "callback": callback}
    callback.at = 2  # when all is done
    neocog.fit(network, data, **how)
    assert network.preprocessing == other
    callback.at, other = 1, neocog.Preprocessing()
    with pytest.raises(neocog.NeocogError, match="preprocessing was set to another while it tr"):
        neocog.fit(network, data, **how)
