"""Options of the command line: one for every setting, read from the settings themselves."""

import argparse
import subprocess
import sys
from dataclasses import fields

import pytest
from every_setting import KINDS

from neocog.cli.parser import build_parser
from neocog.errors import NeocogError
from neocog.settings import schedules
from neocog.settings.augmentation import Augmentation
from neocog.settings.averaging import EMA, Averaging, Lookahead
from neocog.settings.optimizers import SGD, AdamW, Group, Muon, Optimizer
from neocog.settings.options import add_options
from neocog.settings.override import override
from neocog.settings.recipe import Recipe
from neocog.settings.training import TrainingSettings

PARTS = {Optimizer: "optimizer", schedules.Schedule: "schedule", Averaging: "averaging"}


def actions() -> dict[str, argparse.Action]:
    """What ``neocog train`` takes, by the option."""
    (commands,) = (a for a in build_parser()._actions if a.dest == "command")
    train = commands.choices["train"].filled()
    return {option: action for action in train._actions for option in action.option_strings}


def parsed(*arguments: str) -> TrainingSettings:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_options(parser, TrainingSettings, "settings")
    return override(TrainingSettings(), **vars(parser.parse_args(arguments)))


def option(prefix: str, name: str) -> str:
    return f"--{prefix}{name}".replace("_", "-")


def test_every_setting_of_a_training_has_an_option():
    there = actions()
    for one in fields(Recipe):
        if one.name in ("name", "about", "augmentation"):
            continue
        assert option("", one.name) in there, one.name
        assert there[option("", one.name)].dest == one.name
    for one in fields(Augmentation):
        assert option("augmentation.", one.name) in there, one.name


@pytest.mark.parametrize("kind", KINDS)
def test_every_setting_of_a_part_has_an_option(kind):
    there = actions()
    (part,) = (name for family, name in PARTS.items() if issubclass(kind, family))
    for one in fields(kind):
        action = there[option(f"{part}.", one.name)]
        assert action.dest == f"{part}.{one.name}"
        assert action.help


def test_every_setting_has_the_help_of_its_class():
    there = actions()
    for one in fields(TrainingSettings):
        if one.name != "augmentation":
            assert there[option("", one.name)].help == one.metadata["setting"].help


def test_the_usual_ones_have_a_short_option():
    there = actions()
    for name in ("lr", "momentum", "weight-decay", "nesterov"):
        assert there[f"--{name}"] is there[f"--optimizer.{name}"]
    for name in Augmentation.names():
        assert there[option("", name)] is there[option("augmentation.", name)]


def test_what_is_not_given_is_not_there():
    parser = argparse.ArgumentParser()
    add_options(parser, TrainingSettings, "settings")
    assert vars(parser.parse_args([])) == {}


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["--epochs", "9.5"], {"epochs": 9.5}),
        (["--epochs", "9"], {"epochs": 9}),
        (
            ["--optimizer", "adamw", "--optimizer.betas", "0.9", "0.98"],
            {"optimizer": AdamW(betas=(0.9, 0.98))},
        ),
        (["--lr", "0.1", "--nesterov"], {"optimizer": SGD(0.1, 0.9, nesterov=True)}),
        (
            ["--optimizer", "muon", "--optimizer.rest", "sgd", "--optimizer.rest.lr", "0.3"],
            {"optimizer": Muon(rest=SGD(0.3))},
        ),
        (
            ["--optimizer.groups=match=*.bias,lr=0.5", "--optimizer.groups=match=a,frozen=true"],
            {"optimizer": SGD(0.001, 0.9, groups=(Group("*.bias", 0.5), Group("a", frozen=True)))},
        ),
        (["--schedule", "cosine"], {"schedule": schedules.Cosine()}),
        (
            ["--schedule", "warm-up", "--schedule.length", "100", "--schedule.then", "linear",
             "--schedule.then.end", "0.1"],
            {"schedule": schedules.Warmup(100, then=schedules.Linear(end=0.1))},
        ),
        (["--averaging", "ema", "--averaging.decay", "0.9"], {"averaging": EMA(0.9)}),
        (["--averaging", "lookahead"], {"averaging": Lookahead()}),
        (["--averaging", "none"], {}),
        (["--flip", "random", "--crop", "0.35"],
         {"augmentation": Augmentation("random", crop=(0.35, 1.0))}),
        (["--crop", "0.35,0.8"], {"augmentation": Augmentation(crop=(0.35, 0.8))}),
        (["--crop", "0"], {}),
        (["--jitter", "0.1", "0.2", "0.3"], {"augmentation": Augmentation(jitter=(0.1, 0.2, 0.3))}),
        (["--no-trivial-augment"], {}),
        (["--clip-norm", "0"], {}),
        (["--clip-norm", "2"], {"clip_norm": 2.0}),
        (["--class-weights", "1,2.5"], {"class_weights": (1.0, 2.5)}),
        (["--pos-weight", "3,1", "--loss", "binary-cross-entropy"],
         {"pos_weight": (3.0, 1.0), "loss": "binary-cross-entropy"}),
        (["--freeze-after", "a=3", "--freeze-after", "b.*=4"],
         {"freeze_after": {"a": 3, "b.*": 4}}),
        (["--seed", "-3"], {"seed": -3}),
        (["--balance", "none"], {}),
    ],
)  # fmt: skip
def test_what_options_say(arguments, wanted):
    assert parsed(*arguments) == TrainingSettings(**wanted)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--optimizer.betas", "0.9", "0.9"], "betas goes with --optimizer adam or adamw, not"),
        (["--averaging.decay", "0.9"], "averaging.decay needs to know which averaging"),
        (["--schedule.then.end", "0.1"], "then goes with --schedule warm-up, not with constant"),
        (["--schedule", "warm-up", "--schedule.then", "warm-up"], r"Warmup: then \(=.*another"),
        (["--optimizer.rest.lr", "0.1"], "rest goes with --optimizer muon, not with sgd"),
        (["--optimizer", "muon", "--optimizer.rest.lr", "-1"], r"AdamW: lr \(=-1\) must be a pos"),
        (["--clip-norm", "-1"], r"clip_norm \(=-1.0\) must be a positive number"),
        (["--freeze-after", "a=0"], r"freeze_after\['a'\] \(=0\) must be a whole number"),
    ],
)
def test_options_that_do_not_go_together(arguments, message):
    with pytest.raises(NeocogError, match=message):
        parsed(*arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--epochs", "many"],
        ["--batch-size", "1.5"],
        ["--optimizer", "lion"],
        ["--optimizer.groups", "lr=0.5,mach=a"],
        ["--optimizer.groups", "match=a,frozen=perhaps"],
        ["--crop", "all"],
        ["--class-weights", "1;2"],
        ["--freeze-after", "a"],
        ["--optimizer.betas", "0.9"],
    ],
)
def test_texts_that_are_no_values(arguments):
    with pytest.raises((argparse.ArgumentError, SystemExit)):
        parsed(*arguments)


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"]])
def test_the_help_imports_nothing_large(arguments, tmp_path):
    """NumPy alone would take longer than the rest."""
    script = (
        "import sys\n"
        "from neocog.cli import main\n"
        "try:\n"
        f"    main({arguments!r})\n"
        "except SystemExit as stop:\n"
        "    assert stop.code == 0\n"
        "large = {'numpy', 'numba', 'llvmlite', 'torch', 'rich', 'PIL', 'safetensors'}\n"
        "print(sorted(large & set(sys.modules)), len(sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    large, count = done.stderr.rsplit(" ", 1)
    assert large == "[]"
    assert int(count) < 400
