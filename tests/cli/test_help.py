"""Help, versions and usage errors: what the command line says before it does anything."""

import re
import subprocess
import sys

import pytest

import neocog
from neocog.cli.parser import build_parser
from neocog.settings.optimizers import OPTIMIZERS
from neocog.settings.recipe import INITIALIZATIONS, RECIPES, VIEWS, Recipe
from neocog.settings.schedules import SCHEDULES

# Modules that `neocog --help` may import, Python's own too: 125 when this was written.
MOST_MODULES = 160

COMMANDS = [
    "train",
    "tune",
    "evaluate",
    "calibrate",
    "report",
    "runs",
    "compare",
    "predict",
    "embed",
    "similar",
    "suggest",
    "explain",
    "export",
    "push",
    "pull",
    "models",
    "summary",
    "explore",
    "serve",
    "bench",
    "data",
    "cache",
    "kernels",
    "warm-up",
]


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help(command, name):
    code, out, err = command(name, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"usage: neocog {name}")


def test_help_names_every_command(command):
    code, out, err = command("--help")
    assert (code, err) == (0, "")
    for name in COMMANDS:
        assert re.search(rf"^ +{name} +\w", out, re.MULTILINE), name


def test_these_are_all_the_commands():
    (commands,) = (a for a in build_parser()._actions if a.dest == "command")
    assert list(commands.choices) == COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_every_argument_has_help(name):
    (commands,) = (a for a in build_parser()._actions if a.dest == "command")
    for action in commands.choices[name].filled()._actions:
        assert action.help, action.dest


def test_the_defaults_are_the_recipes_and_that_is_the_notes():
    options = vars(build_parser().parse_args(["train"]))
    options.pop("run")
    given = {name: value for name, value in options.items() if value is not None}
    assert given == {"command": "train"}
    assert Recipe.load("note") == Recipe(name="note", about=Recipe.load("note").about)


def test_the_parsers_names_are_the_registries():
    (commands,) = (a for a in build_parser()._actions if a.dest == "command")
    actions = {action.dest: action for action in commands.choices["train"].filled()._actions}
    assert actions["optimizer"].choices == list(OPTIMIZERS)
    assert actions["schedule"].choices == list(SCHEDULES)
    assert actions["tta"].choices == [*VIEWS, "none"]
    assert actions["initialization"].choices == list(INITIALIZATIONS)
    assert all(name in actions["recipe"].help for name in RECIPES)


def test_version(command):
    assert command("--version") == (0, f"neocog {neocog.__version__}\n", "")


def test_help_imports_little(here):
    """So that it is there at once."""
    script = (
        "import sys\n"
        "began = set(sys.modules)\n"
        "from neocog.cli import main\n"
        "try:\n"
        "    main(['--help'])\n"
        "except SystemExit as stop:\n"
        "    assert stop.code == 0\n"
        "print(*sorted(set(sys.modules) - began), file=sys.stderr)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=here, capture_output=True, text=True, check=True
    )
    loaded = result.stderr.split()
    large = {"numpy", "numba", "llvmlite", "torch", "rich", "PIL", "safetensors"}
    assert not large & set(loaded)
    assert len(loaded) <= MOST_MODULES, loaded


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "unknown command 'trian'. Did you mean 'train'?"),
        (["walk"], "unknown command 'walk'. There are: train, "),
        (["train", "--modle", "lenet5"], "unknown option '--modle'. Did you mean '--model'? See"),
        (["train", "--epoch=3"], "unknown option '--epoch'. Did you mean '--epochs'? See"),
        (["train", "--no-nestrov"], "Did you mean '--no-nesterov'?"),
        (["--versoin"], "unknown option '--versoin'. Did you mean '--version'? See neocog --help"),
        (["train", "--qqq"], "unknown option '--qqq'. See neocog train --help."),
        (["train", "--json"], "unknown option '--json'. See neocog train --help."),
        (["models", "all"], "unexpected argument 'all'. See neocog models --help."),
        (["train", "--optimizer", "admw"], "unknown 'admw'. Did you mean 'adamw'? There are: sgd"),
        (["train", "--epochs", "many"], "--epochs"),
        (["train", "--epochs", ""], "--epochs"),
        (["train", "--jitter", "0.1"], "--jitter"),
        (["train", "--tta", "twice"], "'twice'"),
        (["train", "--lr", "fast"], "--lr"),
        (["train", "--optimizer", "lion"], "'lion'"),
        (["train", "--no-such"], "--no-such"),
        (["evaluate"], "model"),
        (["predict", "model.pth"], "IMAGE"),
        (["predict", "model.pth", "a.png", "--top", "x"], "--top"),
    ],
)
def test_usage_errors_are_one_line_and_code_2(refused, arguments, message):
    assert message in refused(*arguments, code=2)


def test_no_command_shows_them_all(command):
    assert command() == command("--help")
