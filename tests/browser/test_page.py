"""The page in a real browser: its numbers are the engine's, and it can be used in every way."""

import json
import math
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import neocog
from neocog import models
from neocog.explanation import explain
from neocog.explanation.page.html import bundle, page
from neocog.explanation.page.payload import pack
from neocog.explanation.page.top_activations import top_activation_sprites
from neocog.layers import (
    GELU,
    AdaptiveMaxPool2d,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Flatten,
    LeakyReLU,
    Linear,
    MaxPool2d,
    Residual,
    Scale,
    Sequential,
    Sigmoid,
    SiLU,
    Tanh,
)
from neocog.network import Network

#: The accessibility checker's program, if it is here.
AXE = Path(os.environ["NEOCOG_AXE"]) if os.environ.get("NEOCOG_AXE") else None

#: Widths of telephones' windows.
NARROW = (440, 400, 360, 320)

# Float32's roundings in sums of some hundred products, of the largest number that is added.
CLOSE = 1e-4


def every_kind():
    """Every kind of layer, with unusual geometry, and channels that only some of see each other."""
    return Network(
        input_shape=(2, 13, 11),
        classes=("one", "two", "three"),
        conv1=Conv2d(2, 6, (3, 2), stride=(1, 2), padding=(2, 1)),
        tanh=Tanh(),
        block=Residual(
            Sequential(
                conv=Conv2d(6, 6, 3, padding="same", dilation=2, groups=3, bias=False),
                norm=BatchNorm2d(6),
                gelu=GELU(),
            ),
            Conv2d(6, 6, 1),
        ),
        leaky=LeakyReLU(0.1),
        average=AvgPool2d(3, stride=2, padding=1),
        inner=Residual(Conv2d(6, 6, 3, padding=1)),
        gelu=GELU("tanh"),
        most=MaxPool2d(2, stride=1, padding=1),
        depth=Conv2d(6, 20, 3),
        silu=SiLU(),
        pool=AdaptiveMaxPool2d(),
        flatten=Flatten(),
        fc1=Linear(20, 7),
        sigmoid=Sigmoid(),
        fc2=Linear(7, 3, bias=False),
        scale=Scale(2.5),
    )


@pytest.fixture(scope="module")
def every_kind_explained():
    network = every_kind()
    network.initialize(3)
    state, rng = network.state_dict(), np.random.default_rng(0)
    state["block.body.norm.running_mean"] = rng.normal(size=6).astype(np.float32) / 4
    state["block.body.norm.running_var"] = rng.uniform(0.25, 2, 6).astype(np.float32)
    network.load_state_dict(state)
    return explain(network, rng.integers(0, 256, (13, 11, 2), np.uint8), "two")


@pytest.fixture(scope="module")
def trained():
    """The note's network after an epoch on shapes, an image of them, and the data."""
    data = neocog.load_data("shapes")
    network = models.simple_cnn()
    neocog.fit(network, data.train[:2000], epochs=1, classes=data.classes)
    return network, data


@pytest.fixture(scope="module")
def explained(trained):
    network, data = trained
    return explain(network, data.test.images[5], int(data.test.labels[5]))


@pytest.fixture(scope="module")
def note(trained, explained, tmp_path_factory):
    """The page of the note's network, as an address."""
    _, data = trained
    path = tmp_path_factory.mktemp("page") / "note.html"
    path.write_text(
        page(pack(explained, filters=top_activation_sprites(explained, data.train, images=200)))
    )
    return path.as_uri()


@pytest.fixture(scope="module")
def all_kinds(every_kind_explained, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "all.html"
    path.write_text(page(pack(every_kind_explained)))
    return path.as_uri()


def test_a_number_of_a_convolution_is_the_sum_of_its_products(tab, note, explained):
    """At corners, where padding counts, at edges and inside."""
    open_ = tab(note)
    conv, size = explained["conv1"], 32
    for row, column in [(0, 0), (0, 31), (31, 0), (31, 31), (0, 7), (16, 31), (9, 20)]:
        open_.page.get_by_role("button", name="channel 4", exact=True).click()
        open_.point("output map", row, column)
        words = f"y[4, {row}, {column}]"
        open_.page.wait_for_function(
            "words => document.querySelector('.formula').textContent.startsWith(words)", arg=words
        )
        patch = conv.patch(4, row, column)
        kernel = conv.parameters["weight"][4]
        cells = np.array(open_.values(".terms")).reshape(3, 3, 3, 3)
        assert np.array_equal(cells[:, 0].astype(np.float32), patch)
        assert np.array_equal(cells[:, 1].astype(np.float32), kernel)
        np.testing.assert_array_equal(cells[:, 2], cells[:, 0] * cells[:, 1])
        ((_, result, engine),) = [r for r in open_.results() if r[0] == "convolution"]
        bias = float(conv.parameters["bias"][4])
        assert math.isclose(result, cells[:, 2].sum() + bias, rel_tol=1e-9, abs_tol=1e-12)
        assert np.float32(engine) == conv.output[4, row, column]
        assert abs(result - engine) <= CLOSE * np.abs(cells[:, 2]).max()
        padding = open_.page.locator(".terms .outside").count()
        assert padding == 3 * 9 - 3 * (3 - (row in (0, size - 1))) * (3 - (column in (0, size - 1)))


def test_softmax_and_delta(tab, note, explained):
    open_ = tab(note)
    open_.layer("softmax")

    def read(name):
        cells = open_.page.locator(f"[data-{name}]").all()
        return np.array([float(cell.get_attribute(f"data-{name}")) for cell in cells])

    z, y = read("score"), read("probability")
    np.testing.assert_array_equal(z.astype(np.float32), explained.scores)
    powers = np.exp(z - z.max())
    np.testing.assert_allclose(y, powers / powers.sum(), rtol=1e-5, atol=1e-7)
    open_.backward()
    t = np.eye(10)[explained.label]
    np.testing.assert_allclose(read("delta"), y - t, rtol=1e-5, atol=1e-7)
    ((_, loss, engine),) = [r for r in open_.results() if r[0] == "loss"]
    assert math.isclose(loss, -math.log(y[explained.label]), rel_tol=1e-6)
    assert math.isclose(loss, engine, rel_tol=1e-5)


def test_the_updated_weight(tab, note, explained):
    open_ = tab(note)
    lists = open_.page.locator("#learning select")
    for parameter, chosen in [(0, 0), (0, 7), (2, 3)]:
        lists.nth(0).select_option(index=parameter)
        lists.nth(1).select_option(index=chosen)
        name = list(explained.steps["sgd"].gradients)[parameter]
        gradient = explained.steps["sgd"].gradients[name].reshape(-1).astype(np.float64)
        at = np.argsort(-np.abs(gradient), kind="stable")[chosen]
        g, w = gradient[at], float(explained.steps["sgd"].before[name].reshape(-1)[at])
        found = {kind: (result, engine) for kind, result, engine in open_.results()}
        sgd = w - 0.001 * g
        adam = w - 0.001 * g / (abs(g) + 1e-8)
        for kind, expected in (("sgd", sgd), ("adam", adam)):
            result, engine = found[kind]
            assert math.isclose(result, expected, rel_tol=1e-6, abs_tol=1e-9)
            assert math.isclose(engine, expected, rel_tol=1e-5, abs_tol=1e-7)
            after = explained.steps[kind].after[name].reshape(-1)[at]
            assert np.float32(engine) == after


@pytest.mark.parametrize("side", ["forward", "backward"])
def test_every_layer_adds_up_to_the_engines_numbers(tab, all_kinds, every_kind_explained, side):
    """Whatever number is pointed at: what the page works out is what the engine has."""
    open_ = tab(all_kinds, width=1280)
    if side == "backward":
        open_.backward()
    compared = set()
    for name in [*every_kind_explained, "softmax"]:
        open_.layer(name)
        reach = np.abs(every_kind_explained[name].output).max() if name != "softmax" else 1
        for keys in [
            [],
            ["Home", "PageUp", "PageUp"],
            ["End", "PageDown", "PageDown"],
            ["ArrowUp"],
        ]:
            grids = open_.page.locator(".part-view [role=slider]")
            if grids.count():
                grids.last.focus()
                for key in keys:
                    open_.page.keyboard.press(key)
            for kind, result, engine in open_.results():
                if kind in ("sgd", "adam"):
                    continue
                compared.add((name, kind))
                assert abs(result - engine) <= CLOSE * max(reach, abs(engine)), (name, kind)
    kinds = {kind for _, kind in compared}
    forward = {"image", "convolution", "activation", "sum", "normalization", "pooling", "flatten"}
    back = {"kernel-gradient", "activation", "normalization", "flatten", "loss"}
    assert kinds >= (forward | {"linear", "softmax"} if side == "forward" else back)


def test_gradients_of_kernels_are_sums_over_places(tab, all_kinds, every_kind_explained):
    open_ = tab(all_kinds)
    open_.backward()
    for name in ("conv1", "block.body.conv", "depth"):
        open_.layer(name)
        gradient = every_kind_explained[name].gradients["weight"]
        cells = open_.page.locator(".part-view .square button")
        for n in range(cells.count()):
            cells.nth(n).click()
            formula = open_.page.locator("[data-formula=kernel-gradient]")
            where = formula.locator("p").first.inner_text().split("[")[1].split("]")[0]
            at = tuple(int(number) for number in where.split(","))
            result = float(formula.locator("[data-result]").get_attribute("data-result"))
            shown = float(formula.locator("[data-engine]").get_attribute("data-engine"))
            assert np.float32(shown) == gradient[at]
            assert abs(result - shown) <= CLOSE * np.abs(gradient).max()


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


def test_true_convolution_turns_the_kernel(tab, note, explained):
    open_ = tab(note)
    open_.page.get_by_role("button", name="channel 2", exact=True).click()
    open_.page.get_by_role("button", name="true convolution").click()
    open_.point("output map", 9, 20)
    kernel = explained["conv1"].parameters["weight"][2].astype(np.float64)
    patch = explained["conv1"].patch(2, 9, 20).astype(np.float64)
    expected = (kernel[:, ::-1, ::-1] * patch).sum() + explained["conv1"].parameters["bias"][2]
    result = open_.page.locator("[data-formula=convolution] [data-result]")
    assert math.isclose(float(result.get_attribute("data-result")), expected, rel_tol=1e-9)
    cells = np.array(open_.values(".terms")).reshape(3, 3, 3, 3)
    assert np.array_equal(cells[:, 1], kernel[:, ::-1, ::-1])


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


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (400, True), (400, False)])
def test_it_fits_the_window_and_asks_nobody(tab, note, all_kinds, width, dark):
    for name, address in (("note", note), ("all-kinds", all_kinds)):
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


def too_wide(open_):
    """What reaches beyond the window, but for what scrolls by itself; all of it, if it scrolls."""
    return open_.page.evaluate(
        """() => {
            const { clientWidth, scrollWidth } = document.documentElement;
            const scrolls = (e) => e && (getComputedStyle(e).overflowX !== "visible" ||
                scrolls(e.parentElement));
            const found = [...document.querySelectorAll("main *")].filter((e) =>
                e.getBoundingClientRect().right > clientWidth + 0.5 && !scrolls(e.parentElement));
            return [...found.map((e) => e.outerHTML.slice(0, 80)),
                ...(scrollWidth > clientWidth ? [`${scrollWidth} > ${clientWidth}`] : [])];
        }"""
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


def test_the_label_is_among_the_answers(tab, tmp_path, trained):
    """Also where it is the least likely of ten."""
    network, data = trained
    probabilities = network.predict_proba(data.test.images[:1])[0]
    label = int(probabilities.argmin())
    file = tmp_path / "wrong.html"
    file.write_text(page(pack(explain(network, data.test.images[0], label), attributions=False)))
    rows = tab(file.as_uri()).page.locator(".answers tr")
    assert rows.count() == 5
    last = rows.last.inner_text()
    assert last.startswith(data.classes[label])
    assert "label" in last


def test_numbers_and_counts_are_written_as_people_read_them(chromium):
    script = bundle("numbers.js") + (
        "window.found = Object.fromEntries(Object.entries(modules['numbers.js']));"
    )
    tab = chromium.new_page()
    tab.evaluate(f"() => {{ {script} }}")

    def say(name, *arguments):
        return tab.evaluate("([name, list]) => found[name](...list)", [name, arguments])

    for value, words in [
        (0.0625, "0.0625"),
        (-0.5, "−0.5"),
        (float(np.float32(0.1)), "0.1"),
        (1 - 0.9, "0.1"),
        (1 / 3, "0.3333"),
        (9.99996, "10.00"),
        (-1234.567, "−1235"),
        (1e18, "10¹⁸"),
        (-2.5e-5, "−2.5·10⁻⁵"),
        (1.23456e-7, "1.23·10⁻⁷"),
        (None, "not a number"),
    ]:
        assert say("written", value) == words
    for value, words in [(0.0625, ".0625"), (1 / 3, ".33"), (-0.00891234, "−.0089"), (16, "16")]:
        assert say("brief", value) == words
    for value, words in [(1, "100 %"), (0.99999, "> 99.99 %"), (0.0625, "6.25 %"), (0, "0 %")]:
        assert say("percent", value) == words
    assert [say("count", n, "step") for n in (0, 1, 2000)] == ["0 steps", "1 step", "2,000 steps"]
    tab.close()


def test_names_are_text_and_no_program(tab, tmp_path, trained):
    _, data = trained
    network = models.simple_cnn(2)
    network.initialize(0)
    evil = ("</script><script>document.title='taken'</script>", "<img src=x onerror=alert(1)>")
    network.name_classes(evil)
    file = tmp_path / "evil.html"
    file.write_text(page(pack(explain(network, data.test.images[0], 0), attributions=False)))
    open_ = tab(file.as_uri())
    assert "taken" not in open_.page.title().split("document")[0]
    assert evil[0] in open_.page.locator("main").inner_text()


def test_nothing_runs_but_its_own_script(tab, note, tmp_path):
    """If a name were ever written as HTML, the page's policy would still keep it from acting."""
    text = Path(note.removeprefix("file://")).read_text(encoding="utf-8")
    got_in = (
        '<p class="in" style="width: 7px">in</p><style>.in { width: 8px }</style>'
        "<script>document.title = 'taken'</script><img src=x onerror=\"document.title = 'taken'\">"
    )
    file = tmp_path / "got-in.html"
    file.write_text(text.replace("<body>", f"<body>{got_in}"), encoding="utf-8")
    open_ = tab(file.as_uri(), complains=True)
    assert open_.page.locator("p.in").evaluate("p => p.getBoundingClientRect().width") > 8
    assert open_.page.title() != "taken"
    assert len([each for each in open_.troubles if "Content Security Policy" in each]) >= 4


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
def test_accessibility(tab, note, all_kinds, width, dark):
    for address in (note, all_kinds) if dark else (note,):
        open_ = tab(address, width=width, dark=dark)
        open_.page.evaluate(AXE.read_text())  # the page's policy lets no other script in
        assert serious(open_, "html") == []
        for side in ("forward", "backward"):
            if side == "backward":
                open_.backward()
            for layer in open_.page.locator("[data-layer]").all():
                layer.click()
                assert serious(open_, ".view") == []


def serious(open_, where):
    """What the checker finds in a part of the page that keeps people out."""
    found = open_.page.evaluate("where => axe.run(where, {resultTypes: ['violations']})", where)
    return [
        f"{violation['id']}: {node['html'][:120]} {[one['message'] for one in node['any']]}"
        for violation in found["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


def test_modules_have_no_syntax_errors_and_no_double_imports():
    """What Node says of each, where there is a Node; the bundle is tried by every test above."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node")
    folder = Path(neocog.__file__).parent / "explanation" / "page"
    for file in sorted(folder.glob("*.js")):
        source = file.read_text()
        assert "</script" not in source
        command = [node, "--check", "--input-type=module"]
        done = subprocess.run(command, input=source, capture_output=True, text=True)
        assert done.returncode == 0, f"{file.name}: {done.stderr}"


def test_the_page_is_small(note):
    path = Path(note.removeprefix("file://"))
    assert path.stat().st_size < 5_000_000
    structure = json.loads(path.read_text().split('id="structure">')[1].split("</script>")[0])
    assert structure["name"] == "simple-cnn"
