"""The report of several labels an image, and of numbers, in a real browser."""

import numpy as np
import pytest

import neocog
from neocog.evaluation import LabelsEvaluation, NumbersEvaluation
from neocog.report import write_report

TAGS = "<b>bee</b><script>alert(1)</script>"


@pytest.fixture
def shown(tab, tmp_path):
    """Write a report and open it; a page that complains fails the test."""

    def show(evaluation, data, network=None):
        path = tmp_path / "report.html"
        write_report(path, title="run", network=network, evaluation=evaluation, data=data)
        return tab(path.as_uri(), ready="section").page

    return show


def images(targets):
    pixels = np.random.default_rng(0).integers(0, 256, (len(targets), 8, 8, 3), np.uint8)
    return neocog.Dataset(pixels, targets, [f"{TAGS}{n}.png" for n in range(len(targets))])


def test_labels(shown):
    rng = np.random.default_rng(1)
    data = images(rng.integers(0, 2, (40, 3)).astype(np.float32))
    found = LabelsEvaluation(0.5, (TAGS, "old", "wet"), data.labels, rng.random((40, 3)), 0.1)
    page = shown(found, data)
    rows = page.locator("table.classes tbody tr")
    assert rows.count() == 3 and TAGS in rows.first.inner_text()
    page.get_by_role("button", name="average precision").click()
    sorted_by = [row.split()[-2] for row in rows.all_inner_texts()]
    assert [float(one) for one in sorted_by] == pytest.approx(
        sorted(100 * found.average_precisions), abs=0.06
    )
    assert page.locator(".mistakes li").count() == 24
    assert f"{100 * found.accuracy:.1f}" in page.locator(".glance").inner_text()


def test_numbers(shown):
    rng = np.random.default_rng(1)
    data = images(rng.normal(3000, 500, (30, 1)).astype(np.float32))
    outputs = data.labels + rng.normal(0, 100, (30, 1))
    found = NumbersEvaluation(1.0, ("dose",), data.labels, outputs, 0.1, data.names)
    page = shown(found, data)
    points = page.locator(".scatter circle")
    assert points.count() == 30
    # The further right a point, the larger its number, and the larger the higher.
    across = [float(one.get_attribute("cx")) for one in points.all()]
    up = [float(one.get_attribute("cy")) for one in points.all()]
    assert np.corrcoef(across, data.labels[:, 0])[0, 1] > 0.999
    assert np.corrcoef(up, found.outputs[:, 0])[0, 1] < -0.999
    first = page.locator(".mistakes li").first.inner_text()
    assert f"{found.mistakes[0].predicted:,.4g}".replace(",", "") in first.replace(",", "")
    assert TAGS in first


def test_what_the_network_looked_at(shown):
    network = neocog.Network(
        input_shape=(3, 8, 8), conv=neocog.Conv2d(3, 4, 3), flatten=neocog.Flatten(),
        fc=neocog.Linear(144, 2), classes=(TAGS, "old"),
    )  # fmt: skip
    network.initialize(0)
    network.loss = "binary-cross-entropy"
    data = images(np.random.default_rng(1).integers(0, 2, (20, 2)).astype(np.float32))
    page = shown(neocog.evaluate(network, data), data, network)
    cards = page.locator(".mistakes li")
    assert cards.count() == page.locator(".mistakes li canvas.veil").count() > 0
    words = page.locator("section", has_text="Grad-CAM").last.inner_text()
    assert "raise the label’s score" in words and f"Grad-CAM, for {TAGS}" in words
