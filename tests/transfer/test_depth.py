"""What is chosen for how many pictures, and what is said of it."""

import pytest
from photographs import network

from neocog import models
from neocog.transfer.cut import places
from neocog.transfer.depth import Counts, choose


def chosen(pictures, classes, seconds=120.0, depth="auto", place=None, graph=None):
    counts = Counts(pictures, classes, 2, pictures // 4, seconds)
    return choose(graph or models.make("efficientnet-lite0").graph, counts, depth, place)


def test_few_pictures_a_class_are_for_the_head():
    found = chosen(240, 3)
    assert found.depth == "head"
    assert str(found).startswith("Only the last layer learns, as there are 80 pictures a class; ")


def test_pictures_that_have_no_classes_are_counted_as_they_are():
    assert ", as there are 34 pictures; " in str(chosen(34, 1))


def test_what_is_expected_follows_the_epochs_that_were_asked_for():
    graph = models.make("efficientnet-lite0").graph
    few, many = (choose(graph, Counts(200, 2, 2, 0, 60, passes), "all") for passes in (2, 8))
    assert many.seconds == pytest.approx(4 * few.seconds)
    # Of 200 pictures 40 passes are 250 steps of 32.
    assert choose(graph, Counts(200, 2, 2, 0, 60), "all").seconds == pytest.approx(5 * many.seconds)


@pytest.mark.parametrize("depth", ["auto", "blocks"])
def test_more_epochs_are_no_other_place(depth):
    """A run that goes on with more of them has what lies behind the place it began with."""
    graph = models.make("efficientnet-lite0").graph
    found = [choose(graph, Counts(2000, 2, 2, 0, 90, passes), depth) for passes in (2, 8, 100)]
    assert len({(one.depth, one.place) for one in found}) == 1
    assert found[0].seconds < found[1].seconds < found[2].seconds


@pytest.mark.parametrize(("seconds", "depth"), [(1e4, "blocks"), (120.0, "blocks"), (10.0, "head")])
def test_more_are_for_the_blocks_that_the_time_allows(seconds, depth):
    assert chosen(2000, 2, seconds).depth == depth


def test_more_time_is_for_more_blocks():
    behind = {one.name: one.behind for one in places(models.make("efficientnet-lite0").graph)}
    limits = (90.0, 140.0, 1000.0)
    found = [chosen(2000, 2, seconds) for seconds in limits]
    work = [behind[one.place] for one in found]
    assert work == sorted(set(work))
    assert all(one.seconds <= limit for one, limit in zip(found, limits, strict=True))
    assert work[-1] <= 0.55 * 385_187_552  # the network's multiply-adds


def test_very_many_pictures_and_much_time_are_for_all_layers():
    assert chosen(6000, 2, 1e5).depth == "all"
    assert chosen(6000, 2, 500).depth == "blocks"


def test_what_is_asked_for_is_done():
    assert chosen(10, 2, 1.0, "all").depth == "all"
    assert chosen(10**6, 2, 1.0, "head").depth == "head"
    found = chosen(10**6, 2, 1.0, "blocks")
    assert found.depth == "blocks"
    assert "was asked for" in str(found)
    assert chosen(100, 2, 1.0, "auto", "block1", network().graph).place == "block1"
