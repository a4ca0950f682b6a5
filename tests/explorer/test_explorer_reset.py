"""Resetting the explorer's network, and undoing it."""

import json

import numpy as np
from explorer_networks import DATA, assert_same, fitted, predicted
from exploring import Listener

import neocog
from neocog.engine import Trainer
from neocog.random.torch_stream import TorchStream
from neocog.settings.training import TrainingSettings
from neocog.web import training as training_module
from neocog.web.undo import Saved, UndoHistory


def test_reset(page, network):
    opened = page.weights()
    page.do("/api/training/step")
    page.do("/api/weight", name="fc.bias", index=[0], value=3)
    state = page.do("/api/training/reset", seed=7)
    assert state["training"]["steps"] == state["training"]["epoch"] == 0
    assert state["curve"]["count"] == 0
    assert state["changes"] == 0
    fresh = neocog.models.simple_cnn()
    fresh.initialize(7)
    assert_same(page.weights(), fresh.state_dict())
    # Nothing of what was before is remembered, also not by the optimizer.
    for _ in range(3):
        page.do("/api/training/step")
    assert_same(page.weights(), fitted(3, seed=7, new=True).state_dict())
    page.do("/api/training/reset", seed=None)
    assert_same(page.weights(), opened)


def test_a_reset_can_be_undone(page):
    """All is as before: weights, velocity, the order of images, curve and changed weights."""
    assert page.state()["undo"] is None
    assert "no reset" in page.refused("/api/training/undo", 409)
    for _ in range(3):
        page.do("/api/training/step")
    curve = json.loads(page.get("/api/curve"))["points"]
    # Of several resets only those count that lost something.
    for seed in (7, 8, None):
        state = page.do("/api/training/reset", seed=seed)
        assert state["undo"] == {"steps": 3, "changes": 0}
    page.do("/api/weight", name="fc.bias", index=[0], value=3)
    changed = page.weights()
    state = page.do("/api/training/undo")
    assert (state["training"]["steps"], state["training"]["epoch"]) == (3, 1)
    assert json.loads(page.get("/api/curve"))["points"] == curve
    assert_same(page.weights(), fitted(3).state_dict())
    np.testing.assert_array_equal(
        np.float32(predicted(page)), fitted(3).predict_proba(DATA.test.images[:1])[0]
    )
    # What there was in the meantime comes back in its turn.
    assert state["undo"] == {"steps": 0, "changes": 1}
    state = page.do("/api/training/undo")
    assert (state["training"]["steps"], state["changes"]) == (0, 1)
    assert_same(page.weights(), changed)
    page.do("/api/training/undo")
    page.do("/api/training", batch_size=8)
    page.do("/api/training", batch_size=4)
    for _ in range(2):
        page.do("/api/training/step")
    assert_same(page.weights(), in_two_epochs(3, 2))


def in_two_epochs(first: int, second: int) -> dict[str, np.ndarray]:
    """The weights after steps of the first epoch, and then of the second, with one velocity."""
    network = neocog.models.simple_cnn()
    network.initialize(0)
    settings = TrainingSettings(optimizer=neocog.SGD(0.001, momentum=0.9), threads=2)
    parts = network.graph, network.state_dict(), network.preprocessing
    trainer = Trainer(*parts, DATA.train.images, DATA.train.labels, settings)
    stream = TorchStream(0)
    for steps in (first, second):
        trainer.run(stream.epoch_order(len(DATA.train))[: 4 * steps])
    return trainer.state()


def test_a_reset_keeps_the_steps_that_were_not_settled_yet(page):
    listener = Listener(page)
    page.do("/api/training/start")
    listener.wait(lambda events: events[-1]["training"]["steps"] > 20)
    state = page.do("/api/training/reset", seed=1)
    steps = state["undo"]["steps"]
    assert steps > 20
    state = page.do("/api/training/undo")
    assert (state["training"]["running"], state["training"]["steps"]) == (False, steps)
    assert_same(page.weights(), fitted(steps).state_dict())
    listener.leave()


def test_only_so_much_is_kept_for_undoing(monkeypatch):
    def saved(steps, kind=np.float32):
        array = np.zeros(10, kind)
        snapshot = training_module.Snapshot({"w": array}, None, TrainingSettings(), steps)
        return Saved({"w": array}, snapshot, (), ())

    history = UndoHistory()
    for steps in range(20):
        history.put(saved(steps))
    found = [history.swap(saved(100)).training.steps for _ in range(9)]
    assert found == [19, 18, 17, 16, 15, 14, 13, 12, 100]
    monkeypatch.setattr("neocog.web.undo._MOST_BYTES", 100)
    history.put(saved(50))
    history.put(saved(51, np.float64))
    assert history.swap(saved(0)).training.steps == 51
    assert history.latest is None


def test_reset_stops_a_training(page):
    listener = Listener(page)
    page.do("/api/training/start")
    listener.wait(lambda events: events[-1]["training"]["steps"] > 20)
    state = page.do("/api/training/reset", seed=1)
    assert (state["training"]["running"], state["training"]["steps"]) == (False, 0)
    listener.leave()
