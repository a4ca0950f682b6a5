"""The numbers of one channel, which a page fetches where an explanation has only some."""

import json

import numpy as np
import pytest
from explorer_networks import DATA
from exploring import at, served

import neocog
from neocog.explanation import explain
from neocog.explanation.page import partly


@pytest.fixture
def small_page(monkeypatch):
    """An explorer whose explanations have room for a part of their maps."""
    monkeypatch.setattr("neocog.explanation.page.payload.MOST_NUMBERS", 20_000)
    monkeypatch.setattr(partly, "MOST_NUMBERS", 20_000)
    network = neocog.models.simple_cnn()
    network.initialize(0)
    with served(network, DATA) as page:
        yield page, network


def test_a_channel_is_that_of_the_latest_explanation(small_page):
    page, network = small_page
    page.do("/api/picture", index=4)
    structure, _ = page.binary("/api/explanation")
    assert structure["partial"]
    by_name = {layer["name"]: layer for layer in structure["layers"]}
    absent = next(c for c in range(16) if c not in by_name["conv1"]["output"]["rows"])
    expected = explain(network, DATA.test.images[4], int(DATA.test.labels[4]))
    found, block = page.binary(f"/api/channel?layer=relu&channel={absent}")
    assert found["serial"] == structure["serial"]
    assert set(found["layers"]) == {"relu", "conv1"}
    for name, arrays in found["layers"].items():
        assert arrays["output"]["rows"] == [absent]
        assert np.array_equal(at(arrays["output"], block)[0], expected[name].output[absent])
        gradient = expected[name].output_gradient[absent]
        assert np.array_equal(at(arrays["gradient"], block)[0], gradient)
    found, block = page.binary("/api/channel?layer=fc&output=7")
    weight = at(found["layers"]["fc"]["weight"], block)
    assert np.array_equal(weight[0], expected["fc"].parameters["weight"][7])
    page.do("/api/picture", index=5)
    page.get("/api/explanation")
    later, _ = page.binary("/api/channel?layer=fc&output=7")
    assert later["serial"] == found["serial"] + 1


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "layer is missing"),
        ("?layer=conv9", "no layer 'conv9'. Did you mean 'conv1'?"),
        ("?layer=conv1&channel=16", "conv1 has 16 channels, 0 to 15."),
        ("?layer=conv1&channel=-1", "channel (='-1') must be a whole number."),
        ("?layer=conv1&channel=1e3", "must be a whole number"),
        ("?layer=conv1&channel=9999999999", "must be a whole number"),
        ("?layer=fc&output=10", "fc has 10 outputs, 0 to 9."),
        ("?layer=fc&output=%C2%B2", "must be a whole number"),
    ],
)
def test_what_there_is_not(page, query, message):
    page.get("/api/explanation")
    status, _, content = page.send("GET", f"/api/channel{query}")
    assert status == 400
    assert message in json.loads(content)["error"]


def test_before_there_is_an_explanation(page):
    status, _, content = page.send("GET", "/api/channel?layer=conv1")
    assert status == 409
    assert "get /api/explanation first" in json.loads(content)["error"]
