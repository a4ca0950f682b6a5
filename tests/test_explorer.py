"""The explorer over HTTP: what it shows, how it learns, and that nothing is lost."""

import base64
import io
import json
import re
import threading

import numpy as np
import pytest
from exploring import PATIENCE, Listener, Page, at, png, served, unpacked
from PIL import Image

import neocog
from neocog import reference
from neocog.data import Dataset
from neocog.data.shapes import shapes
from neocog.engine import Trainer
from neocog.errors import TrainingDivergedError
from neocog.explanation.explanation import explain
from neocog.explanation.page.payload import pack
from neocog.random.torch_stream import TorchStream
from neocog.trained_on import trained_on
from neocog.web import explorer as explorer_module
from neocog.web import training as training_module
from neocog.web.curve import Curve, Point
from neocog.web.events import Events
from neocog.web.refusal import RefusedError
from neocog.web.training import Training
from neocog.web.training_pace import TrainingPace, first_images
from neocog.web.undo import Saved, UndoHistory
from neocog.web.worker_thread import WorkerThread

DATA = shapes(0, 600, 50)
# Of numbers about 1 that are sums of some thousand products in float32.
CLOSE = 2e-5


@pytest.fixture
def network() -> neocog.Network:
    network = neocog.models.simple_cnn()
    network.initialize(0)
    return network


@pytest.fixture
def page(network):
    with served(network, DATA) as page:
        yield page


def predicted(page: Page) -> list[float]:
    return page.state()["prediction"]["probabilities"]


def by_formula(weights, image, label=None):
    """Probabilities of one image by the reference, in float64."""
    network = neocog.models.simple_cnn()
    x = reference.preprocess(image[None], (0.5,) * 3, (0.5,) * 3)
    exact = {name: value.astype(np.float64) for name, value in weights.items()}
    return reference.softmax(reference.forward(network, exact, x)["fc"])[0]


def fitted(steps: int, batch_size=4, rate=0.001, momentum=0.9, seed=0, new=False) -> neocog.Network:
    """What the public function makes of so many steps, of a network with or without weights."""
    network = neocog.models.simple_cnn()
    if not new:
        network.initialize(seed)
    whole = -(-len(DATA.train) // batch_size)
    optimizer = neocog.SGD(rate, momentum)
    neocog.fit(
        network,
        DATA.train,
        epochs=steps / whole,
        batch_size=batch_size,
        optimizer=optimizer,
        seed=seed,
    )
    return network


def assert_same(weights, expected):
    assert weights.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(weights[name], value, err_msg=name)


# The picture


def test_at_first_it_shows_the_first_test_image(page, network):
    state = page.state()
    assert state["picture"] | {"number": 0} == {
        "number": 0,
        "source": "test",
        "index": 0,
        "label": int(DATA.test.labels[0]),
    }
    np.testing.assert_array_equal(
        np.float32(predicted(page)), network.predict_proba(DATA.test.images[:1])[0]
    )
    about = state["network"]
    assert about["name"] == "simple-cnn"
    assert about["input_shape"] == [3, 32, 32]
    assert about["classes"] == list(DATA.classes)
    expected = {"name": "shapes", "train": 600, "held_out": 50, "part": "test"}
    assert about["data"] == expected
    assert {k: tuple(v) for k, v in about["parameters"].items()} == network.parameter_shapes
    assert state["training"] == {
        "running": False,
        "steps": 0,
        "epoch": 0,
        "rate": 0.001,
        "momentum": 0.9,
        "batch_size": 4,
        "has_batch": False,
    }


def test_test_images_are_chosen(page, network):
    state = page.do("/api/picture", index=7)
    assert state["picture"]["index"] == 7
    assert state["picture"]["label"] == DATA.test.labels[7]
    expected = network.predict_proba(DATA.test.images[7:8])[0]
    np.testing.assert_array_equal(np.float32(state["prediction"]["probabilities"]), expected)

    def moved(where):
        return page.do("/api/picture", move=where)["picture"]["index"]

    assert [moved("next"), moved("next"), moved("previous")] == [8, 9, 8]
    page.do("/api/picture", index=49)
    assert [moved("next"), moved("previous")] == [0, 49]
    assert len({moved("random") for _ in range(40)}) > 5


def test_an_uploaded_picture_of_the_networks_size_is_taken_as_it_is(page, network):
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    status, state = page.upload(png(image))
    assert status == 200
    assert (state["picture"]["source"], state["picture"]["label"]) == ("upload", None)
    assert state["picture"]["index"] is None
    expected = network.predict_proba(image[None])[0]
    np.testing.assert_array_equal(np.float32(state["prediction"]["probabilities"]), expected)
    # It stays while the network learns.
    page.do("/api/training/step")
    structure, _ = page.binary("/api/explanation")
    assert page.state()["picture"]["source"] == "upload"
    assert structure["label"] == int(np.argmax(predicted(page)))


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (Image.new("RGB", (900, 7), "red"), "PNG"),
        (Image.new("L", (33, 257), 100), "PNG"),
        (Image.new("LA", (20, 20), (100, 7)), "PNG"),
        (Image.new("RGBA", (64, 48), (9, 8, 7, 100)), "WEBP"),
        (Image.new("P", (20, 20)), "GIF"),
        (Image.new("1", (20, 20)), "PNG"),
        (Image.new("I;16", (40, 30), 30_000), "PNG"),
        (Image.new("CMYK", (40, 30)), "JPEG"),
        (Image.new("RGB", (1, 1)), "BMP"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.mode} {value.size}",
)
def test_pictures_of_other_sizes_and_channels(page, image, kind):
    status, state = page.upload(png(image, kind))
    assert status == 200, state
    assert state["picture"]["source"] == "upload"
    assert abs(sum(state["prediction"]["probabilities"]) - 1) < 1e-5
    assert unpacked(page.get("/api/explanation"))[0]["live"]["steps"] == 0


def test_a_broken_picture_leaves_the_one_before(page):
    page.do("/api/picture", index=3)
    before = page.state()
    assert page.upload(b"GIF89a nonsense")[0] == 400
    assert page.state() == before


def test_a_gray_network_gets_gray_pictures():
    network = neocog.models.lenet5()
    network.initialize(0)
    side = network.input_shape[1]
    with served(network, None) as page:
        assert page.state()["picture"]["source"] == "none"
        red = np.zeros((side, side, 3), np.uint8)
        red[..., 0] = 200
        status, state = page.upload(png(red))
        assert status == 200
        gray = np.asarray(Image.fromarray(red).convert("L"))[None, ..., None]
        found = np.float32(state["prediction"]["probabilities"])
        np.testing.assert_array_equal(found, network.predict_proba(gray)[0])


def test_labels(page):
    assert page.do("/api/label", label="star")["picture"]["label"] == 5
    assert page.do("/api/label", label=2)["picture"]["label"] == 2
    assert page.binary("/api/explanation")[0]["label"] == 2
    message = page.refused("/api/label", label="stair")
    assert message == f"There is no class 'stair'. Known: {', '.join(DATA.classes)}."
    assert page.state()["picture"]["label"] == 2
    assert page.do("/api/label", label=None)["picture"]["label"] is None
    assert page.binary("/api/explanation")[0]["label"] == int(np.argmax(predicted(page)))


# The explanation


def test_the_explanation_is_that_of_the_parameters_of_now(page, network):
    page.do("/api/picture", index=4)
    for steps in (0, 1):
        structure, block = page.binary("/api/explanation")
        now = neocog.models.simple_cnn()
        now.load_state_dict(page.weights())
        expected = explain(now, DATA.test.images[4], int(DATA.test.labels[4]))
        assert structure["live"] == {
            "steps": steps,
            "picture": page.state()["picture"]["number"],
        }
        assert structure["loss"] == expected.loss
        layers = {layer["name"]: layer for layer in structure["layers"]}
        np.testing.assert_array_equal(
            at(layers["conv1"]["output"], block), expected["conv1"].output
        )
        page.do("/api/training/step")


def test_the_explanation_of_one_state_is_made_once(page, monkeypatch):
    calls = []

    def counted(*arguments):
        calls.append(arguments)
        return explain(*arguments)

    monkeypatch.setattr(explorer_module, "explain", counted)
    first = page.get("/api/explanation")
    assert page.get("/api/explanation") == first
    assert len(calls) == 1
    for path, fields in [
        ("/api/label", {"label": 1}),
        ("/api/picture", {"index": 9}),
        ("/api/training/step", {}),
        ("/api/weight", {"name": "fc.bias", "index": [0], "value": 2}),
        ("/api/weight/back", {}),
        ("/api/training/reset", {"seed": 3}),
        ("/api/training/reset", {"seed": 4}),
    ]:
        page.do(path, **fields)
        made = len(calls)
        page.get("/api/explanation")
        assert len(calls) == made + 1, path


def test_the_channels_that_are_shown_stay_those_of_the_picture(page, network):
    """Of a layer with more than are shown, and in their order, while the weights change."""

    def shown():
        structure, _ = page.binary("/api/explanation")
        return {layer["name"]: layer["shown"] for layer in structure["layers"]}

    first = shown()
    page.do("/api/training", rate=0.05)
    for _ in range(5):
        page.do("/api/training/step")
    assert shown() == first
    now = neocog.models.simple_cnn()
    now.load_state_dict(page.weights())
    image, label = DATA.test.images[0], int(DATA.test.labels[0])
    packed = pack(explain(now, image, label), attributions=False)
    others = {layer["name"]: layer["shown"] for layer in packed.structure["layers"]}
    assert others != first
    page.do("/api/picture", index=0)
    assert shown() == others


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
    assert_same(page.weights(), fitted(5).state_dict())


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
        snapshot = training_module.Snapshot(
            {"w": array}, {}, TorchStream(0), np.zeros(0, np.int64), 0, 1, steps
        )
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
    training = Training(network, DATA.train, TorchStream(0), 2, lambda kernels: None)
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
        training = Training(network, DATA.train, TorchStream(0), 2, lambda kernels: None)
        for count in counts:
            losses = training.take(count)
        assert training.latest_loss == losses[-1]
        found.append((training.latest.tolist(), training.gradients()))
    assert len(found[0][0]) == 4
    assert found[0][0] == found[1][0]
    assert_same(found[0][1], found[1][1])


def test_points_of_steps_that_were_lost_are_taken_away(network):
    now = [0.0]
    training = Training(network, DATA.train, TorchStream(0), 2, lambda kernels: None)
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
    training = Training(network, DATA.train, TorchStream(0), 2, lambda kernels: None)
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
    monkeypatch.setattr(Trainer, "run", broken)
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

    class Compiling(Trainer):
        def __init__(self, *arguments, on_compile, **options):
            on_compile(9)
            super().__init__(*arguments, **options)

    told = []
    tell = Events.tell

    def recorded(self, event):
        told.append(json.loads(event)["activity"])
        tell(self, event)

    monkeypatch.setattr(training_module, "Trainer", Compiling)
    monkeypatch.setattr(Events, "tell", recorded)
    with served(network, DATA) as page:
        assert page.do("/api/training/step")["activity"] is None
        compiling = "Compiling 9 kernels for this network (first time only) …"
        assert [activity for activity in told if activity] == [compiling]
        assert told[-1] is None
        page.get("/api/explanation")
        assert "Preparing the explanation" in told[-2]
        assert told[-1] is None


def test_without_data_there_is_no_training(network):
    with served(network, None) as page:
        state = page.state()
        assert (state["training"], state["curve"], state["network"]["data"]) == (None, None, None)
        expected = "There are no data to train on. Start neocog explore with --data."
        for path in ("start", "pause", "step"):
            assert page.refused(f"/api/training/{path}", 409) == expected
        assert page.refused("/api/training", 409, rate=1) == expected
        assert "no data" in page.refused("/api/picture", 409, index=0)
        assert page.send("GET", "/api/batch")[0] == page.send("GET", "/api/curve")[0] == 409
        # All else works.
        assert page.do("/api/weight", name="fc.bias", index=[0], value=9)["changes"] == 1
        assert page.do("/api/training/reset", seed=None)["changes"] == 0
        assert_same(page.weights(), network.state_dict())
        assert page.binary("/api/explanation")[0]["live"]["steps"] == 0


# Weights and kernels


def test_a_changed_weight_changes_the_prediction_as_by_hand(page):
    weights, image = page.weights(), DATA.test.images[0]
    before = predicted(page)
    np.testing.assert_allclose(before, by_formula(weights, image), atol=CLOSE)
    state = page.do("/api/weight", name="conv1.weight", index=[3, 1, 0, 2], value=-1.5)
    weights["conv1.weight"][3, 1, 0, 2] = -1.5
    after = state["prediction"]["probabilities"]
    np.testing.assert_allclose(after, by_formula(weights, image), atol=CLOSE)
    assert np.abs(np.subtract(after, before)).max() > 100 * CLOSE
    assert_same(page.weights(), weights)
    assert state["changes"] == 1
    result = state["result"]
    assert (result["before"], result["after"], result["value"]) == (before, after, -1.5)


def test_changed_weights_are_taken_back_one_after_another(page):
    original, first = page.weights(), predicted(page)
    old = float(original["fc.bias"][2])
    page.do("/api/weight", name="fc.bias", index=[2], value=4)
    state = page.do("/api/weight", name="fc.bias", index=[2], value=0.1)
    assert state["changes"] == 2
    assert (state["result"]["old"], state["result"]["value"]) == (4, float(np.float32(0.1)))
    assert page.do("/api/weight/back")["result"]["value"] == 4
    state = page.do("/api/weight/back")
    assert (state["result"]["old"], state["result"]["value"], state["changes"]) == (4, old, 0)
    assert state["prediction"]["probabilities"] == first
    assert_same(page.weights(), original)
    page.refused("/api/weight/back", 409)


def test_training_goes_on_from_a_changed_weight(page):
    page.do("/api/training/step")  # so that there is a trainer
    page.do("/api/training", rate=0)
    page.do("/api/weight", name="conv1.bias", index=[5], value=2.5)
    changed = page.weights()
    state = page.do("/api/training/step")
    assert_same(page.weights(), changed)
    assert changed["conv1.bias"][5] == 2.5
    # What was changed before a step is final: taking it back would undo what was learned.
    assert state["changes"] == 0
    page.refused("/api/weight/back", 409)


def test_a_weight_can_change_in_the_midst_of_training(page):
    listener = Listener(page)
    page.do("/api/training", rate=0, momentum=0)
    page.do("/api/training/start")
    listener.wait(lambda events: events[-1]["training"]["steps"] > 10)
    expected = page.weights()
    state = page.do("/api/weight", name="fc.bias", index=[1], value=-2)
    assert state["training"]["running"] is True
    reached = state["training"]["steps"]
    listener.wait(lambda events: events[-1]["training"]["steps"] > reached)
    page.do("/api/training/pause")
    expected["fc.bias"][1] = -2
    assert_same(page.weights(), expected)
    listener.leave()


@pytest.mark.parametrize("shape", [(3, 3), (1, 1), (5, 3), (15, 15), (3, 3, 3), (3, 1, 7)])
def test_a_drawn_kernel(page, shape):
    kernel = np.random.default_rng(0).normal(size=shape)
    headers = {"Content-Type": "application/json"}
    body = json.dumps({"kernel": kernel.tolist(), "bias": 0.25}).encode()
    status, _, content = page.send("POST", "/api/kernel", body, headers)
    assert status == 200
    structure, block = unpacked(content)
    assert structure["by"] == "neocog.reference"
    found = at(structure["map"], block)
    # Place by place: the sum of products of the kernel and what it lies on.
    x = DATA.test.images[0].astype(np.float64).transpose(2, 0, 1) / 127.5 - 1
    kernel = np.broadcast_to(kernel, (3, *shape[-2:]))
    rows, columns = shape[-2:]
    padded = np.pad(x, ((0, 0), (rows // 2,) * 2, (columns // 2,) * 2))
    expected = [
        [(padded[:, i : i + rows, j : j + columns] * kernel).sum() + 0.25 for j in range(32)]
        for i in range(32)
    ]
    np.testing.assert_allclose(found, [expected], atol=1e-4)


# The file


def test_the_model_can_be_kept(page, tmp_path):
    for _ in range(3):
        page.do("/api/training/step")
    status, headers, content = page.send("GET", "/api/model.safetensors")
    assert status == 200
    assert headers["Content-Disposition"] == 'attachment; filename="simple-cnn-3-steps.safetensors"'
    (tmp_path / "model.safetensors").write_bytes(content)
    kept = neocog.load(tmp_path / "model.safetensors")
    assert kept.classes == DATA.classes
    trained = trained_on(tmp_path / "model.safetensors")
    assert (trained.name, trained.fingerprint) == (DATA.name, DATA.fingerprint)
    assert_same(kept.state_dict(), fitted(3).state_dict())
    np.testing.assert_array_equal(
        np.float32(predicted(page)), kept.predict_proba(DATA.test.images[:1])[0]
    )


def test_the_model_in_the_midst_of_training(page):
    listener = Listener(page)
    page.do("/api/training/start")
    listener.wait(lambda events: events[-1]["training"]["steps"] > 5)
    _, headers, content = page.send("GET", "/api/model.safetensors")
    steps = int(re.search(r"-(\d+)-steps", headers["Content-Disposition"])[1])
    import safetensors.numpy

    assert_same(safetensors.numpy.load(content), fitted(steps).state_dict())
    listener.leave()


# Pages


def test_two_pages_see_the_same(page):
    one, other = Listener(page), Listener(page)
    state = page.do("/api/picture", index=11)
    page.do("/api/training/step")
    last = page.do("/api/label", label=4)
    for listener in (one, other):
        listener.wait(lambda events: events[-1]["version"] >= last["version"])
        assert listener.events[-1] == last
        versions = [event["version"] for event in listener.events]
        assert versions == sorted(set(versions))
    assert last["version"] > state["version"]
    assert page.state() == {**last, "network": page.session.about}
    one.leave()
    # The other one is not disturbed.
    last = page.do("/api/label", label=5)
    other.wait(lambda events: events[-1]["version"] >= last["version"])
    other.leave()


def test_two_pages_at_once_lose_nothing(page):
    """Each step that was answered was taken, whoever asked."""
    failures = []

    def steps() -> None:
        try:
            for _ in range(10):
                page.do("/api/training/step")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=steps) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert page.state()["training"]["steps"] == 40
    assert_same(page.weights(), fitted(40).state_dict())


def until_it_stops(page):
    """The state when training has stopped by itself."""
    for _ in range(20 * PATIENCE):
        state = page.state()
        if not state["training"]["running"]:
            return state
        threading.Event().wait(0.05)
    raise AssertionError("it never stopped")


def test_training_pauses_when_the_browser_is_closed(network):
    with served(network, DATA, away=0.3) as page:
        listener = Listener(page)
        page.do("/api/training/start")
        # Longer than it would last alone.
        began = listener.wait(lambda events: len(events) > 1)["training"]["steps"]
        listener.wait(lambda events: len(events) > 6)
        listener.leave()
        state = until_it_stops(page)
        assert state["message"]["kind"] == "note"
        assert state["message"]["text"] == "Training was paused because no page was open any more."
        steps = state["training"]["steps"]
        assert steps > began
        # Back again: all is there, and goes on.
        other = Listener(page)
        assert other.events[0] == {key: state[key] for key in other.events[0]}
        assert_same(page.weights(), fitted(steps).state_dict())
        assert page.do("/api/training/start")["message"] is None
        other.wait(lambda events: events[-1]["training"]["steps"] > steps)
        other.leave()


def test_training_goes_on_while_one_page_of_two_is_left(network):
    with served(network, DATA, away=0.3) as page:
        one, other = Listener(page), Listener(page)
        page.do("/api/training/start")
        one.wait(lambda events: events[-1]["training"]["steps"] > 1)
        one.leave()
        count = len(other.events)
        event = other.wait(lambda events: len(events) > count + 6)
        assert event["training"]["running"] is True
        other.leave()


def test_who_starts_it_without_a_page_has_a_moment(network):
    """Time counts from the start, not from when the last page left."""
    now = [0.0]
    with served(network, DATA, away=5.0, clock=lambda: now[0]) as page:
        now[0] = 100.0
        page.do("/api/training/start")
        for second in (1.0, 4.0):
            now[0] = 100.0 + second
            assert page.do("/api/label", label=1)["training"]["running"] is True
        now[0] = 105.5
        until_it_stops(page)


def test_events_are_never_queued():
    events = Events()
    stream = events.listen(heartbeat=PATIENCE)
    events.tell(b"0")
    assert next(stream) == b"0"
    for n in range(1000):
        events.tell(str(n).encode())
    assert next(stream) == b"999"
    assert events.listeners == 1
    stream.close()
    assert events.listeners == 0


def test_a_heartbeat_where_nothing_happens():
    events = Events()
    stream = events.listen(heartbeat=0.01)
    assert next(stream) == b"{}"
    assert next(stream) is None
    events.tell(b"new")
    assert next(stream) == b"new"
    assert next(stream) is None
    events.close()
    assert list(stream) == []


def test_how_long_nobody_listens():
    now = [5.0]
    events = Events(clock=lambda: now[0])
    assert events.alone_since() == 5
    streams = [events.listen(1), events.listen(1)]
    for stream in streams:
        next(stream)
    assert events.alone_since() is None
    now[0] = 7.0
    streams[0].close()
    assert events.alone_since() is None
    now[0] = 9.0
    streams[1].close()
    assert events.alone_since() == 9


def test_closing_ends_training_and_streams(network):
    with served(network, DATA) as page:
        listener = Listener(page)
        page.do("/api/training/start")
        listener.wait(lambda events: events[-1]["training"]["steps"] > 1)
        assert page.session.close(PATIENCE)
        listener.wait_for_end()
        status, found = page.post("/api/training/step")
        assert (status, found["error"]) == (503, "The explorer has been stopped.")
        listener.leave()


# Its parts


def test_the_owner_does_what_is_asked_between_its_own_work():
    done, more = [], threading.Event()

    def work() -> bool:
        done.append("work")
        more.wait(0.001)
        return True

    owner = WorkerThread(work)
    for n in range(5):
        assert owner.ask(lambda n=n: done.append(n) or n) == n
    with pytest.raises(ZeroDivisionError):
        owner.ask(lambda: 1 / 0)
    assert [d for d in done if d != "work"] == [0, 1, 2, 3, 4]
    assert owner.end(PATIENCE)
    count = len(done)
    with pytest.raises(RefusedError):
        owner.ask(lambda: None)
    assert len(done) == count


def test_the_owner_leaves_nobody_waiting():
    """Who asked while it ended is told so."""
    entered, leave, found = threading.Event(), threading.Event(), []
    owner = WorkerThread(lambda: False)

    def slow() -> None:
        entered.set()
        leave.wait(PATIENCE)

    def ask() -> None:
        try:
            owner.ask(lambda: found.append("done"))
        except RefusedError as error:
            found.append(error.status)

    first = threading.Thread(target=owner.ask, args=(slow,))
    first.start()
    assert entered.wait(PATIENCE)
    second = threading.Thread(target=ask)
    second.start()
    while owner._asked.empty():
        threading.Event().wait(0.01)
    assert not owner.end(0.01)
    leave.set()
    first.join(PATIENCE)
    second.join(PATIENCE)
    assert found == [503]


def point(steps, count=1, loss=1.0, accuracy=None, speed=10.0):
    return Point(steps, count, loss, accuracy, speed)


def test_a_curve_is_bounded_and_keeps_its_means():
    curve = Curve(most=4)
    for n in range(1, 5):
        curve.add(point(n, loss=n, accuracy=0.5 if n == 3 else None))
    assert curve.number == 0
    curve.add(point(8, count=3, loss=9.0))
    assert curve.number == 1
    assert [(p.steps, p.count, p.loss, p.accuracy) for p in curve.points] == [
        (2, 2, 1.5, None),
        (4, 2, 3.5, 0.5),
        (8, 3, 9.0, None),
    ]
    curve.add(point(9, accuracy=0.7))
    curve.add(point(10))
    assert [(p.steps, p.count, p.loss) for p in curve.points] == [
        (4, 4, 2.5),
        (9, 4, 7),
        (10, 1, 1),
    ]
    assert curve.points[1].accuracy == 0.7
    for n in range(11, 1000):
        curve.add(point(n))
    assert len(curve.points) <= 4
    assert sum(p.count for p in curve.points) == 4 + 3 + 1 + 1 + 989


def test_a_curve_is_cut_where_training_went_back():
    curve = Curve()
    for n in (1, 2, 3):
        curve.add(point(n))
    curve.cut(3)
    assert (curve.number, len(curve.points)) == (0, 3)
    curve.cut(2)
    assert (curve.number, curve.head()["count"], curve.head()["last"]) == (1, 2, [2, 1.0, None, 10])
    curve.restart()
    assert curve.to_dict() == {"number": 2, "count": 0, "last": None, "points": []}


def test_numbers_that_json_does_not_know(page):
    """Weights so large that nothing is a number any more: shown as such, and no error."""
    for name, index in (("conv1.weight", [0, 0, 0, 0]), ("conv1.weight", [0, 1, 2, 2])):
        page.do("/api/weight", name=name, index=index, value=1e18)
    for column in range(10):
        page.do("/api/weight", name="fc.weight", index=[column, 0], value=1e18)
        page.do("/api/weight", name="fc.weight", index=[column, 100], value=-1e18)
    assert len(page.state()["prediction"]["probabilities"]) == 10
    assert page.send("GET", "/api/explanation")[0] == 200


def test_a_large_network_is_tested_on_fewer_images():
    many = Dataset(np.zeros((1500, 32, 32, 3), np.uint8), np.zeros(1500, np.int64))
    assert len(first_images(neocog.models.simple_cnn(), many)) == 1000
    assert 100 <= len(first_images(neocog.models.resnet18(), many)) < 400
    assert len(first_images(neocog.models.simple_cnn(), many[:30])) == 30
