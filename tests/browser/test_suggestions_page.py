"""The page of `neocog suggest` in a real browser: it shows all, and keeps nobody out."""

import numpy as np
import pytest
from page_checks import AXE
from photographs import SIDE, network
from PIL import Image

import neocog


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The page of pictures with wrong labels, of many sizes, and with names that are orders."""
    root = tmp_path_factory.mktemp("suggested")
    rng = np.random.default_rng(0)
    sizes = [(SIDE, SIDE), (300, 200), (90, 400), (600, 60)]
    long = "a_name_without_any_place_to_break_it_" * 5
    classes = ("<b>red</b>", "green_with_a_long_name_" * 4, "blue")
    for number in range(80):
        pixels = rng.integers(60, 140, (SIDE, SIDE, 3), np.uint8)
        pixels[..., number % 3] += 60
        wrong = number in (3, 10, 20)
        folder = root / "photos" / (classes[(number + wrong) % 3] if number < 70 else "unlabeled")
        folder.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(pixels).resize(sizes[number % 4], Image.Resampling.NEAREST)
        picture.save(folder / f"{long if number in (10, 75) else '<i>'}{number}.png")
    (root / "photos" / "blue" / "<script>alert(1).png").write_bytes(b"no picture")
    found = neocog.suggest(network(), root / "photos", cache=False)
    assert found.wrong_labels
    found.save_page(root / "page.html")
    return (root / "page.html").as_uri()


def test_every_list_is_there_and_every_picture_is_shown(tab, address):
    open_ = tab(address, ready="main")
    shown = open_.page.eval_on_selector_all("section > h2", "all => all.map((h) => h.id)")
    assert shown == ["wrong-labels", "to-label", "skipped", "methods"]
    sizes = open_.page.eval_on_selector_all("img", "all => all.map((i) => i.naturalWidth)")
    assert len(sizes) >= 13 and all(sizes)
    assert open_.page.locator("b", has_text="red").filter(has_not_text="<b>").count() == 0
    assert open_.page.get_by_text("<b>red</b>").count() > 0
    assert [url for url in open_.requests if not url.startswith(("file:", "data:"))] == []


@pytest.mark.parametrize("width", [1280, 760, 400, 320])
def test_nothing_is_wider_than_the_window(tab, address, width):
    open_ = tab(address, width=width, ready="main")
    assert open_.page.evaluate("document.documentElement.scrollWidth") <= width
    open_.keep(f"suggestions-{width}")


@pytest.mark.skipif(AXE is None, reason="NEOCOG_AXE does not name axe.min.js")
@pytest.mark.parametrize(("width", "dark"), [(1280, True), (400, False)])
def test_accessibility(tab, address, width, dark):
    open_ = tab(address, width=width, dark=dark, ready="main")
    open_.page.evaluate(AXE.read_text())  # the page's policy lets no other script in
    found = open_.page.evaluate("() => axe.run('html', {resultTypes: ['violations']})")
    assert [
        f"{one['id']}: {node['html'][:120]}" for one in found["violations"] for node in one["nodes"]
    ] == []
