"""Changes to a recipe's settings, and what freezing changes."""

import pytest

from neocog import SGD, Adam, Muon, schedules
from neocog.errors import NeocogError
from neocog.models.named import is_file
from neocog.settings.augmentation import Augmentation
from neocog.settings.averaging import EMA
from neocog.settings.optimizers import Group
from neocog.settings.override import override
from neocog.settings.recipe import RECIPES, Recipe

# Overridden


def test_no_change_is_the_same_recipe():
    for name in RECIPES:
        recipe = Recipe.load(name)
        assert override(recipe) == recipe


def test_settings_of_a_part_change_that_one_alone():
    best = Recipe.load("best")
    other = override(best, momentum=0.9, translate=4, epochs=3, tta="none")
    assert other.optimizer.momentum == 0.9
    assert other.optimizer.groups == best.optimizer.groups
    assert other.augmentation == Augmentation("alternating", 4)
    assert (other.epochs, other.tta) == (3, None)
    assert override(best, flip="none").augmentation == Augmentation(translate=2)
    photographs = {"crop": (0.35, 1.0), "rotate": 10, "trivial_augment": True}
    with_crop = override(best, **photographs)
    assert with_crop.augmentation == Augmentation(
        "alternating", 2, crop=(0.35, 1.0), rotate=10.0, trivial_augment=True
    )
    assert override(with_crop, crop=(0.5, 0.6)).augmentation.crop == (0.5, 0.6)
    nothing = override(with_crop, crop=None, rotate=0, trivial_augment=False)
    assert nothing.augmentation == best.augmentation
    with pytest.raises(NeocogError, match=r"crop \(=\(35, 1.0\)\) must be two fractions"):
        override(best, crop=(35, 1.0))
    assert override(best, schedule="warm-up").schedule == best.schedule
    assert override(best, schedule="cosine").schedule == schedules.Cosine()
    assert override(best, ema=0.9).averaging == EMA(0.9)
    assert override(best, ema=0).averaging is None
    assert override(override(best, clip_norm=2), clip_norm=None).clip_norm is None


def test_the_rate_takes_the_rates_of_groups_with_it():
    other = override(Recipe.load("best"), lr=0.75).optimizer
    assert other.lr == 0.75
    assert [group.lr for group in other.groups] == [None, None, 48.0]


def test_another_optimizer_has_its_own_defaults_and_leaves_at_rest_what_was():
    other = override(Recipe.load("best"), optimizer="adam").optimizer
    frozen = tuple(Group(match, frozen=True) for match in ("whiten.weight", "*.norm?.weight"))
    assert other == Adam(groups=frozen)
    assert override(Recipe.load("note"), optimizer="adam", lr=0.1).optimizer == Adam(0.1)


def test_another_model_takes_nothing_that_names_layers():
    other = override(Recipe.load("best"), model="vgg-small")
    assert (other.initialization, other.freeze_after, other.optimizer.groups) == ("torch", {}, ())
    assert override(Recipe.load("minute"), model="resnet8").width == 1.0
    assert override(Recipe.load("minute"), width=0.5).width == 0.5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epoch": 3}, "no setting 'epoch'"),
        ({"optimizer": "lion"}, "Unknown optimizer 'lion'"),
        ({"schedule": "square"}, "Unknown schedule 'square'"),
        ({"optimizer": ["sgd"]}, r"optimizer \(=\['sgd'\]\) must be a neocog optimizer: sgd"),
        ({"schedule": 10**5000}, r"schedule \(=an object of type int\) must be a neocog schedule"),
        (
            {"optimizer": "adam", "momentum": 0.9},
            "^momentum goes with --optimizer sgd or rmsprop or muon, not with adam",
        ),
        ({"lr": -1.0}, "lr"),
        ({"epochs": 0}, "epochs"),
    ],
)
def test_changes_that_cannot_be(changes, message):
    with pytest.raises(NeocogError, match=message):
        override(Recipe.load("best"), **changes)


def test_what_is_a_file():
    assert [is_file(m) for m in ("a.py", "b/a.py:make", "airbench", "a.pyc")] == [
        *(True, True),
        *(False, False),
    ]


# At rest


def test_frozen_goes_before_every_other_group():
    optimizer = SGD(0.1, groups=(Group("*.bias", lr=1.0),))
    frozen = optimizer.with_frozen(["a.bias"])
    assert frozen.rule_for("a.bias", (3,)).kind == "frozen"
    assert frozen.rule_for("b.bias", (3,)).settings[0] == 1.0
    assert optimizer.with_frozen([]) is optimizer
    muon = Muon().with_frozen(["a.*"])
    assert muon.rule_for("a.weight", (3, 3, 3, 3)).kind == "frozen"
    assert muon.rule_for("a.bias", (3,)).kind == "frozen"
    assert muon.rule_for("b.bias", (3,)).kind == "adam"
