"""The page in a real browser: its widths, its colors, its accessibility, in a notebook too."""

import pytest
from page_checks import AXE, NARROW, serious, too_wide


@pytest.mark.parametrize(("width", "dark"), [(1280, True), (400, False)])
def test_it_fits_the_window_and_asks_nobody(tab, note, all_kinds, graph, width, dark):
    for name, address in (("note", note), ("all-kinds", all_kinds), ("graph", graph)):
        open_ = tab(address, width=width, dark=dark)
        open_.keep(f"{name}-{width}{'-dark' if dark else ''}")
        for side in ("forward", "backward"):
            if side == "backward":
                open_.backward()
            for layer in open_.page.locator("[data-layer]").all():
                layer.click()
                for narrow in NARROW if width == 400 else (width,):
                    open_.page.set_viewport_size({"width": narrow, "height": 900})
                    assert too_wide(open_) == [], (layer.get_attribute("data-layer"), narrow)
        open_.page.set_viewport_size({"width": width, "height": 900})
        open_.keep(f"{name}-{width}{'-dark' if dark else ''}-backward")
        assert [r for r in open_.requests if not r.startswith(("file:", "data:", "blob:"))] == []


def test_it_shows_in_the_frame_of_a_notebook(chromium, explained):
    notebook, troubles = chromium.new_page(), []
    notebook.on("console", lambda message: troubles.append(message.text))
    notebook.set_content(explained._repr_html_())
    frame = notebook.frame_locator("iframe")
    frame.locator(".strip").wait_for(timeout=120_000)
    frame.locator('[data-layer="conv1"]').click()
    frame.locator(".formula").first.wait_for()
    notebook.close()
    assert troubles == []


@pytest.mark.skipif(AXE is None, reason="NEOCOG_AXE does not name axe.min.js")
@pytest.mark.parametrize(("width", "dark"), [(1280, True), (400, False)])
def test_accessibility(tab, note, all_kinds, graph, width, dark):
    for address in (note, all_kinds, graph) if dark else (note,):
        open_ = tab(address, width=width, dark=dark)
        open_.page.evaluate(AXE.read_text())  # the page's policy lets no other script in
        assert serious(open_, "html") == []
        for side in ("forward", "backward"):
            if side == "backward":
                open_.backward()
            for layer in open_.page.locator("[data-layer]").all():
                layer.click()
                assert serious(open_, ".view") == []
