"""The explanation that the explorer serves is of the parameters of now."""

import numpy as np
from explorer_networks import DATA
from exploring import at

import neocog
from neocog.explanation.explanation import explain
from neocog.explanation.page.payload import pack
from neocog.web import live_explanation

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

    def counted(*arguments, **named):
        calls.append(arguments)
        return explain(*arguments, **named)

    monkeypatch.setattr(live_explanation, "explain", counted)
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


# Its parts


def test_numbers_that_json_does_not_know(page):
    """Weights so large that nothing is a number any more: shown as such, and no error."""
    for name, index in (("conv1.weight", [0, 0, 0, 0]), ("conv1.weight", [0, 1, 2, 2])):
        page.do("/api/weight", name=name, index=index, value=1e18)
    for column in range(10):
        page.do("/api/weight", name="fc.weight", index=[column, 0], value=1e18)
        page.do("/api/weight", name="fc.weight", index=[column, 100], value=-1e18)
    assert len(page.state()["prediction"]["probabilities"]) == 10
    assert page.send("GET", "/api/explanation")[0] == 200
