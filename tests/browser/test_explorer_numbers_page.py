"""The explorer in a real browser: numbers that are refused, changes that are taken back, and what
becomes of uploaded pictures.
"""

import numpy as np
import pytest
from explorer_pages import wait_for
from exploring import served

import neocog
from neocog.preprocessing import RESIZE_MODES, Preprocessing, Resize


def refusal(open_, words):
    """What the page says, when it says something with these words."""
    wait_for(
        open_,
        "words => document.querySelector('[role=alert]').textContent.includes(words)",
        arg=words,
    )
    return open_.page.locator("[role=alert]").inner_text()


def test_refused_numbers_do_not_stay(tab, address, server):
    """Each box shows again what holds, and the message has the user's words."""
    open_ = tab(address)
    index = open_.page.get_by_label("number of a test image")
    before = server.state()
    for box, typed, held, words in [
        ("learning rate", "-1", "0.001", "from 0 to 10⁶; -1 was typed."),
        ("learning rate", "", "0.001", "no number was typed"),
        ("batch size", "2.5", "4", "a whole number from 1 to 600; 2.5 was typed."),
        ("number of a test image", "50", "0", "a whole number from 0 to 49; 50 was typed."),
        ("number of a test image", "", "0", "no number was typed"),
        ("row 0, column 1", "1e30", "0", "from −10¹⁸ to 10¹⁸; 1e30 was typed."),
        ("bias", "", "0", "The bias must be a number"),
    ]:
        field = open_.page.get_by_label(box, exact=True)
        field.fill(typed)
        field.press("Enter")
        field.blur()
        said = refusal(open_, words)
        assert "None" not in said and "(=" not in said
        assert field.input_value() == held, box
    card = open_.page.locator(".card", has_text="Change a weight")
    change = card.get_by_role("button", name="Change")
    change.click()
    refusal(open_, "The new value must be a number from −10¹⁸ to 10¹⁸; no number was typed.")
    card.get_by_label("new value").fill("7")
    place = card.get_by_label("index 1 of conv1.weight, below 3")
    place.fill("3")
    change.click()
    refusal(open_, "The index must be a whole number from 0 to 2; 3 was typed.")
    assert place.input_value() == "0"
    after = server.state()
    assert [after[key] for key in ("picture", "training", "changes")] == [
        before[key] for key in ("picture", "training", "changes")
    ]
    # What the message is about may be followed by a press at once, which does not hide it.
    rate = open_.page.get_by_label("learning rate")
    rate.fill("1e9")
    open_.page.get_by_role("button", name="Next →").click()
    wait_for(open_, "() => document.querySelector('header .picture')")
    refusal(open_, "10⁶; 1e9 was typed.")
    index.fill("9")
    with open_.page.expect_response("**/api/picture"):
        index.press("Enter")
    assert server.state()["picture"]["index"] == 9


def test_what_is_shown_is_of_the_numbers_in_the_boxes(tab, address):
    """Also when a number that was half typed is gone, refused or taken back."""
    open_ = tab(address)
    cell = open_.page.get_by_label("row 1, column 0", exact=True)
    caption = open_.page.locator(".tools figcaption", has_text="Orange is above zero")
    words = "document.querySelector('.tools').textContent.includes(words)"
    own = caption.inner_text()
    for leave in ("Enter", "Escape"):
        cell.fill("")
        with open_.page.expect_response("**/api/kernel"):
            cell.press_sequentially("1")
        wait_for(open_, f"words => !{words}", arg=own)
        cell.press_sequentially("e99")  # on the way 1e9 is drawn
        cell.press(leave)
        assert cell.input_value() == "-2"
        wait_for(open_, f"words => {words}", arg=own)
    card = open_.page.locator(".card", has_text="Change a weight")
    value = card.get_by_label("new value")
    place = card.get_by_label("index 3 of conv1.weight, below 3")
    now = value.get_attribute("placeholder")
    place.fill("2")
    assert value.get_attribute("placeholder") != now
    place.press("Escape")
    assert (place.input_value(), value.get_attribute("placeholder")) == ("0", now)


def test_new_weights_can_be_taken_back(tab, address, server):
    open_ = tab(address)
    undo = open_.page.get_by_role("button", name="Undo")
    assert undo.is_disabled()
    for steps in ("1 step", "2 steps"):
        open_.page.get_by_role("button", name="One step").click()
        wait_for(
            open_,
            "words => document.querySelector('.progress').textContent.startsWith(words)",
            arg=f"{steps}, ",
        )
    trained = server.weights()
    for _ in range(2):
        open_.page.get_by_role("button", name="New weights").click()
        wait_for(open_, "() => /^No step/.test(document.querySelector('.progress').textContent)")
    assert undo.inner_text() == "Undo: back to 2 steps"
    undo.click()
    wait_for(open_, "() => /^2 steps,/.test(document.querySelector('.progress').textContent)")
    for name, value in server.weights().items():
        np.testing.assert_array_equal(value, trained[name])


@pytest.mark.parametrize("mode", RESIZE_MODES)
def test_it_says_what_becomes_of_a_picture(tab, mode):
    net = neocog.Network(input_shape=(3, 6, 5), flatten=neocog.Flatten(), fc=neocog.Linear(90, 3))
    net.initialize(0)
    net.preprocessing = Preprocessing(resize=Resize(mode))
    said = {
        "stretch": "All of it is scaled to 6 × 5 pixels, whatever its shape.",
        "crop": "It is scaled, and its middle of 6 × 5 pixels is taken.",
        "letterbox": "All of it is scaled to fit into 6 × 5 pixels; the rest is filled.",
    }
    with served(net, None) as page:
        assert said[mode] in tab(page.address, ready=".upload").page.locator("body").inner_text()
