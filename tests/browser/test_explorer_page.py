"""The explorer in a real browser: pictures, training, kernels and weights, live."""

import re

import numpy as np
import pytest
from exploring import at, png, served
from test_page import AXE, NARROW, serious, too_wide

import neocog
from neocog import reference
from neocog.data.shapes import shapes
from neocog.web.door import leading_to

DATA = shapes(0, 600, 50)
NUMBER = "document.querySelector('[aria-label=\"number of a test image\"]')"


@pytest.fixture
def server():
    network = neocog.models.simple_cnn()
    network.initialize(0)
    with served(network, DATA) as page:
        yield page


@pytest.fixture
def address(server):
    return server.address


def shown(open_):
    """The numbers of the output map, as an image's bytes."""
    return open_.page.locator(".part-view canvas").last.evaluate("c => c.toDataURL()")


def wait_for(open_, what, *, arg=None):
    open_.page.wait_for_function(what, arg=arg, timeout=120_000)


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
        wait_for(open_, "() => /^Not a step/.test(document.querySelector('.progress').textContent)")
    assert undo.inner_text() == "Undo: back to 2 steps"
    undo.click()
    wait_for(open_, "() => /^2 steps,/.test(document.querySelector('.progress').textContent)")
    for name, value in server.weights().items():
        np.testing.assert_array_equal(value, trained[name])


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


def test_the_place_survives_a_reload(tab, address):
    open_ = tab(address)
    open_.layer("relu")
    open_.page.get_by_role("button", name="channel 5", exact=True).click()
    open_.point("output", 3, 12)
    open_.page.wait_for_function("() => location.hash.endsWith('/relu/5/3/12')")
    open_.page.reload()
    formula = open_.page.locator("[data-formula=activation]")
    formula.wait_for()
    assert formula.inner_text().startswith("y[5, 3, 12]")


def test_a_camera_s_whole_frame_is_looked_at(tab, address, server):
    """As any other picture: the same pixels by the same way."""
    open_ = tab(address)
    # A camera of 40 × 20: red on the left, green in the middle, blue on the right.
    open_.page.evaluate(
        """() => {
            const canvas = Object.assign(document.createElement("canvas"), {width: 40, height: 20});
            const context = canvas.getContext("2d");
            const paint = () => ["#f00", "#0f0", "#00f", "#00f"].forEach((color, n) => {
                context.fillStyle = color;
                context.fillRect(10 * n, 0, 10, 20);
            });
            paint();
            setInterval(paint, 50);
            window.canvas = canvas;
            navigator.mediaDevices.getUserMedia = async () => canvas.captureStream(20);
        }"""
    )
    open_.page.get_by_role("button", name="Camera").click()
    wait_for(open_, "() => document.querySelector('video')?.videoWidth === 40")
    open_.page.wait_for_timeout(300)
    open_.page.get_by_role("button", name="Take the picture").click()
    wait_for(
        open_,
        "() => document.querySelector('[aria-label=\"number of a test image\"]').value === ''",
    )
    structure, block = server.binary("/api/explanation")
    pixels = at(structure["pixels"], block)
    across = pixels[:, 16]
    colors = [[int(c > 128) for c in across[:, column]] for column in (3, 12, 20, 28)]
    assert colors == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]]


def test_two_tabs_see_the_same(tab, address):
    first, second = tab(address), tab(address)
    first.page.get_by_role("button", name="Next →").click()
    wait_for(
        second,
        f"() => {NUMBER}.value === '1'",
    )


def test_the_token_leaves_the_address(tab, address, server, tmp_path):
    """Also where the way begins at a file, as the command has it, or at a page of another site."""
    file = tmp_path / "open.html"
    file.write_text(leading_to(address))
    for begin in (address, file.as_uri()):
        open_ = tab(begin)
        assert open_.page.evaluate("location.href").partition("#")[0] == f"{server.origin}/"
        open_.page.reload()
        open_.page.wait_for_selector(".strip")
        assert open_.page.evaluate("document.cookie") == ""
    other = tmp_path / "other.html"
    other.write_text(f'<a href="{server.origin}/">the explorer</a>')
    stranger = open_.page.context.new_page()
    stranger.goto(other.as_uri())
    stranger.get_by_role("link").click()
    stranger.get_by_role("link", name="Go on").click()
    stranger.wait_for_selector(".strip")


def test_nothing_is_shown_without_the_token(tab, address, server, chromium):
    tab(address)
    context = chromium.new_context()
    stranger = context.new_page()
    assert stranger.goto(f"{server.origin}/").status == 403
    assert "open the whole address" in stranger.locator("main").inner_text()
    stranger.get_by_role("link", name="Go on").click()
    assert "open the whole address" in stranger.locator("main").inner_text()
    context.close()


def test_another_explorer_at_the_same_address(tab):
    """The page of the one before does nothing to it, and becomes its page as soon as it may."""
    network = neocog.models.simple_cnn()
    network.initialize(0)
    with served(network, DATA) as server:
        open_ = tab(server.address, complains=True)
    with served(network, DATA, server.port) as other:
        # What a link leads to is sent without the page's own header.
        saved = open_.page.get_by_role("link", name="Save the network").get_attribute("href")
        assert saved.startswith("/api/model.safetensors?")
        status, _, refused = other.send("GET", saved)
        assert (status, b"started anew" in refused) == (409, True)
        other.do("/api/picture", index=5)
        open_.page.get_by_role("button", name="Next →").click()
        message = open_.page.locator("[role=alert]")
        wait_for(open_, "() => document.querySelector('[role=alert]').innerText.includes('token')")
        assert "open the whole address" in message.inner_text()
        # Now this browser has the token of the other one.
        open_.page.context.new_page().goto(other.address)
        open_.page.get_by_role("button", name="Next →").click()
        wait_for(open_, "() => document.querySelector('[role=alert]').innerText.includes('anew')")
        wait_for(
            open_,
            f"() => {NUMBER}?.value === '5'",
        )
        assert other.state()["picture"]["index"] == 5
        open_.page.get_by_role("button", name="Next →").click()
        wait_for(
            open_,
            f"() => {NUMBER}?.value === '6'",
        )


def test_the_explorer_is_closed(tab):
    network = neocog.models.simple_cnn()
    network.initialize(0)
    with served(network, DATA) as server:
        open_ = tab(server.address, complains=True)
    message = open_.page.locator("[role=alert]")
    message.wait_for()
    assert "does not answer" in message.inner_text()


@pytest.mark.parametrize(("width", "dark"), [(1280, True), (400, False)])
def test_it_fits_and_is_accessible(tab, address, width, dark):
    open_ = tab(address, width=width, dark=dark)
    open_.page.get_by_role("button", name="One step").click()
    open_.page.locator(".batch").wait_for(timeout=120_000)
    for narrow in (width, *NARROW):
        open_.page.set_viewport_size({"width": narrow, "height": 900})
        assert too_wide(open_) == []
    open_.page.set_viewport_size({"width": width, "height": 900})
    open_.keep(f"explore-{width}{'-dark' if dark else ''}")
    if AXE is not None:
        # The page's own policy lets no script in but its own, so it comes as a program to run.
        open_.page.evaluate(AXE.read_text())
        assert serious(open_, "html") == []
