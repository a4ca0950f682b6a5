"""The explorer in a real browser: reloads, tabs, tokens, and a camera."""

import pytest
from explorer_pages import DATA, wait_for
from exploring import at, served
from page_checks import AXE, NARROW, serious, too_wide

import neocog
from neocog.web.door import leading_to

NUMBER = "document.querySelector('[aria-label=\"number of a test image\"]')"


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
    pixels = 127.5 * (at(structure["layers"][0]["output"], block) + 1)
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
        assert (status, b"started again" in refused) == (409, True)
        other.do("/api/picture", index=5)
        open_.page.get_by_role("button", name="Next →").click()
        message = open_.page.locator("[role=alert]")
        wait_for(open_, "() => document.querySelector('[role=alert]').innerText.includes('token')")
        assert "open the whole address" in message.inner_text()
        # Now this browser has the token of the other one.
        open_.page.context.new_page().goto(other.address)
        open_.page.get_by_role("button", name="Next →").click()
        wait_for(open_, "() => document.querySelector('[role=alert]').innerText.includes('again')")
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
