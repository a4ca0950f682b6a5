"""What is chosen for how many pictures, and what is said of it."""

import pytest
from photographs import network

from neocog import models
from neocog.settings.recipe import DEPTHS, VIEW_SETS
from neocog.transfer import views
from neocog.transfer.cut import places
from neocog.transfer.depth import Counts, choose


def chosen(pictures, classes, seconds=120.0, depth="auto", place=None, graph=None):
    counts = Counts(pictures, classes, 2, pictures // 4, seconds)
    return choose(graph or models.make("efficientnet-lite0").graph, counts, depth, place)


def test_few_pictures_a_class_are_for_the_head():
    found = chosen(240, 3)
    assert found.depth == "head"
    assert str(found).startswith("Only the last layer learns, as there are 80 pictures a class; ")


@pytest.mark.parametrize(("seconds", "depth"), [(1e4, "blocks"), (120.0, "blocks"), (10.0, "head")])
def test_more_are_for_the_blocks_that_the_time_allows(seconds, depth):
    assert chosen(2000, 2, seconds).depth == depth


def test_more_time_is_for_more_blocks():
    behind = {one.name: one.behind for one in places(models.make("efficientnet-lite0").graph)}
    limits = (120.0, 200.0, 1000.0)
    found = [chosen(2000, 2, seconds) for seconds in limits]
    work = [behind[one.place] for one in found]
    assert work == sorted(set(work))
    assert all(one.seconds <= limit for one, limit in zip(found, limits, strict=True))
    assert work[-1] <= 0.55 * 385_187_552  # the network's multiply-adds


def test_very_many_pictures_and_much_time_are_for_all_layers():
    assert chosen(6000, 2, 1e5).depth == "all"
    assert chosen(6000, 2, 1000).depth == "blocks"


def test_what_is_asked_for_is_done():
    assert chosen(10, 2, 1.0, "all").depth == "all"
    assert chosen(10**6, 2, 1.0, "head").depth == "head"
    found = chosen(10**6, 2, 1.0, "blocks")
    assert found.depth == "blocks"
    assert "was asked for" in str(found)
    assert chosen(100, 2, 1.0, "auto", "block1", network().graph).place == "block1"


def test_settings_have_the_names_of_what_there_is():
    assert tuple(views.VIEW_SETS) == VIEW_SETS
    assert DEPTHS[0] == "auto"
