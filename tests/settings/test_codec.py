"""Settings as TOML, JSON and options of the command line, and back unchanged."""

import json
import tomllib

import pytest
from every_setting import CLASSES, instances
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from written_options import written

from neocog.cli.argument_parser import ArgumentParser
from neocog.errors import NeocogError
from neocog.settings.augmentation import Augmentation
from neocog.settings.codec import from_plain, to_plain
from neocog.settings.optimizers import Group, Muon, Optimizer
from neocog.settings.options import add_options
from neocog.settings.override import override
from neocog.settings.recipe import Recipe
from neocog.settings.schedules import Schedule
from neocog.settings.toml import write_toml
from neocog.settings.training import TrainingSettings

MANY = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@MANY
@given(instances(Recipe))
def test_a_recipe_goes_to_toml_and_back(recipe):
    text = write_toml(recipe.to_dict())
    assert Recipe.from_dict(tomllib.loads(text)) == recipe


@MANY
@given(instances(Recipe))
def test_a_recipe_goes_to_json_and_back(recipe):
    text = json.dumps(recipe.to_dict(), allow_nan=False)
    assert Recipe.from_dict(json.loads(text)) == recipe


@pytest.fixture(scope="module")
def parser() -> ArgumentParser:
    made = ArgumentParser()
    add_options(made, Recipe, "settings")
    return made


def test_a_negative_number_with_an_exponent_is_a_value(parser):
    options = ["--optimizer.ns-coefficients", "3.4445", "-4.775e-1", "-.5"]
    assert vars(parser.parse_args(options))["optimizer.ns_coefficients"] == [3.4445, -0.4775, -0.5]


@MANY
@given(recipe=instances(Recipe))
def test_a_recipe_goes_to_options_and_back(parser, recipe):
    given = vars(parser.parse_args(written(recipe)))
    assert override(Recipe(), **given) == recipe


@pytest.mark.parametrize("cls", CLASSES)
def test_every_class_goes_to_plain_data_and_back(cls):
    @settings(max_examples=5, deadline=None)
    @given(instances(cls))
    def check(one):
        plain = json.loads(json.dumps(to_plain(one), allow_nan=False))
        assert from_plain(cls if "type" not in plain else _family(cls), plain, "one") == one

    check()


def _family(cls):
    """`Optimizer` for `SGD`."""
    return next(base for base in cls.__mro__ if vars(base).get("kinds"))


# Names that are not known


def _misspelled(name: str) -> str:
    return name[:-1] + name[-1] + name[-1]


@pytest.mark.parametrize("cls", CLASSES)
def test_a_misspelled_key_names_the_nearest(cls):
    family = _family(cls) if getattr(cls, "type_name", "") else cls
    kind = {"type": cls.type_name} if family is not cls else {}
    for name in cls.names():
        with pytest.raises(NeocogError) as caught:
            from_plain(family, {**kind, _misspelled(name): 1}, "the part")
        message = str(caught.value)
        assert f"has no setting '{_misspelled(name)}'. Did you mean {name!r}? Known: " in message


@given(st.text(max_size=20).filter(lambda name: name not in Recipe.names()))
def test_any_key_that_is_not_known_is_refused_in_one_line(name):
    for make in (Recipe.from_dict, lambda given: override(Recipe(), **given)):
        if name in ("lr", "ema") or "." in name:
            continue
        try:
            make({name: 1})
        except NeocogError as error:
            assert "\n" not in str(error)
        else:
            # Short names of settings of parts, such as `momentum`, are of `override` alone.
            assert make is not Recipe.from_dict


@pytest.mark.parametrize(
    ("changes", "nearest"),
    [
        ({"lable_smoothing": 0.1}, "label_smoothing"),
        ({"momentun": 0.9}, "momentum"),
        ({"optimizer.momentun": 0.9}, "momentum"),
        ({"augmentation.flop": "random"}, "flip"),
        ({"optimzer": "sgd"}, "optimizer"),
        ({"batchsize": 8}, "batch_size"),
        ({"optimizer": "adamm"}, "adam"),
        ({"optimizer": {"type": "nuon"}}, "muon"),
        ({"flip": "randon"}, "random"),
        ({"monitor": "validation loss"}, "validation_loss"),
    ],
)
def test_what_is_nearly_a_setting_names_the_nearest(changes, nearest):
    with pytest.raises(NeocogError, match=rf"Did you mean '{nearest}'\?"):
        override(TrainingSettings(), **changes)


# Descriptions that build nothing


@pytest.mark.parametrize(
    ("family", "description", "message"),
    [
        (Optimizer, {"type": "sgd", "groups": [{"lr": 0.1}]}, "Group needs match: a pattern"),
        (Group, {}, "the part needs match: a pattern"),
        (Schedule, {"type": "__class__"}, "Unknown the part '__class__'"),
        (Optimizer, {"type": {"type": "sgd"}}, "Unknown the part {'type': 'sgd'}"),
        (Augmentation, "flip", "the part (='flip') must be settings by name."),
        (Augmentation, {"check_together": 1}, "the part has no setting 'check_together'"),
        (Augmentation, {3: 1}, "the part has no setting 3. Known: flip"),
    ],
)
def test_descriptions_that_build_nothing(family, description, message):
    with pytest.raises(NeocogError) as caught:
        from_plain(family, description, "the part")
    assert str(caught.value).startswith(message)


def test_optimizers_within_optimizers_have_an_end():
    plain = {"type": "muon"}
    for _ in range(20):
        plain = {"type": "muon", "rest": plain}
    with pytest.raises(NeocogError, match="rest is nested more than 8 levels deep"):
        from_plain(Optimizer, plain, "optimizer")
    assert isinstance(from_plain(Optimizer, {"type": "muon", "rest": {"type": "sgd"}}, ""), Muon)
