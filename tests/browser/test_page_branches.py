"""The way through a network that is no chain: lines above it split and join as its branches do."""

import re
from itertools import pairwise

import numpy as np
import pytest

from neocog.explanation import explain
from neocog.explanation.page.html import page
from neocog.explanation.page.payload import pack
from neocog.layers import (
    AdaptiveAvgPool2d,
    Add,
    Concat,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    Node,
    ReLU,
    Residual,
    Sequential,
)
from neocog.network import Network

# Pixels between two lanes.
APART = 14


@pytest.fixture(scope="module")
def branching(tmp_path_factory):
    """Three branches that are put together, and then a sum around a block with a sum of its own."""
    network = Network.from_nodes(
        [
            Node("stem", Conv2d(3, 4, 3, padding=1)),
            Node("one", Conv2d(4, 2, 1), "stem"),
            Node("two", Sequential(conv=Conv2d(4, 2, 3, padding=1), act=ReLU()), "stem"),
            Node("pool", MaxPool2d(3, 1, 1), "stem"),
            Node("join", Concat(), ["one", "two", "pool"]),
            Node("block", Residual(Conv2d(8, 8, 1))),
            Node("act", ReLU()),
            Node("sum", Add(), ["act", "join"]),
            Node("mean", AdaptiveAvgPool2d(1)),
            Node("flat", Flatten()),
            Node("fc", Linear(8, 3)),
        ],
        input_shape=(3, 5, 4),
    )
    network.initialize(0)
    image = np.random.default_rng(0).integers(0, 256, (5, 4, 3), np.uint8)
    path = tmp_path_factory.mktemp("page") / "branching.html"
    path.write_text(page(pack(explain(network, image, 1), attributions=False)))
    return path.as_uri()


def cells(open_):
    """Of each column the name, and the lanes of its dot and of the lines on its left and right."""
    found = open_.page.locator(".column").evaluate_all(
        """columns => columns.map(column => [
            column.querySelector("[data-layer]").dataset.layer,
            column.querySelector(".rails .dot").getAttribute("d"),
            column.querySelector(".rails path").getAttribute("d"),
        ])"""
    )
    number = r"([\d.]+)"

    def lanes(pattern, text):
        return sorted((float(y) - APART / 2) / APART for y in re.findall(pattern, text))

    for name, dot, lines in found:
        (own,) = lanes(rf"M50 {number} h0", dot)
        yield name, own, lanes(rf"M-0.5 {number}", lines), lanes(rf"{number} H100.5", lines)


def test_lines_split_and_join_as_the_branches_do(tab, branching):
    found = list(cells(tab(branching)))
    lanes = {name: own for name, own, _, _ in found}
    assert lanes == {
        "image": 0,
        "stem": 0,
        "one": 1,
        "two.conv": 2,
        "two.act": 2,
        "pool": 0,
        "join": 0,
        "block.body": 1,
        "block": 1,
        "act": 1,
        "sum": 0,
        "mean": 0,
        "flat": 0,
        "fc": 0,
        "softmax": 0,
    }
    entering = {name: left for name, _, left, _ in found}
    assert entering["image"] == []
    assert entering["one"] == [0, 0]  # what it reads, and what passes by to others
    assert entering["pool"] == entering["join"] == [0, 1, 2]
    assert entering["sum"] == [0, 1]
    # What goes out to the right of a column comes into the next one; a branch begins in its column.
    for (_, _, _, right), (_, _, left, _) in pairwise(found):
        assert set(right) == set(left)
    assert found[-1][3] == []


def test_each_line_meets_the_next_one(tab, branching):
    """There are no gaps between the columns, and all drawings are at one height."""
    rails = (
        tab(branching)
        .page.locator(".rails")
        .evaluate_all("all => all.map(one => one.getBoundingClientRect().toJSON())")
    )
    assert {(each["top"], each["height"]) for each in rails} == {(rails[0]["top"], 3 * APART)}
    for one, other in pairwise(rails):
        assert abs(one["right"] - other["left"]) < 0.1


def test_a_button_says_what_it_reads(tab, branching):
    """For those who do not see the lines."""
    open_ = tab(branching)
    said = open_.page.locator("[data-layer]:has(.from)").evaluate_all(
        "all => all.map(each => [each.dataset.layer, each.querySelector('.from').textContent])"
    )
    assert dict(said) == {
        "two.conv": "from stem",
        "pool": "from stem",
        "join": "from one, two.act, pool",
        "sum": "from act, join",
    }
    assert open_.page.get_by_role("button", name="from one, two.act, pool").count() == 1


def test_a_chain_has_no_lines(tab, note, all_kinds):
    """Nor has one of blocks, which show their two ways themselves."""
    for address in (note, all_kinds):
        open_ = tab(address)
        assert open_.page.locator(".rails, .from").count() == 0
        assert open_.page.locator("[data-layer]").count() > 5
