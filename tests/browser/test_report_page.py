"""The page of a report in a real browser: what it shows, and that it keeps nobody out."""

import os
from pathlib import Path

import numpy as np
import pytest

import neocog
from neocog.report import write_report
from neocog.training.history import Epoch, History, Logged

AXE = Path(os.environ["NEOCOG_AXE"]) if os.environ.get("NEOCOG_AXE") else None

TAGS = "<b>bee</b><script>alert(1)</script>"
CLASSES = ("ant", TAGS, "cow_with_a_long_name_" * 5)
COLORS = np.array([[200, 30, 30], [30, 200, 30], [30, 30, 200]], np.uint8)


def history():
    logged = [
        Logged(epoch, batch, 2 / (epoch + batch / 100), epoch)
        for epoch in (1, 2, 3)
        for batch in range(10, 101, 10)
    ]
    epochs = [
        Epoch(n, 2 / (n + 0.5), 1.5, 0.1 / n, 2 / (n + 0.5) + 0.1, 1 - 0.5 / (n + 0.5))
        for n in (1, 2, 3)
    ]
    return History(logged, epochs, steps=300)


def network(classes=CLASSES):
    made = neocog.Network(
        input_shape=(3, 12, 12),
        conv=neocog.Conv2d(3, 4, 3, padding=1),
        relu=neocog.ReLU(),
        pool=neocog.AdaptiveAvgPool2d(),
        flatten=neocog.Flatten(),
        fc=neocog.Linear(4, len(classes)),
    )
    made.initialize(0)
    made.name_classes(classes)
    return made


def pictures(count, classes):
    """Pictures of one color for each of three classes, and names that are long or orders."""
    labels = np.arange(count) % classes
    images = np.broadcast_to(COLORS[labels % 3][:, None, None], (count, 12, 12, 3)).copy()
    images[:, ::3] += np.arange(count, dtype=np.uint8)[:, None, None, None] % 40
    names = [f"photos/{TAGS}/{'a_name_without_a_break' * 8}{n}.png" for n in range(count)]
    return neocog.Dataset(images, labels, names)


def written(folder, made, data):
    path = folder / "report.html"
    write_report(
        path,
        title="a_run_with_a_long_name_and_no_place_to_break_it_" * 2 + TAGS,
        network=made,
        evaluation=neocog.evaluate(made, data),
        data=data,
        history=history(),
        settings={"epochs": 3, "optimizer": {"lr": 0.1, "groups": "x" * 500}, "seed": 0},
        defaults={"epochs": 2, "optimizer": {"lr": 0.1, "groups": "y"}, "seed": 0},
        facts={"Machine": {"cores": 2, "processor": "a_long_word" * 20}, "Versions": {"a": "1"}},
    )
    return path


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report, and the evaluation that it shows."""
    made, data = network(), pictures(90, 3)
    path = written(tmp_path_factory.mktemp("report"), made, data)
    return path.as_uri(), neocog.evaluate(made, data)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """The address of a report of thirty classes."""
    classes = tuple(f"class {n}" for n in range(30))
    path = written(tmp_path_factory.mktemp("many"), network(classes), pictures(300, 30))
    return path.as_uri()


SECTIONS = [
    "curves",
    "confusion",
    "classes",
    "calibration",
    "mistakes",
    "filters",
    "settings",
    "facts",
]


def test_every_section_is_there_and_nothing_is_asked_of_the_network(tab, report):
    open_ = tab(report[0], ready="section")
    shown = open_.page.eval_on_selector_all("section > h2", "all => all.map((h) => h.id)")
    assert shown == SECTIONS
    assert [url for url in open_.requests if not url.startswith(("file:", "data:", "blob:"))] == []
    assert open_.page.locator("b", has_text="bee").filter(has_not_text="<b>").count() == 0
    assert open_.page.get_by_text(TAGS).count() > 0


def test_the_matrix_has_the_counts(tab, report):
    open_ = tab(report[0], ready="section")
    shown = open_.page.eval_on_selector_all(
        ".matrix tbody tr",
        "rows => rows.map((r) => [...r.cells].slice(1).map((c) => +c.innerText))",
    )
    assert shown == report[1].confusion.tolist()


def test_a_cell_opens_its_pictures(tab, report):
    open_, found = tab(report[0], ready="section"), report[1]
    for row, column in zip(*np.nonzero(found.confusion), strict=True):
        cell = open_.page.locator(".matrix tbody tr").nth(int(row)).locator("td").nth(int(column))
        cell.locator("button").click()
        assert cell.locator("button").get_attribute("aria-pressed") == "true"
        open_.page.wait_for_timeout(50)
        # The middle of each picture, which is of its class's color.
        colors = open_.page.eval_on_selector_all(
            ".opened canvas",
            "all => all.map((c) => [...c.getContext('2d').getImageData(6, 5, 1, 1).data])",
        )
        assert 0 < len(colors) <= found.confusion[row, column]
        assert {tuple(color[:3]) for color in colors} == {tuple(COLORS[row].tolist())}
    assert open_.page.locator('.matrix [aria-pressed="true"]').count() == 1


def test_the_arrow_keys_go_from_cell_to_cell(tab, report):
    open_, found = tab(report[0], ready="section"), report[1]
    assert open_.page.locator('.matrix button[tabindex="0"]').count() == 1
    row, column = (int(n) for n in np.argwhere(found.confusion)[0])
    below = [k for k in range(row + 1, 3) if found.confusion[k, column]]
    assert below  # or there is nothing to go to
    first = open_.page.locator(".matrix tbody tr").nth(row).locator("td").nth(column)
    first.locator("button").click()
    open_.page.keyboard.press("ArrowDown")
    open_.page.keyboard.press("Enter")
    reached = open_.page.locator(".matrix tbody tr").nth(below[0]).locator("td").nth(column)
    assert reached.locator("button").get_attribute("aria-pressed") == "true"


def test_the_classes_are_sorted_by_any_column(tab, report):
    open_, found = tab(report[0], ready="section"), report[1]
    names = ".classes tbody th"
    assert open_.page.locator(names).all_inner_texts()[0] == "ant"
    open_.page.get_by_role("button", name="recall").click()
    order = sorted(range(3), key=lambda k: found.per_class[k].recall)
    shown = [text[:3] for text in open_.page.locator(names).all_inner_texts()]
    assert shown == [CLASSES[k][:3] for k in order]
    open_.page.get_by_role("button", name="recall").click()
    shown = [text[:3] for text in open_.page.locator(names).all_inner_texts()]
    order = sorted(range(3), key=lambda k: -found.per_class[k].recall)
    assert shown == [CLASSES[k][:3] for k in order]


def test_the_curves_tell_their_numbers_under_the_pointer(tab, report):
    open_ = tab(report[0], ready="section")
    chart = open_.page.locator(".chart").first
    box = chart.bounding_box()
    open_.page.mouse.move(box["x"] + 0.97 * box["width"], box["y"] + 0.5 * box["height"])
    # At the end of the third epoch: 2 / 3.5 and 0.1 more.
    assert "validation 0.6714" in open_.page.locator(".readout").first.inner_text()
    assert open_.page.locator(".chart .line").count() == 5
    open_.page.get_by_text("The epochs as a table").click()
    rows = open_.page.locator("#curves ~ details tbody tr").all_inner_texts()
    assert rows[2].split("\t") == ["3", "0.5714", "0.6714", "85.7\u00a0%", "0.03333", "1.5 s"]


@pytest.mark.parametrize(
    ("accuracies", "lowest"), [((1.0, 1.0), "90"), ((0.5, 1.0), "50"), ((0.0, 0.0), "0")]
)
def test_the_axis_of_accuracies(tab, tmp_path, accuracies, lowest):
    epochs = [Epoch(n, 1.0, 1.0, 0.1, 1.0, one) for n, one in enumerate(accuracies, 1)]
    path = tmp_path / "report.html"
    write_report(path, title="sure", history=History([], epochs, steps=2))
    open_ = tab(path.as_uri(), ready="section")
    drawing = open_.page.locator(".chart[aria-label^=accuracy]")
    labels = drawing.locator("text").all_text_contents()
    percents = [text.removesuffix("\u00a0%") for text in labels if text.endswith("%")]
    assert percents[0] == lowest
    assert percents[-1] == "100" or not any(accuracies)
    assert max(map(float, percents)) <= 100


def test_changed_settings_are_first_and_beside_their_defaults(tab, report):
    open_ = tab(report[0], ready="section")
    rows = open_.page.locator("#settings ~ .card tbody tr").all_inner_texts()
    assert rows[0].split("\t") == ["epochs", "3", "2"]
    assert open_.page.get_by_text("2 more at their defaults").count() == 1


def test_every_mistake_has_its_picture_and_what_speaks_for_both_classes(tab, report):
    open_, found = tab(report[0], ready="section"), report[1]
    wrong = int((found.predicted != found.labels).sum())
    assert open_.page.locator(".mistakes > li").count() == min(24, wrong)
    assert open_.page.locator(".mistakes.mapped > li").count() == min(12, wrong)
    painted = open_.page.eval_on_selector_all(
        ".mistakes .veil",
        "all => all.map((c) => [c.closest('figure').innerText.split(',')[0], "
        "c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((n) => n)])",
    )
    occluded = [there for method, there in painted if method == "occlusion"]
    grad_cams = [there for method, there in painted if method == "Grad-CAM"]
    assert len(occluded) == 2 * min(12, wrong)
    assert all(occluded)
    # Grad-CAM leaves out what speaks against a class, which may be all that there is.
    assert len(grad_cams) == 2 * min(24, wrong)
    assert any(grad_cams)


def test_pairs_of_many_classes_open_their_pictures(tab, many):
    open_ = tab(many, ready="section")
    assert open_.page.locator(".matrix").count() == 0
    pair = open_.page.locator(".pairs button").nth(3)
    pair.click()
    words = pair.locator("span").inner_text()
    assert open_.page.locator(".opened h3").inner_text() == words
    assert open_.page.locator(".opened canvas").count() > 0


def test_what_is_missing_leaves_no_empty_section(tab, tmp_path):
    path = tmp_path / "report.html"
    write_report(path, title="little", history=History(logged=[Logged(1, 1, float("nan"), 1.0)]))
    open_ = tab(path.as_uri(), ready="h1")
    assert open_.page.locator("section").count() == 0


@pytest.mark.parametrize("width", [1280, 760, 400])
def test_nothing_is_wider_than_the_window(tab, report, many, width):
    for address, name in ((report[0], "few"), (many, "many")):
        open_ = tab(address, width=width, ready="section")
        for summary in open_.page.locator("summary").all():
            summary.click()
        assert open_.page.evaluate("document.documentElement.scrollWidth") <= width
        open_.keep(f"report-{name}-{width}")


@pytest.mark.skipif(AXE is None, reason="NEOCOG_AXE does not name axe.min.js")
@pytest.mark.parametrize(("width", "dark"), [(1280, True), (1280, False), (400, False)])
def test_accessibility(tab, report, many, width, dark):
    for address in (report[0], many):
        open_ = tab(address, width=width, dark=dark, ready="section")
        for summary in open_.page.locator("summary").all():
            summary.click()
        open_.page.evaluate(AXE.read_text())  # the page's policy lets no other script in
        found = open_.page.evaluate("() => axe.run('html', {resultTypes: ['violations']})")
        assert [
            f"{one['id']}: {node['html'][:120]} {[why['message'] for why in node['any']]}"
            for one in found["violations"]
            for node in one["nodes"]
        ] == []
