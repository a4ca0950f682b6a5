"""The page to try a served model: it shows what the server says, and keeps nobody out."""

import pytest
from page_checks import AXE, NARROW, serious, too_wide
from served import picture, serving, small_network, wait_until

LONG = "a_label_without_any_place_to_break_it_" * 3


@pytest.fixture(scope="module")
def served_model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    network = small_network(classes=("cat", "<b>dog</b>", LONG))
    network.threshold = 0.99  # noise gets no answer
    network.save(folder / "model.safetensors")
    with serving(folder / "model.safetensors", folder) as server:
        yield server


@pytest.fixture
def open_page(tab, served_model):
    def open_(**options):
        return tab(f"{served_model.address}/", ready="input[type=file]", **options)

    return open_


def choose(open_, *files):
    """Choose files, as (name, content), and wait until all are answered."""
    given = [{"name": name, "mimeType": "image/png", "buffer": content} for name, content in files]
    open_.page.set_input_files("input[type=file]", given)
    status = open_.page.get_by_role("status")
    wait_until(
        lambda: (open_.page.locator("figure").count(), status.inner_text()) == (len(given), "")
    )


def test_it_shows_what_the_server_says(open_page, served_model):
    files = [(f"picture {n}.png", picture(n)) for n in range(20)]
    open_ = open_page()
    choose(open_, *files)
    shown = open_.page.eval_on_selector_all(
        "figure",
        """all => all.map((f) => [f.querySelector("strong").textContent,
            [...f.querySelectorAll("tr")].map((r) => [...r.cells].map((c) => c.textContent))])""",
    )
    assert [name for name, _ in shown] == [name for name, _ in files]
    for (_name, rows), (_file, content) in zip(shown, files, strict=True):
        (answer,) = served_model.send("/predict?top=5", content)[1]
        wanted = [[one["label"], f"{100 * one['probability']:.1f} %"] for one in answer["top"]]
        assert rows == wanted
        assert answer["label"] is None
    assert open_.page.get_by_text("None of these").count() == 20
    sizes = open_.page.eval_on_selector_all("img", "all => all.map((i) => i.naturalWidth)")
    assert sizes == [32] * 20
    assert [
        url for url in open_.requests if not url.startswith((served_model.address, "blob:"))
    ] == []


def test_what_is_no_picture_is_said_in_its_place(open_page):
    open_ = open_page(complains=True)
    choose(open_, ("good.png", picture()), ("<i>bad</i>.png", b"no picture"))
    errors = open_.page.eval_on_selector_all(
        "figure", "all => all.map((f) => f.querySelector('.error')?.textContent)"
    )
    assert errors == [None, "The picture is not an image that Pillow knows."]
    assert open_.page.locator("figure i").count() == 0
    wait_until(lambda: open_.page.locator("img").count() == 1)
    choose(open_, ("bad.png", b"no picture"))  # then the whole request is refused
    assert open_.page.locator(".error").count() == 1


def test_labels_and_numbers_are_shown(open_page):
    """The answers of networks of other kinds, put in place of the server's."""
    answers = [
        {"image": "0", "labels": ["sun", "wind"], "top": [{"label": "sun", "probability": 0.75}]},
        {"image": "1", "labels": [], "top": [{"label": "sun", "probability": 0.25}]},
        {"image": "2", "values": [{"label": "size", "value": -1234.5678}]},
    ]
    open_ = open_page()
    open_.page.route("**/predict*", lambda route: route.fulfill(json=answers))
    choose(open_, *((f"{n}.png", picture(n)) for n in range(3)))
    texts = open_.page.locator("figcaption").all_inner_texts()
    assert "Labels: sun, wind" in texts[0] and "75.0 %" in texts[0]
    assert "No label." in texts[1] and "25.0 %" in texts[1]
    assert "size" in texts[2] and "-1234.57" in texts[2] and "%" not in texts[2]


def test_a_server_that_is_gone_is_said(open_page):
    open_ = open_page(complains=True)
    open_.page.route("**/predict*", lambda route: route.abort())
    open_.page.set_input_files(
        "input[type=file]", {"name": "a.png", "mimeType": "image/png", "buffer": picture()}
    )
    status = open_.page.get_by_role("status")
    wait_until(lambda: status.inner_text() == "The server cannot be reached.")


def test_files_are_chosen_by_keyboard(open_page):
    open_ = open_page()
    open_.page.keyboard.press("Tab")
    assert open_.page.evaluate("document.activeElement.type") == "file"
    with open_.page.expect_file_chooser():
        open_.page.keyboard.press("Enter")


@pytest.mark.parametrize("width", [1280, *NARROW])
def test_nothing_is_wider_than_the_window(open_page, width):
    open_ = open_page(width=width, complains=True)
    choose(open_, ("a_name_without_any_place_to_break_it_" * 5, picture()), ("x", b"no picture"))
    assert too_wide(open_) == []
    open_.keep(f"serving-{width}")


@pytest.mark.skipif(AXE is None, reason="NEOCOG_AXE does not name axe.min.js")
@pytest.mark.parametrize(("width", "dark"), [(1280, True), (1280, False), (400, True)])
def test_accessibility(open_page, width, dark):
    open_ = open_page(width=width, dark=dark, complains=True)
    choose(open_, ("cat.png", picture()), ("notes.txt", b"no picture"))
    open_.keep(f"serving-{width}-{'dark' if dark else 'light'}")
    open_.page.evaluate(AXE.read_text())  # the page's policy lets no other script in
    assert serious(open_, "html") == []
