"""Pages and the explorer in a real browser, of a network whose maps do not all fit."""

import numpy as np
import pytest
from exploring import served

import neocog
from neocog.data.shapes import shapes
from neocog.explanation import explain
from neocog.explanation.page import partly
from neocog.explanation.page.html import page
from neocog.explanation.page.payload import pack
from neocog.explanation.photograph import Photograph

DATA = shapes(0, 60, 5)
# Float32's roundings in sums of some hundred products, of the numbers that are added.
CLOSE = 1e-4


@pytest.fixture
def tight(monkeypatch):
    monkeypatch.setattr("neocog.explanation.page.payload.MOST_NUMBERS", 90_000)
    monkeypatch.setattr(partly, "MOST_NUMBERS", 90_000)


@pytest.fixture
def network():
    network = neocog.models.resnet8()
    network.initialize(0)
    network.name_classes(DATA.classes)
    return network


@pytest.fixture
def partial(tight, network, tmp_path):
    """The page of a file, and what it explains."""
    explained = explain(network, DATA.test.images[0], 2)
    photograph = Photograph(np.full((150, 300, 3), 200, np.uint8), (0.25, 0.0, 0.5, 1.0))
    path = tmp_path / "page.html"
    path.write_text(page(pack(explained, photograph=photograph)))
    return path.as_uri(), explained


def test_every_layer_can_be_looked_at_forward_and_back(tab, partial):
    address, explained = partial
    open_ = tab(address)
    assert "neocog explore shows all" in open_.page.locator("header").inner_text()
    for backward in (False, True):
        if backward:
            open_.backward()
        for name in explained:
            open_.layer(name)
            assert open_.page.locator(".part-head h3").inner_text().startswith(name)
            assert "NaN" not in open_.page.locator("main, #page").first.inner_text()
            for _kind, result, engine in open_.results():
                assert abs(result - engine) <= CLOSE * max(1, abs(engine)), name
    assert open_.page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_what_absent_channels_add_is_said_to_be_a_difference(tab, partial):
    address, explained = partial
    open_ = tab(address)
    name = [n for n in explained if explained[n].type == "Conv2d"][2]
    open_.layer(name)
    formula = open_.page.locator("[data-formula=convolution]")
    assert "not here" in formula.inner_text()
    assert "is the difference" in formula.inner_text()
    shown = float(formula.locator("[data-engine]").first.get_attribute("data-engine"))
    assert np.isin(np.float32(shown), explained[name].output)
    assert formula.locator("[data-result]").count() == 0
    assert open_.page.get_by_role("button", name="true convolution").count() == 0


def test_the_map_lies_over_its_part_of_the_photograph(tab, partial):
    open_ = tab(partial[0])
    over = open_.page.locator("#looks .photograph")
    whole, part = over.locator("img").bounding_box(), over.locator("canvas").bounding_box()
    assert part["x"] - whole["x"] == pytest.approx(whole["width"] / 4, abs=2)
    assert part["width"] == pytest.approx(whole["width"] / 2, abs=2)
    assert part["height"] == pytest.approx(whole["height"], abs=3)


def test_the_explorer_fetches_what_is_absent(tab, tight, network):
    with served(network, DATA) as server:
        open_ = tab(server.address)
        explained = explain(network, DATA.test.images[0], int(DATA.test.labels[0]))
        convolutions = [n for n in explained if explained[n].type == "Conv2d"]
        for name in (convolutions[2], convolutions[-1]):
            layer = explained[name]
            channel = len(layer.output) - 1
            open_.page.evaluate(f"location.hash = '#forward/{name}/{channel}/3/4'")
            words = f"y[{channel}, 3, 4]"
            open_.page.wait_for_function(
                "words => document.querySelector('[data-formula=convolution] [data-result]')"
                " && document.querySelector('.formula').textContent.startsWith(words)",
                arg=words,
            )
            ((_, result, engine),) = [r for r in open_.results() if r[0] == "convolution"]
            assert np.float32(engine) == layer.output[channel, 3, 4]
            products = layer.contributions(channel, 3, 4)
            assert abs(result - engine) <= CLOSE * np.abs(products).max()
        assert any("/api/channel?layer=" in request for request in open_.requests)
