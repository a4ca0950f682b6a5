"""The page in a real browser: its numbers are the engine's."""

import math

import numpy as np
import pytest

from neocog.explanation import explain
from neocog.explanation.page.html import bundle, page
from neocog.explanation.page.payload import pack

# Float32's roundings in sums of some hundred products, of the largest number that is added.
CLOSE = 1e-4


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


def compared(open_, explanation, side):
    """The layers and formulas whose numbers were found to be the engine's."""
    if side == "backward":
        open_.backward()
    found = set()
    for name in [*explanation, "softmax"]:
        open_.layer(name)
        reach = np.abs(explanation[name].output).max() if name != "softmax" else 1
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
                found.add((name, kind))
                assert abs(result - engine) <= CLOSE * max(reach, abs(engine)), (name, kind)
    return found


@pytest.mark.parametrize("side", ["forward", "backward"])
def test_every_layer_adds_up_to_the_engines_numbers(tab, all_kinds, every_kind_explained, side):
    """Whatever number is pointed at: what the page works out is what the engine has."""
    open_ = tab(all_kinds, width=1280)
    kinds = {kind for _, kind in compared(open_, every_kind_explained, side)}
    forward = {
        "image",
        "convolution",
        "activation",
        "sum",
        "normalization",
        "pooling",
        "copies",
        "flatten",
    }
    back = {"kernel-gradient", "activation", "normalization", "flatten", "loss"}
    assert kinds >= (forward | {"linear", "softmax"} if side == "forward" else back)


def test_layers_of_a_graph_add_up(tab, graph, graph_explained):
    """As those of a chain, with every input."""
    found = compared(tab(graph), graph_explained, "forward")
    assert {name for name, _ in found} == {*graph_explained, "softmax"}
    back = compared(tab(graph), graph_explained, "backward")
    assert {
        ("scaled", "product-gradient"),  # of the factor of a channel
        ("times", "product-gradient"),
        *((name, "slope-gradient") for name in ("slopes", "slope", "each")),
        ("groups", "normalization"),
    } <= back


def test_where_a_channel_comes_from_and_goes_to(tab, graph, graph_explained):
    """Whatever lanes and orders the engine read: these are the numbers that are said."""
    open_ = tab(graph)
    for name, channel, origin, place in [
        ("joined", 6, "colors", 1),
        ("joined", 22, "squared", 7),
        ("shuffled", 3, "scaled", 5),
        ("rest", 4, "shuffled", 7),
    ]:
        open_.layer(name)
        open_.page.locator(".part-view").get_by_label(f"channel {channel}", exact=True).click()
        open_.point("output", 4, 1)
        words = f"y[{channel}, 4, 1] = {origin}[{place}, 4, 1] = "
        formula = open_.page.locator("[data-formula=channel-copies]")
        open_.page.wait_for_function(
            "words => document.querySelector('.formula').textContent.startsWith(words)", arg=words
        )
        result = float(formula.locator("[data-result]").get_attribute("data-result"))
        assert np.float32(result) == graph_explained[origin].output[place, 4, 1]
    open_.layer("row")
    open_.point("output", 1, 2)  # in lines of five, behind the three numbers of `less`
    open_.point("input", 2, 3)
    formula = open_.page.locator("[data-formula=channel-copies]")
    assert formula.inner_text().startswith("y[16] = times[13] = ")
    # Of those that read nothing else, the gradient is the one that arrives.
    open_.backward()
    open_.point("gradient of the output", 0, 2)
    assert " goes to less[2] (engine: " in formula.inner_text()
    ((_, result, engine),) = [each for each in open_.results() if each[0] == "channel-copies"]
    assert result == engine != 0
    open_.layer("joined")
    open_.page.locator(".part-view").get_by_label("channel 1", exact=True).click()
    ((_, result, engine),) = [each for each in open_.results() if each[0] == "channel-copies"]
    assert result == engine != 0 and " goes to rest[1, " in formula.inner_text()


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
