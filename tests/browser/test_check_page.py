"""The page of `neocog data check` in a real browser: it shows all, and keeps nobody out."""

import numpy as np
import pytest
from page_checks import AXE
from PIL import Image

from neocog.data.check import check_data
from neocog.data.check.page import page

SECTIONS = ("broken", "leaks", "conflicts", "near-leaks", "near-conflicts", "copies", "near")


def scene(seed, size):
    pixels = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The page of pictures with everything wrong, and with names that are long or orders."""
    root = tmp_path_factory.mktemp("pictures")
    sizes = [(32, 32), (300, 200), (90, 400), (2000, 60)]
    long = "a_name_without_any_place_to_break_it_" * 5
    for label in ("ant", "<b>bee</b>", "cow_with_a_long_name_" * 4):
        for part in ("train", "test"):
            (root / part / label).mkdir(parents=True)
        for n in range(6):
            seed = 10 * len(label) + n
            scene(seed, sizes[n % 4]).save(root / "train" / label / f"{n}.png")
            scene(seed + 1000, sizes[n % 4]).save(root / "test" / label / f"{n}.png")
    ant = root / "train" / "ant"
    for n, target in enumerate(("test/ant", "train/<b>bee</b>")):
        scene(30 + n, sizes[n]).save(root / target / f"{long}.bmp")
        scene(32 + n, sizes[2 + n]).save(root / target / "packed.jpg", quality=70)
    (ant / "<script>alert(1).png").write_bytes(b"no picture")
    (ant / "4.png").rename(ant / "4.gif")
    Image.new("RGB", (50, 50), "teal").save(ant / "flat.png")
    path = root / "report.html"
    path.write_text(page(check_data(root)))
    return path.as_uri()


def test_every_list_is_there_and_every_picture_is_shown(tab, address):
    open_ = tab(address, ready="main")
    shown = open_.page.eval_on_selector_all("section > h2", "all => all.map((h) => h.id)")
    assert set(SECTIONS) | {"one-color", "endings", "there-is", "methods"} <= set(shown)
    sizes = open_.page.eval_on_selector_all("img", "all => all.map((i) => i.naturalWidth)")
    assert sizes and all(sizes)
    assert open_.page.locator("b", has_text="bee").count() == 0
    assert open_.page.get_by_text("<b>bee</b>").count() > 0
    assert [url for url in open_.requests if not url.startswith(("file:", "data:"))] == []


@pytest.mark.parametrize("width", [1280, 760, 400, 320])
def test_nothing_is_wider_than_the_window(tab, address, width):
    open_ = tab(address, width=width, ready="main")
    assert open_.page.evaluate("document.documentElement.scrollWidth") <= width
    open_.keep(f"check-{width}")


def test_the_summary_leads_to_the_lists_by_keyboard(tab, address):
    open_ = tab(address, ready="main")
    open_.page.keyboard.press("Tab")
    seen = []
    while open_.page.evaluate("document.activeElement.tagName") == "A":
        assert (
            open_.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        )
        seen.append(open_.page.evaluate("document.activeElement.hash"))
        open_.page.keyboard.press("Tab")
    assert [f"#{name}" for name in SECTIONS] == seen[: len(SECTIONS)]
    open_.page.locator('a[href="#near"]').press("Enter")
    assert open_.page.locator("#near").evaluate("h => h.getBoundingClientRect().top < 100")


@pytest.mark.skipif(AXE is None, reason="NEOCOG_AXE does not name axe.min.js")
@pytest.mark.parametrize(("width", "dark"), [(1280, True), (400, False)])
def test_accessibility(tab, address, width, dark):
    open_ = tab(address, width=width, dark=dark, ready="main")
    open_.keep(f"check-{width}-{'dark' if dark else 'light'}")
    open_.page.evaluate(AXE.read_text())  # the page's policy lets no other script in
    found = open_.page.evaluate("() => axe.run('html', {resultTypes: ['violations']})")
    assert [
        f"{one['id']}: {node['html'][:120]}" for one in found["violations"] for node in one["nodes"]
    ] == []
