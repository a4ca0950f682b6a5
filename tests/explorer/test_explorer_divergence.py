"""Training in the explorer that diverges or fails."""

import json
import re

import numpy as np
import pytest
from explorer_networks import DATA, assert_same, fitted
from exploring import Listener, served

import neocog
from neocog.engines import make_trainer
from neocog.errors import TrainingDivergedError
from neocog.training.run import TrainingRun
from neocog.web.events import Events
from neocog.web.training import Training
from neocog.web.training_pace import TrainingPace


@pytest.mark.parametrize("running", [False, True])
def test_divergence(page, running):
    """A rate far too large: a clear message, and what was there before."""
    listener = Listener(page)
    for _ in range(3):
        page.do("/api/training/step")
    before = page.weights()
    page.do("/api/training", rate=1e6)
    if running:
        page.do("/api/training/start")
        listener.wait(lambda events: events[-1]["message"])
    else:
        # It may take a step or two until the loss is no number any more.
        for _ in range(5):
            kept, (status, reply) = page.weights(), page.post("/api/training/step")
            if status != 200:
                break
        assert status == 409
        assert reply["error"] == page.state()["message"]["text"]
        before = kept
    state = page.state()
    assert state["message"]["kind"] == "error"
    assert re.match(r"(The loss|A weight) became NaN or infinite", state["message"]["text"])
    assert "Try a tenth of the learning rate" in state["message"]["text"]
    assert state["training"]["running"] is False
    assert state["training"]["has_batch"] is False
    if running:
        # It was last settled at the beginning, or by a look at the test images just after.
        assert state["training"]["steps"] >= 3
    after = page.weights()
    assert all(np.isfinite(value).all() for value in after.values())
    if not running or state["training"]["steps"] == 3:
        assert_same(after, before)
    points = json.loads(page.get("/api/curve"))["points"]
    assert points[-1][0] <= state["training"]["steps"]
    # From there it goes on, as a new training would.
    page.do("/api/training/reset", seed=0)
    page.do("/api/training", rate=0.001)
    for _ in range(2):
        state = page.do("/api/training/step")
    assert state["message"] is None
    assert_same(page.weights(), fitted(2, new=True).state_dict())
    listener.leave()


def test_training_goes_on_after_divergence_without_its_velocity(network):
    training = Training(network, DATA.train, 0, 2, lambda kernels: None)
    training.take(1)
    training.settle()
    before = network.state_dict()
    training.rate = 1e30
    with pytest.raises(TrainingDivergedError, match=r"after step 2.* those of step 1 again"):
        training.take(3)
    assert (training.steps, training.latest) == (1, None)
    training.rate = 0.1
    training.take(1)
    training.settle()
    pull, after = training.gradients(), network.state_dict()
    for name, gradient in pull.items():
        np.testing.assert_allclose(after[name], before[name] - 0.1 * gradient, atol=1e-6)


def test_the_latest_batch_of_many_steps():
    found = []
    for counts in ([7], [1] * 7):
        network = neocog.models.simple_cnn()
        network.initialize(0)
        training = Training(network, DATA.train, 0, 2, lambda kernels: None)
        for count in counts:
            losses = training.take(count)
        assert training.latest_loss == losses[-1]
        found.append((training.latest.tolist(), training.gradients()))
    assert len(found[0][0]) == 4
    assert found[0][0] == found[1][0]
    assert_same(found[0][1], found[1][1])


def test_points_of_steps_that_were_lost_are_taken_away(network):
    now = [0.0]
    training = Training(network, DATA.train, 0, 2, lambda kernels: None)
    running = TrainingPace(network, training, DATA.test, 2, lambda: now[0])
    running.start()
    assert running.tick()  # settled, for a look at the test images
    settled = training.steps
    now[0] += 0.3
    assert running.tick()
    assert [p.steps for p in running.curve.points] == [settled, training.steps]
    training.rate = 1e30
    with pytest.raises(TrainingDivergedError):
        running.tick()
    running.give_up()
    assert [p.steps for p in running.curve.points] == [settled] == [training.steps]
    assert not running.is_on


def test_a_weight_that_is_no_number_is_never_settled(network):
    """The loss of a step is that before it: its own damage shows in the next one only."""
    training = Training(network, DATA.train, 0, 2, lambda kernels: None)
    before = network.state_dict()
    training.rate = 1e45
    training.take(1)
    with pytest.raises(TrainingDivergedError, match="A weight became NaN or infinite after step 1"):
        training.settle()
    assert_same(network.state_dict(), before)
    assert training.steps == 0
    training.settle()


def test_an_unexpected_failure_stops_training_and_nothing_else(page, monkeypatch, capfd):
    def broken(*_):
        raise MemoryError("no more")

    listener = Listener(page)
    page.do("/api/training/step")
    before = page.weights()
    monkeypatch.setattr(TrainingRun, "step", broken)
    page.do("/api/training/start")
    event = listener.wait(lambda events: events[-1]["message"])
    assert event["message"]["text"] == "Training stopped: MemoryError: no more"
    assert event["training"]["running"] is False
    status, reply = page.post("/api/training/step")
    assert (status, reply["error"]) == (500, "This should not happen: MemoryError: no more")
    assert_same(page.weights(), before)
    monkeypatch.undo()
    assert page.do("/api/training/step")["training"]["steps"] == 2
    assert "Traceback" in capfd.readouterr().err
    listener.leave()


def test_what_takes_long_is_said(network, monkeypatch):
    """The first step may wait for the compiler."""

    def compiling(*arguments, on_compile, **options):
        on_compile(9)
        return make_trainer(*arguments, on_compile=on_compile, **options)

    told = []
    tell = Events.tell

    def recorded(self, event):
        told.append(json.loads(event)["activity"])
        tell(self, event)

    monkeypatch.setattr("neocog.training.run.make_trainer", compiling)
    monkeypatch.setattr(Events, "tell", recorded)
    with served(network, DATA) as page:
        assert page.do("/api/training/step")["activity"] is None
        compiling = "Compiling 9 kernels for this network (first time only) …"
        assert [activity for activity in told if activity] == [compiling]
        assert told[-1] is None
        page.get("/api/explanation")
        assert "Preparing the explanation" in told[-2]
        assert told[-1] is None
