"""Training in the explorer: its steps are those of `fit`, with the settings of now."""

import base64
import io
import json

import numpy as np
from explorer_networks import CLOSE, DATA, assert_same, fitted
from exploring import Listener, at, served
from PIL import Image

import neocog
from neocog import reference
from neocog.data import Dataset
from neocog.web import explorer as explorer_module
from neocog.web.events import Events
from neocog.web.training_pace import first_images

# Training


def test_steps_are_those_of_fit(page):
    losses = [page.do("/api/training/step")["result"]["loss"] for _ in range(5)]
    assert_same(page.weights(), fitted(5).state_dict())
    state = page.state()
    assert state["training"]["steps"] == 5
    curve = json.loads(page.get("/api/curve"))
    assert [point[0] for point in curve["points"]] == [1, 2, 3, 4, 5]
    assert [point[1] for point in curve["points"]] == losses


def test_a_new_network_begins_as_fit_lets_it():
    with served(neocog.models.simple_cnn(), DATA, seed=5) as page:
        for _ in range(3):
            page.do("/api/training/step")
        assert_same(page.weights(), fitted(3, seed=5, new=True).state_dict())


def test_no_more_threads_than_cores(network, monkeypatch):
    """Others would only make the rest wait."""
    asked = []

    def predict_proba(self, images, *, threads):
        asked.append(threads)
        return np.full((len(images), 10), 0.1, np.float32)

    monkeypatch.setattr("neocog.engine.cores.cores", lambda: 3)
    monkeypatch.setattr("neocog.engine.cores.available_threads", lambda: 2)
    monkeypatch.setattr(neocog.Network, "predict_proba", predict_proba)
    for threads in (64, 1, None):
        explorer_module.Explorer(network, None, "mine", Events(), threads=threads)
    assert asked == [3, 1, 2]


def test_steps_go_over_the_end_of_an_epoch(page):
    """600 images in batches of 256 are three, the last one of 88."""
    page.do("/api/training", batch_size=256)
    epochs, sizes = [], []
    for _ in range(5):
        epochs.append(page.do("/api/training/step")["training"]["epoch"])
        sizes.append(len(page.binary("/api/batch")[0]["indices"]))
    assert epochs == [1, 1, 1, 2, 2]
    assert sizes == [256, 256, 88, 256, 256]
    assert_same(page.weights(), fitted(5, batch_size=256).state_dict())


def test_training_runs_and_pauses(page):
    listener = Listener(page)
    page.do("/api/training", rate=0.01, batch_size=16)
    assert page.do("/api/training/start")["training"]["running"] is True
    newest = listener.wait(lambda events: events[-1]["training"]["steps"] >= 300)
    # Also in the midst of it there is an explanation.
    structure, _ = page.binary("/api/explanation")
    assert structure["live"]["steps"] >= newest["training"]["steps"]
    paused = page.do("/api/training/pause")
    assert paused["training"]["running"] is False
    steps = paused["training"]["steps"]
    # Each thing that is asked for could be followed by a moment of training.
    page.do("/api/label", label=1)
    assert page.do("/api/label", label=2)["training"]["steps"] == steps
    assert paused["prediction"]["steps"] == steps

    curve = json.loads(page.get("/api/curve"))["points"]
    assert curve[-1][0] == steps
    assert curve[-1][1] < 0.75 * curve[0][1]
    assert [p[0] for p in curve] == sorted({p[0] for p in curve})
    measured = [p[2] for p in curve if p[2] is not None]
    assert measured
    assert all(0 <= p <= 1 and abs(50 * p - round(50 * p)) < 1e-9 for p in measured)
    assert all(p[3] > 0 for p in curve)
    # All these moments are the steps of one training.
    assert_same(page.weights(), fitted(steps, batch_size=16, rate=0.01).state_dict())
    listener.leave()


def test_the_accuracy_is_that_of_the_test_images(page):
    listener = Listener(page)
    page.do("/api/training/start")
    event = listener.wait(lambda events: events[-1]["curve"]["last"])
    page.do("/api/training/pause")
    steps, _, accuracy, _ = next(
        point for point in json.loads(page.get("/api/curve"))["points"] if point[2] is not None
    )
    assert event["curve"]["last"][0] >= steps
    assert accuracy == neocog.evaluate(fitted(steps), DATA.test).accuracy
    listener.leave()


def test_rate_momentum_and_batch_size_hold_from_the_next_step_on(page):
    """By hand: v ← μ v + g, w ← w − η v, also when the program is another."""
    before = page.weights()
    page.do("/api/training", rate=0.05, momentum=0.0, batch_size=8)
    page.do("/api/training/step")
    first, between = gradients(page), page.weights()
    page.do("/api/training", rate=0.2, momentum=0.5, batch_size=12)
    state = page.do("/api/training/step")
    assert state["training"] | {"epoch": 1} == {
        "running": False,
        "steps": 2,
        "epoch": 1,
        "rate": 0.2,
        "momentum": 0.5,
        "batch_size": 12,
        "has_batch": True,
    }
    second, after = gradients(page), page.weights()
    assert len(page.binary("/api/batch")[0]["indices"]) == 12
    for name in ("conv1.weight", "conv1.bias", "fc.bias"):
        assert np.abs(first[name]).max() > 1e-3
        np.testing.assert_allclose(between[name], before[name] - 0.05 * first[name], atol=1e-7)
        expected = between[name] - 0.2 * (0.5 * first[name] + second[name])
        np.testing.assert_allclose(after[name], expected, atol=1e-6)


def gradients(page):
    structure, block = page.binary("/api/batch")
    return {
        name: at(found["values"], block)
        for name, found in structure["gradients"].items()
        if found["values"] is not None
    }


def test_the_batch_is_the_one_that_was_learned(page):
    weights = page.weights()
    loss = page.do("/api/training/step")["result"]["loss"]
    structure, block = page.binary("/api/batch")
    chosen = structure["indices"]
    images, labels = DATA.train.images[chosen], DATA.train.labels[chosen]
    assert structure["steps"] == 1
    assert structure["labels"] == labels.tolist()
    assert structure["loss"] == loss

    shown = structure["images"]
    assert (shown["shown"], shown["columns"], shown["height"], shown["width"]) == (4, 2, 32, 32)
    kind, _, content = shown["png"].partition(",")
    assert kind == "data:image/png;base64"
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))
    assert sheet.shape == (64, 64, 3)
    for n, image in enumerate(images):
        top, left = 32 * (n // 2), 32 * (n % 2)
        np.testing.assert_array_equal(sheet[top : top + 32, left : left + 32], image)

    x = reference.preprocess(images, (0.5,) * 3, (0.5,) * 3)
    exact = {name: value.astype(np.float64) for name, value in weights.items()}
    mean, expected, _ = reference.backward(neocog.models.simple_cnn(), exact, x, labels)
    assert abs(loss - mean) < CLOSE
    assert structure["gradients"].keys() == expected.keys()
    for name, gradient in expected.items():
        found = structure["gradients"][name]
        assert found["shape"] == list(gradient.shape)
        assert abs(found["norm"] - np.linalg.norm(gradient)) < CLOSE * np.linalg.norm(gradient)
        if gradient.size > 20_000:
            assert found["values"] is None
        else:
            np.testing.assert_allclose(at(found["values"], block), gradient, atol=CLOSE)


def test_a_large_batch_shows_its_first_images(page):
    page.do("/api/training", batch_size=300)
    page.do("/api/training/step")
    structure, _ = page.binary("/api/batch")
    assert len(structure["indices"]) == 300
    assert (structure["images"]["shown"], structure["images"]["columns"]) == (256, 16)


def test_without_data_there_is_no_training(network):
    with served(network, None) as page:
        state = page.state()
        assert (state["training"], state["curve"], state["network"]["data"]) == (None, None, None)
        expected = "There are no data to train on. Start neocog explore with --data."
        for path in ("start", "pause", "step"):
            assert page.refused(f"/api/training/{path}", 409) == expected
        assert page.refused("/api/training", 409, rate=1) == expected
        assert "no images to choose from" in page.refused("/api/picture", 409, index=0)
        assert page.send("GET", "/api/batch")[0] == page.send("GET", "/api/curve")[0] == 409
        # All else works.
        assert page.do("/api/weight", name="fc.bias", index=[0], value=9)["changes"] == 1
        assert page.do("/api/training/reset", seed=None)["changes"] == 0
        assert_same(page.weights(), network.state_dict())
        assert page.binary("/api/explanation")[0]["live"]["steps"] == 0


# Its parts


def test_a_large_network_is_tested_on_fewer_images():
    many = Dataset(np.zeros((1500, 32, 32, 3), np.uint8), np.zeros(1500, np.int64))
    assert len(first_images(neocog.models.simple_cnn(), many)) == 1000
    assert 100 <= len(first_images(neocog.models.resnet18(), many)) < 400
    assert len(first_images(neocog.models.simple_cnn(), many[:30])) == 30
