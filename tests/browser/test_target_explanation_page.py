"""Pages of several labels and of numbers in a real browser: their numbers, and no false words."""

import numpy as np
import pytest
from explorer_pages import wait_for
from exploring import served

import neocog
from neocog.data import Data
from neocog.explanation import explain
from neocog.explanation.page.html import page
from neocog.explanation.page.payload import pack
from neocog.layers import Conv2d, Flatten, Linear, ReLU

LABELS, NUMBERS = "binary-cross-entropy", "mse"
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (12, 8, 8, 3), np.uint8)
TRUTH = RNG.integers(0, 2, (12, 3)).astype(np.float32)
TRUTH[0] = [1, 0, 1]
NAMES = ("red", "old", "wet")
#: What would be false of each.
FALSE = {
    LABELS: ("softmax", "predicts", "makes them add up", "class"),
    NUMBERS: ("softmax", "probabilit", "predicts", "class", "%"),
}
ANSWERS = {LABELS: "probabilities", NUMBERS: "numbers"}


def network_of(loss):
    network = neocog.Network(
        input_shape=(3, 8, 8),
        classes=NAMES,
        conv=Conv2d(3, 4, 3, padding=1),
        relu=ReLU(),
        flatten=Flatten(),
        fc=Linear(256, 3),
    )
    network.initialize(1)
    network.loss = loss
    return network


def words(open_):
    """All that is read and shown, in lower case; outside it there are only tags."""
    return open_.page.inner_text("body").lower()


@pytest.mark.parametrize("truth", [TRUTH[0], None], ids=["said", "unsaid"])
@pytest.mark.parametrize("loss", [LABELS, NUMBERS])
def test_a_page_says_what_is_true(tab, tmp_path, loss, truth):
    network = network_of(loss)
    found = explain(network, IMAGES[0], "old", targets=truth)
    path = tmp_path / "page.html"
    path.write_text(page(pack(found)))
    open_ = tab(path.as_uri())
    open_.layer(ANSWERS[loss])

    def read(name):
        cells = open_.page.locator(f".part-view [data-{name}]").all()
        return np.array([float(cell.get_attribute(f"data-{name}")) for cell in cells])

    z = found.scores.astype(np.float64)
    np.testing.assert_allclose(read("score"), z, rtol=1e-6)
    said = {words(open_)}
    if loss == LABELS:
        y = 1 / (1 + np.exp(-z))
        np.testing.assert_allclose(read("probability"), y, rtol=1e-6)
        rows = open_.page.locator(".answers tr").all_inner_texts()
        given = {row.split()[0]: "not given" not in row for row in rows}
        assert given == dict(zip(NAMES, (y >= 0.5).tolist(), strict=True))
    open_.backward()
    np.testing.assert_allclose(read("delta"), found.delta, rtol=1e-5)
    sums = [(result, engine) for name, result, engine in open_.results() if name == "loss"]
    if loss == NUMBERS and truth is None:
        assert not sums and "nobody said what old is" in words(open_)
    else:
        assert sums == [(pytest.approx(found.loss, rel=1e-5), pytest.approx(found.loss))]
    for layer in ("fc", "image", "conv"):
        open_.layer(layer)
        said.add(words(open_))
    for method in ("occlusion", "gradient × input"):
        open_.page.get_by_role("button", name=method).click()
        said.add(words(open_))
    open_.keep(f"explained-{loss}-{'unsaid' if truth is None else 'said'}")
    for one in said:
        assert not [word for word in FALSE[loss] if word in one]


@pytest.mark.parametrize("loss", [LABELS, NUMBERS])
def test_the_explorer_trains_and_explains(tab, loss):
    data = Data(
        name="pictures",
        train=neocog.Dataset(IMAGES, TRUTH),
        test=neocog.Dataset(IMAGES, TRUTH),
        classes=NAMES,
    )
    network = network_of(loss)
    with served(network, data) as server:
        open_ = tab(server.address)
        select = open_.page.locator(".card", has_text="The picture").locator("select").first
        select.select_option(label="wet")
        wait_for(
            open_, "name => document.querySelector('.answers .label').textContent.includes(name)",
            arg="wet",
        )  # fmt: skip
        open_.page.get_by_role("button", name="One step").click()
        wait_for(open_, "() => /^1 step/.test(document.querySelector('.progress').textContent)")
        open_.page.wait_for_selector("img.batch")
        open_.page.get_by_label("new value").fill("0.5")
        open_.page.get_by_role("button", name="Change", exact=True).click()
        wait_for(open_, "() => document.body.textContent.includes('went from')")
        said = words(open_)
        open_.keep(f"explorer-{loss}")
    assert not [word for word in FALSE[loss] if word in said]
