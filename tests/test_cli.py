"""The command line: what it prints and where, its exit codes, and what it leaves on disk.

Most tests call `neocog.cli.main` here, with a little data in place of the real; some start it as a
user does, for what only a process of its own can show.
"""

import csv
import importlib
import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import neocog
from neocog import Conv2d, Flatten, Linear
from neocog.benchmark import Measured, Row
from neocog.cli import main, recipe_options
from neocog.cli.parser import build_parser
from neocog.data import Data, Dataset
from neocog.data.picture import read_picture
from neocog.data.sources import cifar10 as cifar
from neocog.evaluation import VIEWS
from neocog.formats import save_model, save_pth
from neocog.loading import open_network
from neocog.trained_on import trained_on, training_notes
from neocog.training.initialization import INITIALIZATIONS
from neocog.training.optimizers import OPTIMIZERS
from neocog.training.recipes import RECIPES, Recipe
from neocog.training.run_process import settle
from neocog.training.schedules import SCHEDULES

COMMANDS = [
    "train",
    "evaluate",
    "predict",
    "explain",
    "models",
    "summary",
    "explore",
    "bench",
    "data",
    "cache",
]
FILES = ["cnn_model.pth", "history.csv", "model.safetensors", "run.json"]
CLASSES = tuple(f"class{k}" for k in range(10))


def tiny(train=40, test=30, side=32, classes=CLASSES, name="tiny") -> Data:
    """Dark noise with a light band, the lower the higher the class."""
    rng = np.random.default_rng(0)

    def split(count: int) -> Dataset:
        labels = np.arange(count, dtype=np.int64) % len(classes)
        images = rng.integers(0, 60, (min(count, 200), side, side, 3), np.uint8)
        for image, label in zip(images, labels, strict=False):
            image[3 * label : 3 * label + 3] += 160
        return Dataset(images[np.arange(count) % len(images)], labels)

    return Data(name, split(train), split(test), classes)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def with_data(monkeypatch):
    """Let the commands load `data`, whatever is asked for, or `tiny()`."""

    def give(data: Data | None = None) -> None:
        given = data or tiny()
        for command in ("train", "evaluate"):
            module = importlib.import_module(f"neocog.cli.{command}")
            monkeypatch.setattr(module, "load_data", lambda *_, **__: given)

    return give


@pytest.fixture
def command(capsys):
    """Run a command here; gives exit code, stdout and stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        try:
            code = main([str(a) for a in arguments])
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def refused(command, here):
    """Run a command that must fail with one message and leave everything as it was."""

    def run(*arguments: object, code: int = 1) -> str:
        before = everything_in(here)
        given, out, err = command(*arguments)
        assert given == code
        assert out == ""
        assert err.startswith("neocog: ")
        assert err.count("\n") == 1, err
        assert "Traceback" not in err
        assert everything_in(here) == before
        return err

    return run


def everything_in(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def the_run(here: Path) -> Path:
    (folder,) = (here / "runs").iterdir()
    return folder


def start(*arguments: object, cwd: Path, **settings) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "neocog", *map(str, arguments)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        **settings,
    )


def ended(*arguments: object, cwd: Path, **settings) -> tuple[int, str, str]:
    process = start(*arguments, cwd=cwd, **settings)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


# Help


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
    for action in commands.choices[name]._actions:
        assert action.help, action.dest


def test_the_defaults_are_the_recipes_and_that_is_the_notes():
    options = vars(build_parser().parse_args(["train"]))
    options.pop("run")
    given = {name: value for name, value in options.items() if value is not None}
    assert given == {
        "command": "train",
        "data": "shapes",
        "seed": 0,
        "log_every": 2000,
    }


def test_the_parsers_names_are_the_registries():
    assert tuple(OPTIMIZERS) == recipe_options.OPTIMIZERS
    assert tuple(SCHEDULES) == recipe_options.SCHEDULES
    (commands,) = (a for a in build_parser()._actions if a.dest == "command")
    actions = {action.dest: action for action in commands.choices["train"]._actions}
    assert actions["tta"].choices == ("none", *VIEWS)
    assert actions["initialization"].choices == INITIALIZATIONS
    assert all(name in actions["recipe"].help for name in RECIPES)


def test_version(command):
    assert command("--version") == (0, f"neocog {neocog.__version__}\n", "")


def test_help_is_there_at_once_and_imports_nothing_large(here):
    script = (
        "import sys, time\n"
        "began = time.perf_counter()\n"
        "from neocog.cli import main\n"
        "try:\n"
        "    main(['--help'])\n"
        "except SystemExit as stop:\n"
        "    assert stop.code == 0\n"
        "seconds = time.perf_counter() - began\n"
        "large = ('numpy', 'numba', 'llvmlite', 'torch', 'rich', 'PIL', 'safetensors')\n"
        "print([m for m in large if m in sys.modules], seconds, file=sys.stderr)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=here, capture_output=True, text=True, check=True
    )
    loaded, seconds = result.stderr.rsplit(" ", 1)
    assert loaded == "[]"
    assert float(seconds) < 0.3


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


# train


def test_train_prints_what_the_note_prints(command, with_data, here):
    with_data()
    code, out, _ = command("train", "--epochs", 2, "--log-every", 4)
    assert code == 0
    *losses, finished, accuracy, results = out.splitlines()
    assert len(losses) == 4
    for line, (epoch, batch) in zip(losses, [(1, 4), (1, 8), (2, 4), (2, 8)], strict=True):
        assert re.fullmatch(rf"Epoch: {epoch}, Batch: {batch}, Loss: \d\.\d{{3}}", line)
    assert finished == "Training finished."
    assert re.fullmatch(r"Test accuracy: \d+\.\d\d % of 30 images", accuracy)
    assert results == f"Results: {the_run(here).relative_to(here)}"


def test_the_line_itself(capsys):
    """Exactly the note's, to three places."""
    from neocog.cli.display import Display
    from neocog.training.history import Logged

    Display(None, None, 1).logged(Logged(1, 2000, 1.78246, 0.5))
    assert capsys.readouterr().out == "Epoch: 1, Batch: 2000, Loss: 1.782\n"


def test_train_leaves_the_four_files(command, with_data, here):
    with_data()
    _, out, _ = command("train", "--epochs", 2, "--log-every", 4, "--lr", 0.01, "--seed", 3)
    folder = the_run(here)
    assert sorted(path.name for path in folder.iterdir()) == FILES

    rows = list(csv.DictReader((folder / "history.csv").read_text().splitlines()))
    assert list(rows[0]) == ["epoch", "batch", "loss", "seconds"]
    printed = re.findall(r"Epoch: (\d+), Batch: (\d+), Loss: (\S+)", out)
    assert [(r["epoch"], r["batch"], f"{float(r['loss']):.3f}") for r in rows] == printed

    info = json.loads((folder / "run.json").read_text())
    assert info["status"] == "finished"
    assert info["settings"] == {
        "data": "tiny",
        "recipe": "note",
        "model": "simple-cnn",
        "width": 1.0,
        "initialization": "torch",
        "normalize": "model",
        "epochs": 2,
        "batch_size": 4,
        "optimizer": {
            "type": "sgd",
            "lr": 0.01,
            "momentum": 0.9,
            "weight_decay": 0.0,
            "nesterov": False,
            "groups": [],
        },
        "schedule": None,
        "averaging": None,
        "augmentation": None,
        "label_smoothing": 0.0,
        "clip_norm": None,
        "accumulate": 1,
        "balance": None,
        "freeze_after": {},
        "tta": None,
        "seed": 3,
        "threads": None,
        "log_every": 4,
    }
    assert info["steps"] == 20
    assert [set(epoch) for epoch in info["epochs"]] == [{"loss", "seconds"}] * 2
    assert {"python", "numpy", "numba", "llvmlite"} <= info["versions"].keys()
    assert info["machine"]["processor"]
    assert info["machine"]["cores"] >= 1
    assert info["machine"]["vector_floats"] in (4, 8, 16)
    assert info["timings"].keys() == {
        "compile_seconds",
        "training_seconds",
        "microseconds_a_step",
        "evaluation_seconds",
    }
    assert all(value > 0 for value in info["timings"].values())
    assert f"{100 * info['test']['accuracy']:.2f} %" in out

    whole, weights = neocog.load(folder), neocog.load(folder / "cnn_model.pth")
    assert whole.classes == CLASSES
    assert list(weights.state_dict()) == ["conv1.weight", "conv1.bias", "fc.weight", "fc.bias"]
    for name, value in whole.state_dict().items():
        np.testing.assert_array_equal(weights.state_dict()[name], value)
    assert neocog.evaluate(whole, tiny().test).accuracy == info["test"]["accuracy"]


def test_the_settings_reach_fit(command, with_data, here):
    """As the public function would have trained."""
    with_data()
    command(
        *("train", "--epochs", 2, "--batch-size", 8, "--lr", 0.02, "--momentum", 0.5),
        *("--seed", 4, "--threads", 1),
    )
    network = neocog.models.simple_cnn()
    optimizer = neocog.SGD(0.02, momentum=0.5)
    neocog.fit(network, tiny().train, epochs=2, batch_size=8, optimizer=optimizer, seed=4)
    for name, value in neocog.load(the_run(here)).state_dict().items():
        np.testing.assert_array_equal(value, network.state_dict()[name])


def test_adam(command, with_data, here):
    with_data()
    assert command("train", "--epochs", 1, "--optimizer", "adam", "--lr", 0.002)[0] == 0
    network = neocog.models.simple_cnn()
    neocog.fit(network, tiny().train, epochs=1, optimizer=neocog.Adam(0.002))
    for name, value in neocog.load(the_run(here)).state_dict().items():
        np.testing.assert_array_equal(value, network.state_dict()[name])
    settings = json.loads((the_run(here) / "run.json").read_text())["settings"]
    assert settings["optimizer"]["type"] == "adam"
    assert settings["optimizer"]["lr"] == 0.002
    assert "momentum" not in settings["optimizer"]


@pytest.mark.thorough
def test_a_recipe_with_changes(command, with_data, here):
    """As the public functions would have done it."""
    with_data()
    (here / "mine.toml").write_text(
        'model = "vgg-small"\nwidth = 0.25\nepochs = 3\nbatch_size = 8\nnormalize = "data"\n'
        'tta = "flip"\n[optimizer]\ntype = "sgd"\nlr = 0.05\nmomentum = 0.9\n'
        '[augmentation]\nflip = "random"\n'
    )
    code, _, err = command(
        *("train", "--recipe", "mine.toml", "--epochs", 1.5, "--translate", 2, "--nesterov"),
        *("--schedule", "cosine", "--ema", 0.5, "--label-smoothing", 0.1, "--clip-norm", 1),
        *("--accumulate", 2, "--mixup", 0.2, "--weight-decay", 0.01, "--seed", 4),
        *("--crop", 0.4, "--rotate", 5, "--trivial-augment"),
    )
    assert code == 0, err
    recipe = Recipe(
        model="vgg-small",
        width=0.25,
        epochs=1.5,
        batch_size=8,
        normalize="data",
        tta="flip",
        optimizer=neocog.SGD(0.05, 0.9, weight_decay=0.01, nesterov=True),
        schedule=neocog.schedules.Cosine(),
        averaging=neocog.EMA(0.5),
        augmentation=neocog.Augmentation(
            *("random", 2), mixup=0.2, crop=(0.4, 1.0), rotate=5.0, trivial_augment=True
        ),
        label_smoothing=0.1,
        clip_norm=1.0,
        accumulate=2,
    )
    network = recipe.network(tiny(), 4)
    neocog.fit(network, tiny().train, **recipe.fit_settings(), seed=4)
    trained = neocog.load(the_run(here))
    for name, value in trained.state_dict().items():
        np.testing.assert_array_equal(value, network.state_dict()[name])
    assert trained.preprocessing == network.preprocessing
    assert trained.preprocessing.mean != (0.5, 0.5, 0.5)
    info = json.loads((the_run(here) / "run.json").read_text())
    settings = {k: v for k, v in info["settings"].items() if k not in ("data", "recipe")}
    for name in ("seed", "threads", "log_every"):
        settings.pop(name)
    assert Recipe.from_dict(settings) == recipe
    assert info["settings"]["recipe"] == "mine"
    expected = neocog.evaluate(network, tiny().test, tta="flip")
    assert info["test"]["loss"] == expected.loss

    # The views are remembered, and can be done without.
    result = json.loads(command("evaluate", the_run(here), "tiny", "--json")[1])
    assert (result["tta"], result["loss"]) == ("flip", expected.loss)
    result = json.loads(command("evaluate", the_run(here), "tiny", "--tta", "none", "--json")[1])
    assert "tta" not in result
    assert result["loss"] == neocog.evaluate(network, tiny().test).loss


MODEL_FILE = """
import neocog

def make(classes, input_shape=(3, 32, 32)):
    return neocog.Network(
        input_shape=input_shape,
        flatten=neocog.Flatten(),
        fc=neocog.Linear(input_shape[0] * input_shape[1] * input_shape[2], classes),
    )

small = make
"""


@pytest.mark.parametrize("function", ["", ":make", ":small"])
def test_a_model_file(command, with_data, here, function):
    with_data(tiny(side=28, classes=CLASSES[:7]))
    (here / "my_net.py").write_text(MODEL_FILE)
    code, _, err = command("train", "--model", f"my_net.py{function}", "--epochs", 1)
    assert code == 0, err
    assert the_run(here).name.startswith("my_net-tiny-")
    assert neocog.load(the_run(here)).parameter_shapes["fc.weight"] == (7, 3 * 28 * 28)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("other.py", "there is no such file"),
        ("my_net.py:other", "'other'"),
        ("broken.py", "broken.py"),
    ],
)
def test_model_files_that_cannot_be(refused, with_data, here, model, message):
    with_data()
    (here / "my_net.py").write_text(MODEL_FILE)
    (here / "broken.py").write_text("1 / 0")
    assert message in refused("train", "--model", model)


def test_the_network_has_the_datas_classes_and_size(command, with_data, here):
    with_data(tiny(side=28, classes=CLASSES[:7]))
    assert command("train", "--model", "lenet5", "--epochs", 1)[0] == 0
    network = neocog.load(the_run(here))
    assert network.input_shape == (3, 28, 28)
    assert network.classes == CLASSES[:7]


def test_a_new_folder_each_time(command, with_data, here):
    with_data()
    for _ in range(3):  # within one second, so that the time in the name is not enough
        assert command("train", "--epochs", 1)[0] == 0
    folders = list((here / "runs").iterdir())
    assert len(folders) == 3
    for folder in folders:
        assert folder.name.startswith("simple-cnn-tiny-")
        assert sorted(path.name for path in folder.iterdir()) == FILES


def test_out(command, with_data, here):
    with_data()
    (here / "empty").mkdir()
    for out in ("new/folder", "empty"):
        code, printed, _ = command("train", "--epochs", 1, "--out", out)
        assert code == 0
        assert printed.endswith(f"Results: {out}\n")
        assert sorted(path.name for path in (here / out).iterdir()) == FILES
    assert not (here / "runs").exists()


def test_out_that_holds_something_is_refused(refused, with_data, here):
    with_data()
    (here / "full").mkdir()
    (here / "full" / "run.json").write_text("mine")
    (here / "file").write_text("mine")
    for out in ("full", "file"):
        assert f"{out} holds something already" in refused("train", "--out", out)


def test_a_folder_that_cannot_be_made_is_refused(refused, with_data, here):
    with_data()
    (here / "runs").write_text("a file")
    assert "runs, cannot be made" in refused("train")
    assert "runs/a, cannot be made" in refused("train", "--out", "runs/a")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", 0], "epochs (=0)"),
        (["--epochs", -1], "epochs (=-1)"),
        (["--epochs", 10**9], "epochs (=1000000000)"),
        (["--batch-size", 0], "batch_size (=0)"),
        (["--batch-size", -4], "batch_size (=-4)"),
        (["--lr", 0], "lr (=0.0)"),
        (["--lr", -0.1], "lr (=-0.1)"),
        (["--lr", "nan"], "lr (=nan)"),
        (["--lr", "inf"], "lr (=inf)"),
        (["--momentum", -0.5], "momentum (=-0.5)"),
        (["--momentum", 1], "momentum (=1.0)"),
        (["--threads", 0], "threads (=0)"),
        (["--threads", -2], "threads (=-2)"),
        (["--threads", 100_000], "threads (=100000)"),
        (["--log-every", 0], "log_every (=0)"),
        (["--seed", 2**64], f"seed (={2**64})"),
        (["--optimizer", "adam", "--momentum", 0.9], "--momentum goes with --optimizer sgd"),
        (["--model", "simple_cn"], "Did you mean 'simple-cnn'?"),
        (["--model", "resnet"], "Known: simple-cnn"),
        (["--width", 0], "width (=0)"),
        (["--epochs", "nan"], "epochs (=nan)"),
        (["--recipe", "minutes"], "Did you mean 'minute'?"),
        (["--recipe", "my.toml"], "my.toml: No such file"),
        (["--weight-decay", -1], "weight_decay (=-1.0)"),
        (["--optimizer", "adamw", "--nesterov"], "--nesterov goes with --optimizer sgd"),
        (["--momentum", 0, "--nesterov"], "nesterov needs a momentum"),
        (["--label-smoothing", 2], "label_smoothing (=2.0)"),
        (["--clip-norm", -1], "clip_norm (=-1.0)"),
        (["--accumulate", 0], "accumulate (=0)"),
        (["--ema", 1], "decay (=1.0)"),
        (["--translate", -1], "translate (=-1)"),
        (["--cutout", -1], "cutout (=-1)"),
        (["--mixup", -1], "mixup (=-1.0)"),
        (["--jitter", 0, 0, -1], "jitter"),
    ],
)
def test_silly_settings_are_refused_before_data_are_loaded(
    refused, monkeypatch, arguments, message
):
    module = importlib.import_module("neocog.cli.train")
    monkeypatch.setattr(module, "load_data", lambda *_, **__: pytest.fail("data were loaded"))
    assert message in refused("train", *arguments)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("cifar", "Did you mean 'cifar10'?"),
        ("CIFAR-10", "Did you mean 'cifar10'?"),
        ("shape", "Did you mean 'shapes'?"),
        ("imagenet", "There are: cifar10, shapes"),
        ("no/such/folder", "no file or folder no/such/folder"),
        ("", "cifar10, shapes"),
    ],
)
def test_unknown_data(refused, data, message):
    assert message in refused("train", data)


def test_data_that_are_too_small_for_the_model(refused, with_data):
    small = tiny(side=32)
    cut = [Dataset(d.images[:, :8, :8].copy(), d.labels) for d in (small.train, small.test)]
    with_data(Data("tiny", *cut, small.classes))
    assert "airbench" in refused("train", "--model", "airbench")


def test_divergence_is_one_message_and_keeps_the_epochs_before(command, with_data, here):
    with_data(tiny(train=4))  # an epoch of one step, so that the second sees what the first did
    code, out, err = command("train", "--epochs", 3, "--lr", 1e30, "--log-every", 1)
    assert code == 1
    assert re.fullmatch(r"Epoch: 1, Batch: 1, Loss: \d\.\d{3}\n", out)
    kept, message = [line for line in err.splitlines() if not line.startswith("Compil")]
    assert kept == f"What was finished before is in {the_run(here).relative_to(here)}"
    assert re.match(r"neocog: The loss became (nan|inf) in epoch 2, batch 1\. ", message)
    assert "smaller learning rate" in message
    info = json.loads((the_run(here) / "run.json").read_text())
    assert info["status"] == "failed"
    assert "epoch 2, batch 1" in info["error"]
    assert sorted(path.name for path in the_run(here).iterdir()) == FILES
    network = neocog.load(the_run(here))
    assert all(np.isfinite(value).all() for value in network.state_dict().values())


def test_divergence_in_the_first_epoch_leaves_nothing(command, with_data, here):
    with_data(tiny(train=4000))
    code, _, err = command("train", "--epochs", 1, "--lr", 1e30)
    assert code == 1
    assert "epoch 1, batch 2. " in err
    assert list(here.iterdir()) == []


def test_a_disk_that_is_full_is_one_message(command, with_data, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with_data()
    monkeypatch.setattr("neocog.formats.model_file.write_bytes", full)
    code, _, err = command("train", "--epochs", 1)
    assert code == 1
    assert "No space left on device" in err
    assert "Traceback" not in err


# CIFAR-10's files


@pytest.fixture
def small_cifar(here, monkeypatch) -> Path:
    """Files of 125 images each, where CIFAR-10 has 10,000."""
    monkeypatch.setattr(cifar, "RECORDS", 125)
    monkeypatch.setattr(cifar, "FILE_BYTES", 125 * 3073)
    folder = here / "data" / cifar.FOLDER
    folder.mkdir(parents=True)
    records = np.random.default_rng(0).integers(0, 256, (6, 125, 3073), np.uint8)
    records[:, :, 0] = np.arange(125) % 10
    for name, content in zip(cifar.FILES, records, strict=True):
        content.tofile(folder / name)
    return folder


def test_train_and_evaluate_find_cifar10(command, small_cifar, here, monkeypatch):
    monkeypatch.delenv("NEOCOG_DATA", raising=False)
    for number, way in enumerate(
        [[small_cifar], [small_cifar.parent], ["cifar10", "--data-dir", small_cifar.parent]]
    ):
        code, out, _ = command("train", *way, "--epochs", 1, "--out", f"out{number}")
        assert code == 0
        assert "of 125 images" in out
    monkeypatch.setenv("NEOCOG_DATA", str(small_cifar))
    assert "of 125 images" in command("train", "cifar10", "--epochs", 1, "--out", "out3")[1]
    # What it was trained on is in the file.
    assert "of 125 images" in command("evaluate", "out0")[1]
    networks = [neocog.load(here / f"out{n}") for n in range(4)]
    for network in networks[1:]:
        np.testing.assert_array_equal(
            network.state_dict()["fc.weight"], networks[0].state_dict()["fc.weight"]
        )


def test_a_run_is_evaluated_on_its_own_data(command, small_cifar, here, monkeypatch):
    """Another folder of the same layout lies where cifar10 is looked for."""
    other = here / "other"
    shutil.copytree(small_cifar, other)
    for path in other.iterdir():
        records = np.fromfile(path, np.uint8).reshape(125, 3073)
        records[:, 0] = (records[:, 0] + 3) % 10
        records.tofile(path)
    monkeypatch.setenv("NEOCOG_DATA", str(small_cifar))
    _, out, _ = command("train", "other", "--epochs", 1, "--out", "run")
    accuracy = re.search(r"Test accuracy: (.*) of", out)[1]
    for run in ("run", "run/model.safetensors"):
        code, out, err = command("evaluate", run)
        assert (code, err) == (0, "")
        assert f"Test accuracy: {accuracy} of" in out
    assert open_network("run").data.source == str(other)
    assert open_network("run").notes == ()

    # Without run.json only the name is known, and what has it is something else.
    (here / "run" / "run.json").unlink()
    code, out, err = command("evaluate", "run")
    assert (code, out) == (1, "")
    assert "run was trained on other images than cifar10 now has" in err
    opened = open_network("run")
    assert opened.data is None
    assert opened.notes == ("run was trained on other images than cifar10 now has.",)
    code, out, err = command("evaluate", "run", "cifar10")
    assert code == 0
    assert err == "run was trained on other images than these, though they are called the same.\n"


def test_a_runs_data_that_are_gone_or_changed(command, small_cifar, here, monkeypatch):
    mine = here / "mine"
    shutil.copytree(small_cifar, mine)
    assert command("train", "mine", "--epochs", 1, "--out", "run")[0] == 0
    with (mine / "test_batch.bin").open("r+b") as file:
        file.seek(100)
        file.write(b"changed")
    assert f"other images than {mine} now has" in command("evaluate", "run")[2]
    mine.rename(here / "elsewhere")
    err = command("evaluate", "run")[2]
    assert f"run was trained on {mine}, which cannot be loaded: " in err
    assert open_network("run").data is None


def test_a_folder_that_somebody_sent_chooses_no_data(command, small_cifar, here, monkeypatch):
    """What its run.json names is only used if it is what the model's file has the hash of."""
    monkeypatch.setenv("NEOCOG_DATA", str(small_cifar))
    assert command("train", "cifar10", "--epochs", 1, "--out", "run")[0] == 0
    info = json.loads((here / "run" / "run.json").read_text())
    info["data"] |= {"source": str(here / "private"), "fingerprint": 64 * "0"}
    (here / "run" / "run.json").write_text(json.dumps(info))
    assert trained_on("run").source == "cifar10"
    info["data"] |= {"source": "//server/share", "fingerprint": trained_on("run").fingerprint}
    (here / "run" / "run.json").write_text(json.dumps(info))
    assert trained_on("run").source == "cifar10"


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes() + b"\0"),
        lambda path: path.write_bytes(b"\x0a" + path.read_bytes()[1:]),
    ],
    ids=["missing", "truncated", "oversized", "mislabeled"],
)
@pytest.mark.parametrize("name", ["data_batch_3.bin", "test_batch.bin"])
def test_damaged_cifar_files_are_named(refused, small_cifar, damage, name):
    damage(small_cifar / name)
    assert name in refused("train", small_cifar)


def test_a_network_that_could_not_be_saved_is_not_trained(refused, with_data, here):
    with_data()
    (here / "own.py").write_text(
        "from neocog import *\n"
        "def make(classes):\n"
        "    return Network(**{'a\\nb': Flatten()}, fc=Linear(3072, classes))\n"
    )
    assert "A layer cannot be called" in refused("train", "tiny", "--model", "own.py")


# evaluate and predict


@pytest.fixture
def model(here) -> Path:
    """A run folder of a network that knows the classes of `tiny`."""
    network = neocog.models.simple_cnn()
    data = tiny(train=400)
    neocog.fit(
        network, data.train, epochs=4, optimizer=neocog.SGD(0.003, 0.9), classes=data.classes
    )
    folder = here / "model"
    folder.mkdir()
    save_model(network, folder / "model.safetensors", training=training_notes(tiny()))
    save_pth(network.state_dict(), folder / "cnn_model.pth")
    return folder


def test_evaluate_prints_scores_and_confusion(command, with_data, model):
    with_data()
    expected = neocog.evaluate(neocog.load(model), tiny().test)
    code, out, err = command("evaluate", model, "tiny")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == f"Loss: {expected.loss:.4f}"
    assert lines[1] == f"Test accuracy: {100 * expected.accuracy:.2f} % of 30 images"
    assert len(lines) < 24, "all of it can be seen at once"
    assert max(map(len, lines)) <= 80
    left, _, right = lines[3].partition("|")
    assert left.split() == ["class", "count", "precision", "recall"]
    assert right.split() == ["cla"] * 10
    rows = [line.partition("|") for line in lines[4:14]]
    for (left, _, _), score in zip(rows, expected.per_class, strict=True):
        assert left.split()[:2] == [score.name, "3"]
        percent = [
            f"{100 * part:.1f}" for part in (score.precision, score.recall) if part is not None
        ]
        assert re.findall(r"\d+\.\d", left) == percent
    matrix = [list(map(int, right.split())) for _, _, right in rows]
    np.testing.assert_array_equal(matrix, expected.confusion)


def test_evaluate_of_many_classes_lists_what_is_mixed_up_most(command, here, with_data):
    classes = (*(f"a rather long name of class {k}" for k in range(15)), "tab\tand \u200cjoiner")
    data = tiny(test=200, classes=classes)
    network = neocog.models.simple_cnn(16)
    network.initialize(0)
    network.name_classes(classes)
    network.save(here / "many.safetensors")
    with_data(data)
    out = command("evaluate", "many.safetensors", "tiny")[1]
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    assert r"tab\tand " in out
    confusion = neocog.evaluate(network, data.test).confusion
    np.fill_diagonal(confusion, 0)
    k, taken = np.unravel_index(confusion.argmax(), confusion.shape)
    first = lines[lines.index("Most often mixed up (--json has all):") + 1]
    names = [f"{name[:24]}…" if len(name) > 24 else name for name in classes]
    assert first == f"  {names[k]} taken for {names[taken]}: {confusion.max()}"


def test_evaluate_takes_every_kind_of_model(command, with_data, model):
    with_data()
    results = {}
    for file in ("", "model.safetensors", "cnn_model.pth"):
        code, out, err = command("evaluate", model / file, "tiny", "--json")
        assert code == 0
        result = json.loads(out)
        assert result.pop("model") == str(model / file)
        result.pop("seconds")
        results[file] = result
        assert ("weights alone" in err) == file.endswith(".pth")
    assert results[""] == results["model.safetensors"] == results["cnn_model.pth"]
    assert results[""].keys() == {
        *("data", "part", "loss", "accuracy", "count", "classes", "confusion"),
    }
    assert results[""]["data"] == "tiny"
    assert results[""]["count"] == 30
    assert results[""]["accuracy"] > 0.9  # else the network did not learn, and shows little


def test_evaluate_knows_what_a_model_was_trained_on(command, monkeypatch, model):
    asked = []

    def load_data(name, **_):
        asked.append(name)
        return tiny(name=name)

    monkeypatch.setattr(importlib.import_module("neocog.cli.evaluate"), "load_data", load_data)
    network = neocog.load(model)
    save_model(network, model / "model.safetensors", training={"data": "shapes"})
    code, _, err = command("evaluate", model / "model.safetensors")
    assert code == 0
    assert err.endswith(
        "safetensors does not say which images shapes had: whether it was trained on these cannot "
        "be checked.\n"
    )
    code, _, err = command("evaluate", model, "other")
    assert (code, "cannot be checked" in err) == (0, False)
    # A file chooses no path.
    save_model(network, model / "model.safetensors", training={"data": "/etc/passwd"})
    code, _, err = command("evaluate", model)
    assert code == 1
    assert "does not say where the data /etc/passwd lie" in err
    assert asked == ["shapes", "other"]


def test_commands_say_that_they_compile(command, with_data, model, pictures, monkeypatch):
    with_data()
    # As if nothing had been compiled before; then it is read from where it is.
    monkeypatch.setattr("neocog.engine.compilation.kept_address", lambda *_: None)
    monkeypatch.setattr("neocog.engine.compilation._share", lambda _missing: None)
    said = r"Compiling \d+ kernels for this network \(first time only\) …\n"
    for arguments in (["evaluate", model, "tiny"], ["predict", model, pictures[0]]):
        code, _, err = command(*arguments)
        assert code == 0
        assert re.fullmatch(said, err)
    code, _, err = command("train", "--epochs", 1)
    assert re.fullmatch(f"{said}(Compiled in .*\n)?{said}", err)


def test_evaluate_asks_for_data_that_it_cannot_know(command, model):
    code, out, err = command("evaluate", model / "cnn_model.pth")
    assert (code, out) == (1, "")
    assert "Name the data" in err.splitlines()[-1]


@pytest.mark.parametrize("threads", [0, -1])
def test_evaluate_refuses_silly_threads(refused, with_data, model, threads):
    with_data()
    assert f"threads (={threads})" in refused("evaluate", model, "tiny", "--threads", threads)


def test_evaluate_refuses_other_classes(refused, with_data, model):
    with_data(tiny(classes=tuple("abcdefghij")))
    assert "knows the classes class0" in refused("evaluate", model, "tiny")


def test_evaluate_refuses_images_of_another_size(refused, with_data, model):
    with_data(tiny(side=28))
    assert "28" in refused("evaluate", model, "tiny")


def test_evaluate_refuses_a_model_of_another_number_of_classes(command, with_data, here):
    network = neocog.models.simple_cnn(7)
    network.initialize(0)
    network.save(here / "seven.pth")
    with_data()
    code, out, err = command("evaluate", "seven.pth", "tiny")
    assert (code, out) == (1, "")
    assert "7 classes apart, but tiny has 10" in err.splitlines()[-1]


@pytest.fixture
def pictures(here) -> list[str]:
    """Files of the classes 0, 5 and 9, larger than the network's input."""
    names = ["high.png", "middle.jpg", "low.gif"]
    for name, label in zip(names, (0, 5, 9), strict=True):
        image = Image.new("RGB", (50, 64), (30, 30, 30))
        image.paste((190, 190, 190), (0, 6 * label, 50, 6 * label + 6))
        image.save(here / name)
    return names


def test_predict_prints_a_line_for_each_image(command, model, pictures):
    code, out, err = command("predict", model, *pictures)
    assert (code, err) == (0, "")
    best = []
    for line, path in zip(out.splitlines(), pictures, strict=True):
        found = re.fullmatch(
            re.escape(path) + r": (\w+) (\d+\.\d) %, (\w+) (\d+\.\d) %, (\w+) (\d+\.\d) %", line
        )
        assert found
        percents = [float(found[n]) for n in (2, 4, 6)]
        assert percents == sorted(percents, reverse=True)
        best.append(found[1])
    assert best == ["class0", "class5", "class9"]


def test_predict_as_json(command, model, pictures):
    code, out, _ = command("predict", model, *pictures, "--top", 10, "--json")
    assert code == 0
    listed = json.loads(out)
    assert [entry["image"] for entry in listed] == pictures
    for entry in listed:
        assert {best["label"] for best in entry["top"]} == set(CLASSES)
        assert sum(best["probability"] for best in entry["top"]) == pytest.approx(1, abs=1e-5)
    pixels = read_picture(pictures[0], (3, 32, 32))
    expected = neocog.load(model).predict_proba(pixels[None])[0]
    for best in listed[0]["top"]:
        assert best["probability"] == pytest.approx(
            expected[CLASSES.index(best["label"])], abs=1e-6
        )


@pytest.mark.parametrize(("top", "shown"), [(1, 1), (3, 3), (99, 10)])
def test_predict_top(command, model, pictures, top, shown):
    _, out, _ = command("predict", model, pictures[0], "--top", top)
    assert out.count("%") == shown


def test_predict_with_weights_alone_numbers_the_classes(command, model, pictures):
    code, out, err = command("predict", model / "cnn_model.pth", pictures[0])
    assert code == 0
    assert re.match(r"high\.png: 0 \d", out)
    assert "weights alone" in err


@pytest.mark.parametrize("top", [0, -1])
def test_predict_refuses_silly_top(refused, model, pictures, top):
    assert f"--top (={top})" in refused("predict", model, pictures[0], "--top", top)


def test_predict_refuses_what_is_no_picture(refused, model, pictures, here):
    (here / "text.png").write_text("not a picture")
    (here / "half.png").write_bytes((here / "high.png").read_bytes()[:80])
    for path, message in (
        ("none.png", "No such file"),
        ("text.png", "is not an image"),
        ("half.png", "cannot be decoded"),
        ("model", "has no pictures"),
    ):
        error = refused("predict", model, path)
        assert message in error
        assert path in error


def test_predict_gives_what_it_can_where_some_are_no_pictures(command, model, pictures, here):
    (here / "text.png").write_text("not a picture")
    whole = command("predict", model, *pictures)[1]
    asked = [pictures[0], "none.png", *pictures[1:], "text.png"]
    code, out, err = command("predict", model, *asked)
    assert (code, out) == (1, whole)
    assert [line.partition(":")[2].split()[0] for line in err.splitlines()] == [
        "none.png:",
        "text.png",
    ]
    code, out, err = command("predict", model, *asked, "--json")
    listed = json.loads(out)
    assert (code, [entry["image"] for entry in listed]) == (1, asked)
    good, bad = ["image", "top"], ["error", "image"]
    assert [sorted(entry) for entry in listed] == [good, bad, good, good, bad]
    assert err == "".join(f"neocog: {entry['error']}\n" for entry in listed if "error" in entry)


# Models that are refused, by evaluate and predict alike


class Evil:
    def __reduce__(self):
        return os.mkdir, ("was-run",)


def model_with_nan(path: Path) -> None:
    network = neocog.models.simple_cnn()
    network.initialize(0)
    state = network.state_dict()
    state["fc.bias"][3] = np.nan
    network.load_state_dict(state)
    network.save(path)


def torn(path: Path) -> None:
    network = neocog.models.simple_cnn()
    network.initialize(0)
    network.save(path)
    path.write_bytes(path.read_bytes()[:-1000])


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("none.pth", lambda path: None, "no such file"),
        ("none", lambda path: None, "no such file"),
        ("folder", lambda path: path.mkdir(), "is not a run folder"),
        ("a.txt", lambda path: path.write_text("hello"), "no known kind of model"),
        ("empty.pth", lambda path: path.write_bytes(b""), "empty.pth"),
        ("code.pth", lambda path: path.write_bytes(pickle.dumps(Evil())), "code.pth"),
        ("torn.safetensors", torn, "torn.safetensors"),
        ("torn.pth", torn, "torn.pth"),
        ("empty.safetensors", lambda path: path.write_bytes(b""), "empty.safetensors"),
    ],
)
def test_models_that_cannot_be_read(refused, pictures, here, name, make, message):
    make(here / name)
    assert message in refused("predict", name, pictures[0])
    assert message in refused("evaluate", name, "shapes")
    assert not (here / "was-run").exists()


def test_a_pth_of_pytorch_with_code_in_it_is_not_run(refused, pictures, here):
    torch = pytest.importorskip("torch")
    torch.save({"fc.weight": torch.zeros(2, 2), "more": Evil()}, here / "code.pth")
    assert "code.pth" in refused("predict", "code.pth", pictures[0])
    assert not (here / "was-run").exists()


def test_outputs_that_are_no_numbers_are_an_error(command, with_data, pictures, here):
    model_with_nan(here / "nan.pth")
    with_data()
    for arguments in (["evaluate", "nan.pth", "tiny"], ["predict", "nan.pth", pictures[0]]):
        code, out, err = command(*arguments)
        assert (code, out) == (1, "")
        assert "NaN" in err.splitlines()[-1]


def test_a_model_of_other_shapes_than_the_data(refused, with_data, here):
    network = neocog.Network(
        input_shape=(3, 16, 16), conv1=Conv2d(3, 4, 3), flatten=Flatten(), fc=Linear(4 * 14**2, 10)
    )
    network.initialize(0)
    network.save(here / "small.safetensors")
    with_data()
    assert "16" in refused("evaluate", "small.safetensors", "tiny")


# models and summary


def test_models_lists_every_model(command):
    code, out, err = command("models")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert len(lines) < 24, "all of it can be seen at once"
    assert max(map(len, lines)) <= 80
    pairs = zip(lines[1::2], lines[2::2], strict=False)
    for (line, about), (name, function) in zip(pairs, neocog.models.MODELS.items(), strict=False):
        assert line.split()[0] == name
        assert about == f"  {function.__doc__.splitlines()[0]}"
    # Of the note's network, by hand: 16 · 27 · 32² + 10 · 4096 multiply-adds.
    assert lines[1].split()[1:8] == ["41,418", "1.0", "3", "×", "32", "×", "32"]


def test_models_as_json(command):
    listed = json.loads(command("models", "--json")[1])
    assert [row["name"] for row in listed] == list(neocog.models.MODELS)
    assert listed[0] == {
        "name": "simple-cnn",
        "parameters": 41418,
        "flops": 2 * (16 * 27 * 32**2 + 10 * 4096),
        "input_shape": [3, 32, 32],
        "about": "The note's network: one convolution, pooling, one linear layer.",
        "cifar10": 58.5,
        "command": "neocog train cifar10",
    }


def test_what_networks_reach_is_by_commands_that_there_are(command):
    listed = json.loads(command("models", "--json")[1])
    out = command("models")[1]
    for row in listed:
        reached = neocog.models.REACHED[row["name"]]
        assert (row["cifar10"], row["command"]) == reached
        assert f"{reached[0]:.1f} %" in out
        assert row["command"] in out
        arguments = row["command"].split()
        assert arguments[:3] == ["neocog", "train", "cifar10"]
        options = vars(build_parser().parse_args(arguments[1:]))
        recipe = Recipe.load(options["recipe"] or "note")
        assert (options["model"] or recipe.model) == row["name"]


def test_summary_by_hand(command):
    code, out, err = command("summary", "simple-cnn", "--batch-size", 4, "--threads", 2)
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    assert rows[0] == ["layer", "type", "output", "parameters", "mult-adds"]
    conv = ["conv1", "Conv2d", "16×32×32", "448", f"{16 * 27 * 32**2:,}"]
    assert rows[1] == conv
    assert rows[-3] == ["in", "all", "41,418", f"{16 * 27 * 32**2 + 40960:,}"]
    assert re.fullmatch(
        r"Training in batches of 4: \d\.\d MiB beside the data\.", out.splitlines()[-1]
    )


@pytest.mark.parametrize("name", neocog.models.MODELS)
def test_summaries_fit_80_columns(command, name):
    assert max(map(len, command("summary", name)[1].splitlines())) <= 80


def test_the_memory_in_the_summary_is_what_training_takes(command):
    arguments = ("--batch-size", 8, "--threads", 2, "--json")
    result = json.loads(command("summary", "simple-cnn", *arguments)[1])
    assert result["training"]["batch_size"] == 8
    network = neocog.models.simple_cnn()
    history = neocog.fit(network, tiny().train, epochs=1, batch_size=8, threads=2)
    assert result["training"]["memory_bytes"] == history.memory
    assert result["parameters"] == sum(layer["parameters"] for layer in result["layers"])


def test_summary_takes_every_kind_of_model(command, model, here):
    (here / "my_net.py").write_text(MODEL_FILE)
    cost = neocog.cost(neocog.load(model))
    for of in ("simple-cnn", model, model / "model.safetensors", model / "cnn_model.pth"):
        code, out, err = command("summary", of, "--json")
        assert code == 0, err
        result = json.loads(out)
        assert result["model"] == str(of)
        assert result["parameters"] == cost.parameters
        assert result["multiply_adds"] == cost.multiply_adds
    code, out, _ = command("summary", "my_net.py:make", "--classes", 7, "--json")
    assert json.loads(out)["parameters"] == 3 * 32 * 32 * 7 + 7
    code, out, _ = command("summary", "vgg-small", "--width", 0.5, "--classes", 3, "--json")
    expected = neocog.models.vgg_small(3, width=0.5)
    assert json.loads(out)["parameters"] == expected.parameter_count()


@pytest.mark.parametrize("name", ["evaluate", "predict", "explain", "summary", "explore"])
def test_every_command_that_takes_a_model_takes_its_network(name):
    given = ["a.pth", *(["a.png"] if name in ("predict", "explain") else [])]
    options = vars(build_parser().parse_args([name, *given, "--model", "own.py:make"]))
    assert (options["model"], options["architecture"]) == ("a.pth", "own.py:make")


def test_the_network_of_weights_can_be_said(command, refused, model, here):
    (here / "my_net.py").write_text(MODEL_FILE)
    network = neocog.load(model)
    own = neocog.models.load_model_file(here / "my_net.py", "make", 10)
    own.initialize(0)
    own.save(here / "own.pth")
    assert "Say which network they are of" in refused("summary", "own.pth")
    code, out, err = command("summary", "own.pth", "--model", "my_net.py:make", "--json")
    assert (code, json.loads(out)["parameters"]) == (0, own.parameter_count())
    assert err.startswith("own.pth holds weights alone: taken for my_net.py:make with images of 3 ")
    code, out, err = command("summary", model / "cnn_model.pth", "--model", "simple-cnn", "--json")
    assert (code, json.loads(out)["parameters"]) == (0, network.parameter_count())
    for of in (model, "simple-cnn"):
        assert "Leave --model out" in refused("summary", of, "--model", "simple-cnn")
    assert "do not belong to this network" in refused("summary", "own.pth", "--model", "lenet5")


def test_the_profile_has_each_part_of_a_step(command):
    code, out, _ = command("summary", "simple-cnn", "--batch-size", 4, "--profile", "--json")
    assert code == 0
    times = json.loads(out)["microseconds"]
    assert list(times)[:2] == ["input", "conv1"]
    assert {"fc", "loss", "update"} <= times.keys()
    assert all(value >= 0 for value in times.values())
    assert times["conv1"] > times["loss"]
    out = command("summary", "simple-cnn", "--batch-size", 4, "--profile")[1]
    assert "A step on one thread: " in out
    shares = [float(part) for part in re.findall(r"([\d.]+) %", out)]
    assert len(shares) == len(times)
    assert sum(shares) == pytest.approx(100, abs=0.1 * len(shares))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["simple-cn"], "Did you mean 'simple-cnn'?"),
        (["no/such"], "there is no such file"),
        (["none.pth"], "there is no such file"),
        (["none.py"], "there is no such Python file"),
        (["simple-cnn", "--batch-size", 0], "batch_size (=0)"),
        (["simple-cnn", "--classes", 0], "classes (=0)"),
        (["simple-cnn", "--width", -1], "width (=-1)"),
        (["simple-cnn", "--threads", 0], "threads (=0)"),
    ],
)
def test_summaries_that_cannot_be(refused, arguments, message):
    assert message in refused("summary", *arguments)


def test_a_width_is_not_for_files(refused, model):
    assert "by name" in refused("summary", model, "--width", 2)


# bench


ROWS = [
    Row("train", "step", Measured(1e-4, 0.9e-4, 2e-4), Measured(2e-3, 2e-3, 3e-3), 1, 1e-6),
    Row("predict", "call", Measured(2e-5, 1e-5, 3e-5), Measured(3e-4, 2e-4, 4e-4), 2, 1e-7),
]


@pytest.fixture
def measured(monkeypatch):
    def give(rows):
        module = importlib.import_module("neocog.cli.bench")
        monkeypatch.setattr(module, "benchmark", lambda **_: rows)

    return give


def test_bench_prints_a_row_for_each_kind_of_work(command, measured):
    measured(ROWS)
    code, out, err = command("bench", "--threads", 2)
    assert code == 0
    assert "minute" in err
    about, header, train, predict = out.splitlines()
    assert "2 threads; microseconds" in about
    assert header.split() == ["neocog", "PyTorch", "times"]
    assert train.split() == ["train", "100.0", "2,000.0", "(1", "t)", "20.0"]
    assert predict.split() == ["predict", "20.0", "300.0", "(2", "t)", "15.0"]


def test_bench_without_pytorch(command, measured):
    measured([Row("train", "step", Measured(1e-4, 1e-4, 1e-4))])
    _, out, _ = command("bench")
    assert out.splitlines()[2].split() == ["train", "100.0", "–", "–"]
    assert "PyTorch is not installed" in out


def test_bench_as_json(command, measured):
    measured(ROWS)
    code, out, _ = command("bench", "--json")
    assert code == 0
    result = json.loads(out)
    assert result["machine"]["processor"]
    assert result["versions"]["neocog"] == neocog.__version__
    first = result["rows"][0]
    assert first["neocog_us"] == pytest.approx({"median": 100, "least": 90, "most": 200})
    assert first["ratio"] == pytest.approx(20)


@pytest.mark.parametrize("threads", [0, -1, 257])
def test_bench_refuses_silly_threads(refused, threads):
    assert f"threads (={threads})" in refused("bench", "--threads", threads)


# Processes of their own


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, **more}


def test_built_in_data_from_end_to_end(here):
    """A fresh machine's first command, but for the epochs; in a pipe, so without a live line."""
    code, out, err = ended(
        *("train", "shapes", "--epochs", 1, "--batch-size", 64, "--lr", 0.01, "--log-every", 300),
        cwd=here,
    )
    assert code == 0, err
    first, second, finished, accuracy, results = out.splitlines()
    assert re.fullmatch(r"Epoch: 1, Batch: 300, Loss: \d\.\d{3}", first)
    assert re.fullmatch(r"Epoch: 1, Batch: 600, Loss: \d\.\d{3}", second)
    assert finished == "Training finished."
    percent = re.fullmatch(r"Test accuracy: (\d\d\.\d\d) % of 10,000 images", accuracy)
    assert 70 < float(percent[1]) < 95
    folder = here / results.removeprefix("Results: ")
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert json.loads((folder / "run.json").read_text())["versions"]["neocog"]
    # No escape sequences, no redrawn lines: nothing, or words on compiling.
    assert "\x1b" not in out + err
    assert "\r" not in out + err
    assert all(re.match(r"Compil(ing \d+ kernels|ed in )", line) for line in err.splitlines())

    code, out, err = ended("evaluate", folder, "--json", cwd=here)
    assert code == 0, err
    result = json.loads(out)
    assert f"{100 * result['accuracy']:.2f}" == percent[1]
    assert result["classes"][0]["name"] == "ring"


@pytest.mark.skipif(not os.environ.get("NEOCOG_DATA"), reason="NEOCOG_DATA does not name CIFAR-10")
def test_cifar10_from_end_to_end(here):
    code, out, err = ended(
        *("train", "cifar10", "--epochs", 1, "--batch-size", 64, "--lr", 0.01, "--log-every", 300),
        cwd=here,
    )
    assert code == 0, err
    percent = re.search(r"Test accuracy: (\d\d\.\d\d) % of 10,000 images", out)
    assert 40 < float(percent[1]) < 70
    folder = here / re.search("Results: (.*)", out)[1]
    assert f"{percent[1]} %" in ended("evaluate", folder, cwd=here)[1]


@pytest.fixture
def long_run(here, monkeypatch):
    """Begin a run with small epochs that nobody will wait for."""
    script = here / "long.py"
    script.write_text(
        "import importlib, signal, sys\n"
        # Whatever this process was started with.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "for name in ('SIGTERM', 'SIGHUP'):\n"
        "    if hasattr(signal, name):\n"
        "        signal.signal(getattr(signal, name), signal.SIG_DFL)\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_cli import tiny\n"
        "from neocog.cli import main\n"
        "module = importlib.import_module('neocog.cli.train')\n"
        "module.load_data = lambda *_, **__: tiny(train=int(sys.argv[1]))\n"
        "sys.exit(main(sys.argv[2:]))\n"
    )
    processes = []

    def begin(images: int, *arguments: object) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, str(script), str(images), "train", *map(str, arguments)],
            cwd=here,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield begin
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT to another process is POSIX")
@pytest.mark.parametrize(
    ("name", "code", "word"),
    [
        ("SIGINT", 130, "Interrupted"),
        ("SIGTERM", 143, "Ended by SIGTERM"),
        ("SIGHUP", 129, "Ended by SIGHUP"),
    ],
)
def test_signals_end_a_training_and_keep_what_was_done(long_run, here, name, code, word):
    process = long_run(40_000, "--epochs", 100_000, "--log-every", 100, "--out", "out")
    assert process.stdout.readline().startswith("Epoch: 1, Batch: 100, Loss: ")
    process.send_signal(getattr(signal, name))
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert f"{word}. The weights so far are in out\n" in err
    assert "Training finished." not in out
    assert sorted(path.name for path in (here / "out").iterdir()) == FILES
    info = json.loads((here / "out" / "run.json").read_text())
    assert info["status"] == "interrupted"
    assert info.get("signal", "SIGINT") == name
    assert info["steps"] > 0
    assert neocog.load(here / "out").initialized


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT to another process is POSIX")
def test_ctrl_c_while_compiling_leaves_nothing(long_run, here, monkeypatch):
    monkeypatch.setenv("NEOCOG_CACHE_DIR", str(here / "kernels"))
    process = long_run(40, "--epochs", 1, "--out", "new/out")
    assert re.match(r"Compiling \d+ kernels", process.stderr.readline())
    assert (here / "new" / "out" / "run.json").exists()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert (out, err) == ("", "neocog: interrupted.\n")
    assert not (here / "new").exists()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL")
def test_a_killed_run_leaves_whole_files_only(long_run, here):
    """Epochs of a millisecond, so that most of the time is spent writing; killed at four times."""
    for attempt, wait in enumerate((0.0, 0.031, 0.077, 0.15)):
        process = long_run(40, "--epochs", 100_000, "--log-every", 10, "--out", f"out{attempt}")
        for _ in range(5):
            assert process.stdout.readline().startswith("Epoch: ")
        time.sleep(wait)
        process.kill()
        process.communicate()
        folder = here / f"out{attempt}"
        info = json.loads((folder / "run.json").read_text())
        assert info["status"] == "running"
        assert neocog.load(folder).classes == CLASSES
        assert "cut off" in settle(folder)  # tidies up behind a process that was killed in a saving
        assert neocog.load(folder / "cnn_model.pth").initialized
        header, *rows = (folder / "history.csv").read_text().splitlines(keepends=True)
        assert header == "epoch,batch,loss,seconds\n"
        assert len(rows) >= 3
        assert all(re.fullmatch(r"\d+,10,\d+\.\d+(e-\d+)?,\d+\.\d+\n", row) for row in rows)
        assert sorted(path.name for path in folder.iterdir()) == FILES


@pytest.mark.skipif(sys.platform == "win32", reason="pipes close otherwise")
def test_a_reader_that_leaves_is_no_traceback(model, pictures, here):
    process = start("predict", model, pictures[0], cwd=here)
    process.stdout.close()
    assert process.wait(timeout=60) == 141
    assert process.stderr.read() == ""
    process.stderr.close()


@pytest.mark.skipif(sys.platform == "win32", reason="pipes close otherwise")
def test_a_training_whose_reader_leaves_goes_on_and_is_kept(long_run, here):
    """As of: neocog train | head -1."""
    process = long_run(400, "--epochs", 20, "--log-every", 10, "--out", "out")
    assert process.stdout.readline().startswith("Epoch: 1, Batch: 10, Loss: ")
    process.stdout.close()
    assert process.wait(timeout=60) == 141
    err = process.stderr.read()
    assert [line for line in err.splitlines() if not line.startswith("Compil")] == []
    process.stdout = None
    info = json.loads((here / "out" / "run.json").read_text())
    assert (info["status"], info["steps"]) == ("finished", 20 * 100)
    assert info["test"]["accuracy"] > 0
    assert sorted(path.name for path in (here / "out").iterdir()) == FILES


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_training_whose_log_is_full_goes_on_and_is_kept(command, with_data, here, monkeypatch):
    with_data()
    with Path("/dev/full").open("w") as full, pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", full)
        code = main(["train", "--epochs", "2", "--log-every", "4", "--out", "out"])
    assert code == 1
    info = json.loads((here / "out" / "run.json").read_text())
    assert (info["status"], info["steps"]) == ("finished", 20)


def test_names_cannot_draw_on_the_terminal(command, with_data, model, here):
    with_data()
    out = "a\x1b[2J\x1b]0;title\x07"
    _, printed, _ = command("train", "--epochs", 1, "--out", out)
    assert printed.endswith("Results: a\\x1b[2J\\x1b]0;title\\x07\n")
    assert (here / out / "run.json").exists()


def test_out_of_nobody(refused, with_data):
    with_data()
    message = "--out ~neocog-nobody/x: nobody of that name has a home folder here."
    assert message in refused("train", "--out", "~neocog-nobody/x")
    assert "File name too long" in refused("train", "--out", 5000 * "x")


def test_out_at_home(command, with_data, here, monkeypatch):
    with_data()
    monkeypatch.setenv("HOME", str(here))
    monkeypatch.setenv("USERPROFILE", str(here))
    assert command("train", "--epochs", 1, "--out", "~/mine")[0] == 0
    assert sorted(path.name for path in (here / "mine").iterdir()) == FILES


def test_a_run_that_was_cut_off_says_so(command, with_data, model):
    with_data()
    running = {"status": "running", "process": {"pid": 1, "host": "elsewhere"}}
    (model / "run.json").write_text(json.dumps(running))
    _, _, err = command("evaluate", model, "tiny")
    assert "model: its run.json says that it is still being trained, by process 1 on elsew" in err


def test_on_a_terminal_there_is_a_live_line_on_stderr(here, long_run):
    pty = pytest.importorskip("pty")
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [
            *(sys.executable, str(here / "long.py"), "12000", "train"),
            *("--epochs", "4", "--log-every", "1500"),
        ],
        cwd=here,
        stdout=subprocess.PIPE,
        stderr=terminal,
        env=environment(TERM="xterm", COLUMNS="80"),
        text=True,
    )
    os.close(terminal)
    shown = b""
    while True:
        try:
            part = os.read(controller, 65536)
        except OSError:  # how Linux says that the other end is closed
            break
        if not part:
            break
        shown += part
    out = process.communicate(timeout=60)[0]
    os.close(controller)
    assert process.returncode == 0
    assert "\x1b" not in out
    assert len(out.splitlines()) == 4 * 2 + 3
    text = shown.decode()
    assert "\x1b" in text
    assert re.search(r"epoch \d of 4", text)
    assert re.search(r"[\d,]+ batches/s", text)
    assert "left" in text
    # A line as wide as the terminal is broken by the ^C that is typed, and then stays.
    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", text))
    assert max(map(len, lines)) <= 77
