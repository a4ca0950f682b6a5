"""Weights and kernels that are changed by hand, and the network as a file."""

import json
import re

import numpy as np
import pytest
from explorer_networks import CLOSE, DATA, assert_same, fitted, predicted
from exploring import Listener, at, unpacked

import neocog
from neocog import reference
from neocog.trained_on import trained_on


def by_formula(weights, image, label=None):
    """Probabilities of one image by the reference, in float64."""
    network = neocog.models.simple_cnn()
    x = reference.preprocess(image[None], (0.5,) * 3, (0.5,) * 3)
    exact = {name: value.astype(np.float64) for name, value in weights.items()}
    return reference.softmax(reference.forward(network, exact, x)["fc"])[0]


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
