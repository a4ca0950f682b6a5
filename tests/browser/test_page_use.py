"""The page in a real browser: playing, keys, addresses, and what it keeps for each layer."""

import numpy as np
import pytest


def test_step_and_play(tab, note):
    open_ = tab(note)
    grid = open_.page.locator('[role=slider][aria-label^="output map"]')

    def place():
        return int(grid.get_attribute("aria-valuenow"))

    before = place()
    open_.page.get_by_role("button", name="Step →").click()
    assert place() == before + 1
    open_.page.get_by_role("button", name="Step back").click()
    assert place() == before
    open_.page.get_by_role("button", name="Play").click()
    open_.page.wait_for_function(
        "place => Number(document.querySelector('[aria-label^=\"output map\"]')"
        ".getAttribute('aria-valuenow')) > place + 3",
        arg=before,
    )
    open_.page.get_by_role("button", name="Pause").click()
    stopped = place()
    open_.page.wait_for_timeout(200)
    assert place() == stopped


def test_it_is_used_without_a_mouse(tab, note):
    """From the strip by arrow keys to another layer, and over its map."""
    open_ = tab(note)
    keyboard = open_.page.keyboard
    for _ in range(60):
        keyboard.press("Tab")
        if open_.page.evaluate("document.activeElement.dataset.layer") == "image":
            break
    keyboard.press("ArrowRight")
    keyboard.press("ArrowRight")
    assert open_.page.evaluate("document.activeElement.dataset.layer") == "relu"
    assert open_.page.locator(".part-head h3").inner_text().startswith("relu")
    for _ in range(60):
        keyboard.press("Tab")
        if open_.page.evaluate("document.activeElement.getAttribute('role')") == "slider":
            break
    before = open_.page.evaluate("document.activeElement.getAttribute('aria-valuetext')")
    keyboard.press("ArrowRight")
    keyboard.press("ArrowDown")
    after = open_.page.evaluate("document.activeElement.getAttribute('aria-valuetext')")
    assert before != after
    row, column = (int(word.strip(",:")) for word in after.split() if word.strip(",:").isdigit())
    formula = open_.page.locator("[data-formula=activation]").inner_text()
    assert f"{row}, {column}]" in formula


def test_the_place_is_kept_in_the_address(tab, note):
    first = tab(note)
    first.backward()
    first.layer("pool")
    first.point("gradient of the output", 3, 12)
    first.page.wait_for_function("() => location.hash.endsWith('/3/12')")
    address = first.page.url
    words = first.page.locator("[data-formula=pooling]").inner_text()
    second = tab(address)
    assert second.page.locator("[data-formula=pooling]").inner_text() == words
    assert "3, 12]" in words


def test_what_it_looks_at(tab, note, explained):
    open_ = tab(note)
    section = open_.page.locator("#looks")
    for method, found in [
        ("Grad-CAM", explained.grad_cam()),
        ("occlusion", explained.occlusion()),
        ("gradient × input", explained.gradient_times_input()),
    ]:
        section.get_by_role("button", name=method).click()
        words = section.inner_text()
        row, column = np.unravel_index(int(found.map.argmax()), found.map.shape)
        assert f"row {row}, column {column}" in words
        assert f"{found.deletion:.3f}"[:4] in words
        assert f"{found.insertion:.3f}"[:4] in words
    open_.page.locator("#looks").get_by_role("button", name="Grad-CAM").click()
    section.locator("select").select_option(label="conv1")
    assert "features of conv1" in section.inner_text()


def test_filters_show_their_top_activations(tab, note, trained, explained):
    _, data = trained
    open_ = tab(note)
    pictures = open_.page.locator("#filters .top-activation")
    assert pictures.count() == 16 * 3
    top_activations = explained.filters("conv1", data.train, most=200).top_activations
    assert (
        pictures.nth(0)
        .get_attribute("aria-label")
        .startswith(f"image {top_activations[0][0].index}:")
    )


def holes(open_):
    """Where the maps of the view are."""
    return open_.page.evaluate(
        """() => [...document.querySelectorAll(".part-view .hole")].map((hole) => {
            const { x, y, width, height } = hole.getBoundingClientRect();
            return [x, y, width, height].map(Math.round);
        })"""
    )


@pytest.mark.parametrize("width", [1280, 900, 400])
def test_a_map_stays_under_the_pointer(tab, note, all_kinds, width):
    """What is written beside it, and below, is longer for some numbers than for others."""
    for address in (note, all_kinds):
        open_ = tab(address, width=width)
        for side in ("forward", "backward"):
            if side == "backward":
                open_.backward()
            for layer in open_.page.locator("[data-layer]").all():
                layer.click()
                for hole in open_.page.locator(".part-view [role=slider] .hole").all():
                    hole.scroll_into_view_if_needed()
                    before, box = holes(open_), hole.bounding_box()
                    for n in range(6):
                        x, y = (n * 37 % 23 + 0.5) / 23, (n * 29 % 19 + 0.5) / 19
                        open_.page.mouse.move(
                            box["x"] + box["width"] * x, box["y"] + box["height"] * y
                        )
                        assert holes(open_) == before, (layer.get_attribute("data-layer"), side, n)


def test_addresses_that_say_nothing_are_ignored(tab, note):
    for bad in ("#forward/%", "#%", "#sideways/pool/1/2/3", "#forward/nothing/1/2/3", "#forward"):
        open_ = tab(note + bad)
        assert open_.page.locator(".part-head h3").inner_text().startswith("conv1")
    words = open_.page.locator(".formula").first.inner_text()
    # The page writes its place into the address a moment after it has opened.
    open_.page.wait_for_function("() => location.hash.startsWith('#forward/conv1/')")
    address = open_.page.url
    for bad in ("#forward/%", "#backward/nothing", "#"):
        open_.page.evaluate("bad => { location.hash = bad; }", bad)
        open_.page.wait_for_function("address => location.href === address", arg=address)
        assert open_.page.locator(".formula").first.inner_text() == words
    # Numbers that a layer has not become some that it has.
    far = tab(note + "#forward/pool/99/4000/99999999999999999999")
    assert "15, 15]" in far.page.locator("[data-formula=pooling]").inner_text()
    far.page.evaluate("() => { location.hash = '#backward/pool/3/2/x'; }")
    far.page.wait_for_function("() => location.hash.endsWith('backward/pool/3/2/8')")
    assert "[3, 2, 8]" in far.page.locator("[data-formula=pooling]").inner_text()
    pressed = far.page.get_by_role("button", name="Backward").get_attribute("aria-pressed")
    assert pressed == "true"


@pytest.mark.parametrize("layer", ["fc", "softmax", "image"])
def test_the_address_holds_layers_without_a_cursor_too(tab, note, layer):
    open_ = tab(note)
    open_.backward()
    open_.layer(layer)
    if layer == "fc":
        open_.page.locator(".part-view select").select_option(index=6)
    open_.page.wait_for_function("layer => location.hash.includes(`backward/${layer}`)", arg=layer)
    words = open_.page.locator(".part-view .formula").inner_text()
    again = tab(open_.page.url)
    assert again.page.locator(".part-view .formula").inner_text() == words


def test_place_and_speed_are_kept_for_each_layer(tab, note):
    open_ = tab(note)
    page = open_.page
    page.get_by_role("button", name="channel 3", exact=True).click()
    page.get_by_role("button", name="slow").click()
    page.get_by_role("button", name="true convolution").click()
    open_.point("output map", 21, 9)
    words = page.locator("[data-formula=convolution]").inner_text()
    assert words.startswith("y[3, 21, 9]")
    for way in (["pool"], ["fc"], ["softmax", "image", "flatten"]):
        for layer in [*way, "conv1"]:
            open_.layer(layer)
        assert page.locator("[data-formula=convolution]").inner_text() == words, way
        for name in ("slow", "true convolution"):
            assert page.get_by_role("button", name=name).get_attribute("aria-pressed") == "true"
    # Who moves in another layer, goes on at that part of the image, also over a layer without one.
    open_.layer("pool")
    open_.point("output map", 2, 14)
    for way in (["conv1"], ["pool", "fc", "conv1"]):
        for layer in way:
            open_.layer(layer)
        assert "y[3, 5, 29]" in page.locator("[data-formula=convolution]").inner_text()
