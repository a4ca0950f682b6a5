"""What is searched: texts, lists and ranges, checked against the settings."""

from math import log10

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neocog
from neocog import NeocogError, Recipe
from neocog.tuning.default_space import default_space
from neocog.tuning.space import Choices, Range, parse_assignments, parse_space
from neocog.tuning.starting_point import starting_point

quick = settings(max_examples=60, deadline=None, derandomize=True)


def space_of(**given):
    return parse_space(given, Recipe())


def test_short_and_full_names_and_all_kinds_of_values():
    adam = Recipe(optimizer=neocog.AdamW(), schedule=neocog.schedules.OneCycle())
    given = {
        "lr": "1e-4..1e-1:log",
        "batch-size": "16,32, 64",
        "augmentation.flip": "none,random",
        "schedule.warmup": "0.1..0.5",
        "augmentation.translate": "0..4",
        "optimizer": "adam,adamw",
        "augmentation.trivial_augment": "true,false",
        "clip_norm": "0,1.5",
        "ema": "0,0.9",
    }
    assert parse_space(given, adam) == {
        "optimizer.lr": Range(1e-4, 1e-1, log=True),
        "batch_size": Choices((16, 32, 64)),
        "augmentation.flip": Choices((None, "random")),
        "schedule.warmup": Range(0.1, 0.5),
        "augmentation.translate": Range(0, 4),
        "optimizer": Choices(("adam", "adamw")),
        "augmentation.trivial_augment": Choices((True, False)),
        "clip_norm": Choices((None, 1.5)),
        "ema": Choices((0, 0.9)),
    }


def test_lists_and_ranges_from_python():
    assert space_of(batch_size=[8, 16], lr=Range(1, 2)) == {
        "batch_size": Choices((8, 16)),
        "optimizer.lr": Range(1.0, 2.0),
    }


def test_whole_settings_have_whole_ranges():
    assert isinstance(space_of(batch_size="4..64:log")["batch_size"].low, int)
    with pytest.raises(NeocogError, match=r"'4.5' is no such value"):
        space_of(batch_size="4.5..64")
    with pytest.raises(NeocogError, match="whole numbers as its ends"):
        space_of(batch_size=Range(4.5, 8))


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("lrr", "1..2", r"The training has no setting 'lrr'. Did you mean 'lr'\?"),
        ("optimizer.momentun", "0..0.9", r"optimizer has no setting 'momentun'. Did you mean 'mom"),
        ("augmentation.then.flip", "a,b", "augmentation has no setting 'flip'|no setting"),
        ("schedule." + "then." * 5000 + "end", "0..1", "has no setting"),
        ("lr", "0.1..-1", "must go from a number to a larger one"),
        ("lr", "0..1:log", "a logarithm needs ends above 0"),
        ("lr", "0.1..0.2:lin", "has :lin; there is :log"),
        ("lr", "0.1..", "'' is no such value"),
        ("lr", "nan..1", "from a number to a number"),
        ("lr", "-1..1", r"space optimizer.lr='-1.0..1.0': .*lr \(=-1.0\)"),
        ("label_smoothing", "0..1.5", r"label_smoothing \(=1.5\) must be a number from 0 to 1"),
        ("batch_size", "16,0", r"batch_size \(=0\)"),
        ("batch_size", "16", "has 1 values; from 2 to 100"),
        ("batch_size", "16,16", "has a value twice"),
        ("augmentation.flip", "none,randon", "Did you mean 'random'"),
        ("augmentation.trivial_augment", "0,1", "must be true,false"),
        ("optimizer", "adam,sdg", r"Unknown optimizer 'sdg'. Did you mean 'sgd'"),
        ("optimizer.betas", "0.9,0.99", "neither numbers nor names"),
        ("class_weights", "1,2", "neither numbers nor names"),
        ("augmentation", "a,b", "neither numbers nor names"),
        ("monitor", "loss,validation_loss", "by which no training is better or worse"),
        ("lr", 0.1, "a text such as"),
        ("lr", [0.1, [1]], "numbers, texts, True, False or None"),
        (3, "1..2", "the name of a setting"),
    ],
)
def test_what_cannot_be_searched(name, values, message):
    with pytest.raises(NeocogError, match=message):
        parse_space({name: values}, Recipe())


def test_settings_that_do_not_go_together():
    with pytest.raises(NeocogError, match=r"momentum = '0.0' does not go with optimizer = 'adamw'"):
        space_of(momentum="0..0.9", optimizer="sgd,adamw")


def test_a_setting_twice():
    with pytest.raises(NeocogError, match=r"optimizer.lr twice"):
        parse_space({"lr": "1..2", "optimizer.lr": "1..2"}, Recipe())
    with pytest.raises(NeocogError, match="'lr' is there twice"):
        parse_assignments(["lr=1..2", "lr = 1..3"])
    with pytest.raises(NeocogError, match="must be a setting and its values"):
        parse_assignments(["lr"])


@pytest.mark.parametrize("space", [{}, None, "lr=1..2", 3])
def test_no_space(space):
    with pytest.raises(NeocogError, match="space"):
        parse_space(space, Recipe())


numbers = st.floats(1e-12, 1e6)


@quick
@given(numbers, numbers, st.booleans())
def test_a_range_is_what_its_text_says(low, high, log):
    low, high = sorted((low, high))
    if low == high:
        return
    found = parse_space({"lr": f"{low!r}..{high!r}{':log' if log else ''}"}, Recipe())
    assert found == {"optimizer.lr": Range(low, high, log)}
    assert parse_space({"lr": str(found["optimizer.lr"])}, Recipe()) == found


@quick
@given(st.lists(st.integers(1, 10**6), min_size=2, max_size=8, unique=True))
def test_a_list_is_what_its_text_says(values):
    found = parse_space({"batch_size": ",".join(map(str, values))}, Recipe())
    assert found == {"batch_size": Choices(tuple(values))}
    assert parse_space({"batch_size": str(found["batch_size"])}, Recipe()) == found


@quick
@given(st.text(max_size=30), st.sampled_from(["lr", "batch_size", "augmentation.flip", "seed"]))
def test_any_text_is_a_space_or_a_message(text, name):
    try:
        parse_space({name: text}, Recipe())
    except NeocogError as error:
        assert str(error).count("\n") == 0


def test_the_usual_space_is_around_the_settings():
    recipe = Recipe.load("standard")
    space = default_space(recipe, 32)
    lr = space["optimizer.lr"]
    assert (lr.log, log10(recipe.optimizer.lr / lr.low)) == (True, pytest.approx(1))
    assert set(space["optimizer.weight_decay"].values) == {5e-5, 1.5e-4, 5e-4, 1.5e-3, 5e-3}
    assert space["label_smoothing"].values == (0.0, 0.05, 0.1, 0.2)
    assert space["augmentation.translate"].values == (0, 1, 2, 4)
    assert starting_point(space, recipe) == {
        "optimizer.lr": 0.1,
        "optimizer.weight_decay": 5e-4,
        "label_smoothing": 0.1,
        "augmentation.translate": 2,
    }


def test_the_starting_point_is_within_the_space():
    space = space_of(lr="0.01..0.1", batch_size="16,32", optimizer="adamw,sgd")
    assert starting_point(space, Recipe()) == {"optimizer.lr": 0.01, "optimizer": "sgd"}
