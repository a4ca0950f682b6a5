"""The explorer in a real browser: pictures, training, kernels and weights, live."""

import re

import numpy as np
import pytest
from explorer_pages import DATA, wait_for
from exploring import png

import neocog
from neocog import reference


def shown(open_):
    """The numbers of the output map, as an image's bytes."""
    return open_.page.locator(".part-view canvas").last.evaluate("c => c.toDataURL()")


def steps_of(open_):
    words = open_.page.locator(".progress").inner_text()
    found = re.match(r"([\d,]+) steps?\b", words)
    return int(found[1].replace(",", "")) if found else 0


def test_another_picture_and_another_label(tab, address):
    open_ = tab(address)
    source = open_.page.locator("header .picture")
    first = source.get_attribute("src")
    open_.page.get_by_role("button", name="Next →").click()
    wait_for(open_, "src => document.querySelector('header .picture').src !== src", arg=first)
    assert open_.page.get_by_label("number of a test image").input_value() == "1"
    name = DATA.classes[(int(DATA.test.labels[1]) + 1) % 10]
    open_.page.locator(".card", has_text="The picture").locator("select").first.select_option(
        label=name
    )
    wait_for(
        open_, "name => document.querySelector('header p').textContent.includes(name)", arg=name
    )


def test_a_picture_of_ones_own_and_one_that_is_broken(tab, address, tmp_path):
    open_ = tab(address, complains=True)
    source = open_.page.locator("header .picture")
    first = source.get_attribute("src")
    broken = tmp_path / "broken.png"
    broken.write_bytes(png(np.zeros((8, 8, 3), np.uint8))[:40])
    field = open_.page.get_by_label("picture to upload")
    field.set_input_files(broken)
    message = open_.page.locator("[role=alert]")
    message.wait_for()
    assert "decoded" in message.inner_text() or "not an image" in message.inner_text()
    assert source.get_attribute("src") == first
    whole = tmp_path / "whole.png"
    whole.write_bytes(png(np.full((50, 90), 200, np.uint8)))  # another size, and gray
    field.set_input_files(whole)
    wait_for(open_, "src => document.querySelector('header .picture').src !== src", arg=first)
    assert not message.is_visible()
    assert open_.page.get_by_label("number of a test image").input_value() == ""


def test_it_learns_before_ones_eyes(tab, address, server):
    open_ = tab(address)
    before = shown(open_)
    open_.page.get_by_role("button", name="One step").click()
    wait_for(open_, "() => /^1 step,/.test(document.querySelector('.progress').textContent)")
    open_.page.get_by_role("button", name="Start").click()
    # The first explanation on the way, and some steps more.
    wait_for(
        open_,
        "() => Number((document.querySelector('.progress').textContent"
        ".match(/^([\\d,]+) steps/) ?? [0, '0'])[1].replace(',', '')) > 40",
    )
    open_.page.get_by_role("button", name="Pause").click()
    open_.page.get_by_role("button", name="Start").wait_for()
    wait_for(open_, "() => !document.getElementById('looks').hidden")
    assert shown(open_) != before
    assert open_.page.locator(".batch").is_visible()
    assert server.state()["training"]["steps"] == steps_of(open_)
    open_.keep("explore-1280")


def test_settings_of_training(tab, address, server):
    open_ = tab(address, complains=True)
    for label, value, key in [
        ("learning rate", "0.01", "rate"),
        ("batch size", "16", "batch_size"),
    ]:
        field = open_.page.get_by_label(label)
        field.fill(value)
        field.press("Enter")
        field.blur()
        wait_for(open_, "() => document.querySelector('[role=alert]').hidden")
        open_.page.wait_for_timeout(300)
        assert server.state()["training"][key] == float(value)
    field = open_.page.get_by_label("momentum")
    field.fill("2")
    field.blur()
    open_.page.locator("[role=alert]").wait_for()
    said = open_.page.locator("[role=alert]").inner_text()
    assert said == "The momentum must be a number from 0 and below 1; 2 was typed."
    assert field.input_value() == "0.9"


def test_a_drawn_kernel(tab, address):
    open_ = tab(address)
    kernel = np.arange(9).reshape(3, 3) - 4.0
    for n, value in enumerate(kernel.reshape(-1)):
        open_.page.get_by_label(f"row {n // 3}, column {n % 3}", exact=True).fill(f"{value:g}")
    x = reference.preprocess(DATA.test.images[:1], (0.5,) * 3, (0.5,) * 3)
    expected = sum(reference.cross_correlation(channel, kernel, 1) for channel in x[0])
    words = f"From {expected.min():.3f}".replace("-", "−")[:9]
    wait_for(
        open_,
        "words => document.querySelector('.tools').textContent.includes(words)",
        arg=words,
    )


def test_a_changed_weight(tab, address, server):
    network = neocog.models.simple_cnn()
    network.initialize(0)
    state = network.state_dict()
    open_ = tab(address)
    card = open_.page.locator(".card", has_text="Change a weight")
    card.locator("select").select_option(label="fc.bias")
    card.get_by_label("index 0 of fc.bias, below 10").fill("3")
    now = card.get_by_label("new value").get_attribute("placeholder")
    assert now.removeprefix("now ")[:6].replace("−", "-") in f"{state['fc.bias'][3]:.8f}"
    card.get_by_label("new value").fill("5")
    card.get_by_role("button", name="Change").click()
    card.locator("tbody").wait_for()
    state["fc.bias"][3] = 5
    network.load_state_dict(state)
    expected = 100 * network.predict_proba(DATA.test.images[:1])[0, 3]
    row = card.locator("tbody tr", has_text=DATA.classes[3])
    assert float(row.locator("td").nth(1).inner_text().split()[0]) == pytest.approx(
        expected, abs=0.1
    )
    card.get_by_role("button", name="Take back").click()
    wait_for(open_, "() => document.querySelector('.tools').textContent.includes('from 5 to')")


def test_what_is_done_stays_while_it_trains(tab, address, server):
    """The view is brought up to date several times; only its numbers tell."""
    open_ = tab(address)
    page = open_.page
    server.do("/api/training", rate=1e-4)
    page.evaluate("window.views = []")
    page.get_by_role("button", name="slow").click()
    grid = page.locator('[role=slider][aria-label^="output map"]')
    grid.focus()
    keep = "() => { window.node = document.activeElement; window.shown = undefined; }"
    page.evaluate(keep)
    page.get_by_role("button", name="Play").click()
    grid.focus()
    page.evaluate(
        "() => { const note = document.querySelector('.formula .note').firstChild;"
        " getSelection().setBaseAndExtent(note, 4, note, 10); }"
    )
    place = int(grid.get_attribute("aria-valuenow"))
    updates = "document.querySelector('.part-answer p').textContent"
    words = page.evaluate(updates)
    server.do("/api/training/start")
    for _ in range(3):
        wait_for(open_, f"words => {updates} !== words", arg=words)
        words = page.evaluate(updates)
    assert page.evaluate("document.activeElement === window.node && window.node.isConnected")
    assert page.evaluate("getSelection().toString()") == "engine"
    assert page.get_by_role("button", name="Pause").count() == 2  # training's, and the map's
    assert page.get_by_role("button", name="slow").get_attribute("aria-pressed") == "true"
    wait_for(
        open_,
        "place => Number(document.querySelector('[aria-label^=\"output map\"]')"
        ".getAttribute('aria-valuenow')) > place",
        arg=place,
    )
    # On the way back a weight is chosen, and one among those of a step of learning.
    open_.backward()
    page.locator(".part-view .square button").nth(1).click()
    lists = page.locator("#learning select")
    lists.nth(0).select_option(index=2)  # of more numbers than are listed
    lists.nth(1).select_option(index=40)
    lists.nth(0).blur()
    formula = page.locator("[data-formula=sgd] p").first
    chosen = formula.inner_text().split("=")[0]
    for _ in range(4):
        wait_for(open_, f"words => {updates} !== words", arg=words)
        words = page.evaluate(updates)
    pressed = page.locator(".part-view .square button")
    assert [b.get_attribute("aria-pressed") for b in pressed.all()][:3] == [
        "false",
        "true",
        "false",
    ]
    assert ", 0, 1]" in page.locator("[data-formula=kernel-gradient] p").first.inner_text()
    assert formula.inner_text().split("=")[0] == chosen
    server.do("/api/training/pause")


def test_the_map_stays_under_the_pointer_while_it_trains(tab, address, server):
    open_ = tab(address, width=900)
    open_.point("output map", 20, 20)
    hole = open_.page.locator('[role=slider][aria-label^="output map"] .hole')
    box = hole.bounding_box()
    server.do("/api/training", rate=0.01)
    server.do("/api/training/start")
    updates = "document.querySelector('.part-answer p').textContent"
    words = open_.page.evaluate(updates)
    for _ in range(5):
        wait_for(open_, f"words => {updates} !== words", arg=words)
        words = open_.page.evaluate(updates)
        now = hole.bounding_box()
        assert abs(now["x"] - box["x"]) < 1 and abs(now["y"] - box["y"]) < 1
    server.do("/api/training/pause")
