"""A setting: its bounds, its messages, and what a new one or a new kind takes."""

import argparse
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields

import numpy as np
import pytest
from every_setting import CLASSES

from neocog.errors import NeocogError
from neocog.settings import schedules
from neocog.settings.codec import from_plain, to_plain
from neocog.settings.optimizers import OPTIMIZERS, SGD, Optimizer
from neocog.settings.options import add_options
from neocog.settings.override import override
from neocog.settings.recipe import Recipe
from neocog.settings.setting import Settings, default_of, options_of, setting, setting_of
from neocog.settings.training import TrainingSettings


@dataclass(frozen=True)
class Ranges(Settings):
    """A setting of each kind of bound."""

    count: int = setting(3, low=1, high=9, help="a count")
    many: int = setting(3, low=1, help="a count without an end")
    part: float = setting(0.5, low=0, below=1, help="a part")
    rate: float = setting(0.1, above=0, help="a rate")
    share: float | None = setting(None, low=0, high=1, help="a share")
    pair: tuple[float, float] = setting((0.1, 0.2), low=0, wanted="two numbers", help="two")
    mode: str = setting("fast", choices=("fast", "slow"), help="a mode")
    other: str | None = setting(None, choices=("one", "two"), help="another")
    called: str = setting("", help="a text")
    sure: bool = setting(False, help="a flag")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("count", value) for value in (1, 9, np.int8(5))],
        *[("many", value) for value in (1, 10**15)],
        *[("part", value) for value in (0, 0.999, np.float32(0.25))],
        *[("rate", value) for value in (1e-300, 1e300)],
        *[("share", value) for value in (0, 1, None)],
        *[("pair", value) for value in ([0, 1], (3.5, 2), np.array([1, 2]))],
        *[("mode", "slow"), ("other", "two"), ("other", None), ("called", "x"), ("sure", True)],
    ],
)
def test_values_within_the_bounds_are_kept(name, value):
    found = getattr(Ranges(**{name: value}), name)
    wanted = tuple(value) if name == "pair" else value
    assert found == wanted
    assert type(found) in (int, float, tuple, str, bool, type(None))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("count", 0, "count (=0) must be a whole number from 1 to 9."),
        ("count", 10, "count (=10) must be a whole number from 1 to 9."),
        ("count", 1.0, "count (=1.0) must be a whole number from 1 to 9."),
        ("count", True, "count (=True) must be a whole number from 1 to 9."),
        ("count", None, "count (=None) must be a whole number from 1 to 9."),
        ("many", 0, "many (=0) must be a whole number, at least 1."),
        ("part", 1, "part (=1) must be a number, at least 0 and below 1."),
        ("part", -0.1, "part (=-0.1) must be a number, at least 0 and below 1."),
        ("part", None, "part (=None) must be a number, at least 0 and below 1."),
        ("rate", 0, "rate (=0) must be a number, above 0."),
        ("rate", float("inf"), "rate (=inf) must be a number, above 0."),
        ("rate", "0.1", "rate (='0.1') must be a number, above 0."),
        ("share", 1.5, "share (=1.5) must be a number from 0 to 1 or None."),
        ("share", float("nan"), "share (=nan) must be a number from 0 to 1 or None."),
        ("pair", (1, 2, 3), "pair (=(1, 2, 3)) must be two numbers."),
        ("pair", (1, -2), "pair (=(1, -2)) must be two numbers."),
        ("pair", 1, "pair (=1) must be two numbers."),
        (
            "mode",
            "slwo",
            "mode (='slwo') must be one of 'fast', 'slow'. Did you mean 'slow'?",
        ),
        ("mode", None, "mode (=None) must be 'fast' or 'slow'."),
        ("other", "three", "other (='three') must be one of 'one', 'two' or None."),
        ("called", 3, "called (=3) must be a text."),
        ("sure", 1, "sure (=1) must be true or false."),
    ],
)
def test_a_bad_value_is_one_message_from_the_bounds(name, value, message):
    with pytest.raises(NeocogError) as caught:
        Ranges(**{name: value})
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


# What holds of every setting there is

EVERY = [(cls, one) for cls in CLASSES for one in fields(cls)]
NAMES = [f"{cls.__name__}.{one.name}" for cls, one in EVERY]


@pytest.mark.parametrize(("cls", "one"), EVERY, ids=NAMES)
def test_every_setting_says_what_it_is(cls, one):
    said = setting_of(one)
    assert said.help
    assert "\n" not in said.help
    assert not said.help.endswith(".")
    assert len(said.help) < 100


@pytest.mark.parametrize(("cls", "one"), EVERY, ids=NAMES)
def test_none_can_be_only_where_it_is_the_default(cls, one):
    """TOML has no None: a setting that is left out is its default."""
    _, optional = options_of(one.type)
    default = None if one.default is one.default_factory is MISSING else default_of(one)
    assert optional == (default is None and one.name != "match")


@pytest.mark.parametrize("cls", CLASSES)
def test_none_is_the_default_or_refused(cls):
    for one in fields(cls):
        if one.default is one.default_factory is MISSING:
            continue
        needed = {"match": "*"} if cls.__name__ == "Group" else {}
        try:
            made = cls(**needed, **{one.name: None})
        except NeocogError as error:
            assert f"{one.name} (=None)" in str(error)
        else:
            assert getattr(made, one.name) == getattr(cls(**needed), one.name)


@pytest.mark.parametrize("cls", CLASSES)
def test_settings_cannot_be_set_after_they_were_checked(cls):
    made = cls("*") if cls.__name__ == "Group" else cls()
    for name in cls.names():
        with pytest.raises(AttributeError):
            setattr(made, name, 3)


def test_a_part_is_given_by_its_name():
    found = TrainingSettings(optimizer="sgd", schedule="cosine", averaging="ema")
    assert found.optimizer == SGD()
    assert found.schedule == schedules.Cosine()
    assert found.averaging.decay == 0.999


def test_the_classes_own_defaults_are_where_a_part_is_none():
    assert TrainingSettings(optimizer=None) == TrainingSettings()
    assert TrainingSettings(schedule=None, augmentation=None) == TrainingSettings()


# A setting more is one line; an optimizer more is one class.


def options(cls: type[Settings], *arguments: str) -> dict[str, object]:
    parser = argparse.ArgumentParser()
    add_options(parser, cls, "settings")
    return vars(parser.parse_args(arguments))


def test_adding_a_setting_is_one_line():
    @dataclass(frozen=True)
    class Larger(TrainingSettings):
        """One setting more, and nothing else."""

        warm_start: float = setting(0.5, low=0, high=1, help="a new one")

    assert Larger().warm_start == 0.5
    with pytest.raises(NeocogError, match=r"^warm_start \(=2\) must be a number from 0 to 1\.$"):
        Larger(warm_start=2)
    assert options(Larger, "--warm-start", "0.25") == {"warm_start": 0.25}
    plain = to_plain(Larger(warm_start=0.25))
    assert plain["warm_start"] == 0.25
    assert from_plain(Larger, plain, "training") == Larger(warm_start=0.25)
    assert override(Larger(), warm_start=0.75) == Larger(warm_start=0.75)
    with pytest.raises(NeocogError, match="Did you mean 'warm_start'"):
        override(Larger(), warm_strat=0.75)


@pytest.fixture
def lion() -> Iterator[type[Optimizer]]:
    """An optimizer that is one class; taken away afterwards."""
    before = Optimizer.kinds

    @dataclass(frozen=True)
    class Lion(Optimizer, name="lion"):
        """A new optimizer."""

        lr: float = setting(1e-4, above=0, option="--lr", help="learning rate")
        sign_decay: float = setting(0.9, low=0, below=1, help="of the mean of signs")
        weight_decay: float = setting(0.0, low=0, option="--weight-decay", help="how much")
        groups: tuple = setting((), check=lambda name, value: tuple(value), help="groups")

    yield Lion
    Optimizer.kinds = before


def test_a_new_optimizer_is_one_class(lion):
    assert Optimizer.kinds["lion"] is lion
    assert "lion" not in OPTIMIZERS  # as it was when the package was imported
    assert TrainingSettings(optimizer="lion").optimizer == lion()
    plain = {"optimizer": {"type": "lion", "sign_decay": 0.5}}
    recipe = Recipe.from_dict(plain)
    assert recipe.optimizer == lion(sign_decay=0.5)
    assert Recipe.from_dict(recipe.to_dict()) == recipe
    given = options(Recipe, "--optimizer", "lion", "--optimizer.sign-decay", "0.5", "--lr", "0.01")
    assert override(Recipe(), **given).optimizer == lion(0.01, sign_decay=0.5)
    with pytest.raises(NeocogError, match="sign_decay goes with --optimizer lion, not with sgd"):
        override(Recipe(), **{"optimizer.sign_decay": 0.5})
    with pytest.raises(NeocogError, match=r"^Lion: sign_decay \(=1\) must be a number, at least 0"):
        lion(sign_decay=1)


def test_without_its_class_there_is_no_such_optimizer():
    with pytest.raises(NeocogError, match="Unknown optimizer 'lion'"):
        TrainingSettings(optimizer="lion")
