"""``neocog train``: what it refuses before it trains, and what it keeps where training fails."""

import importlib
import json
import re

import numpy as np
import pytest
from commands import FILES, names_in, the_run, tiny

import neocog
from neocog.data import Data, Dataset

# train


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
        (["--lr", 0], "lr (=0)"),
        (["--lr", -0.1], "lr (=-0.1)"),
        (["--lr", "nan"], "lr (=nan)"),
        (["--lr", "inf"], "lr (=inf)"),
        (["--momentum", -0.5], "momentum (=-0.5)"),
        (["--momentum", 1], "momentum (=1)"),
        (["--threads", 0], "threads (=0)"),
        (["--threads", -2], "threads (=-2)"),
        (["--threads", 100_000], "threads (=100000)"),
        (["--log-every", 0], "log_every (=0)"),
        (["--seed", 2**64], f"seed (={2**64})"),
        (["--optimizer", "adam", "--momentum", 0.9], "momentum goes with --optimizer sgd"),
        (["--model", "simple_cn"], "Did you mean 'simple-cnn'?"),
        (["--model", "resnet"], "Known: simple-cnn"),
        (["--width", 0], "width (=0)"),
        (["--loss", "mse"], "loss (='mse') needs targets for every output, and shapes has a class"),
        (["--loss", "mse", "--label-smoothing", 0.1], "is for cross-entropy"),
        (["--epochs", "nan"], "epochs (=nan)"),
        (["--recipe", "minutes"], "Did you mean 'minute'?"),
        (["--recipe", "my.toml"], "my.toml: No such file"),
        (["--weight-decay", -1], "weight_decay (=-1)"),
        (["--optimizer", "adamw", "--nesterov"], "nesterov goes with --optimizer sgd"),
        (["--momentum", 0, "--nesterov"], "nesterov needs a momentum"),
        (["--label-smoothing", 2], "label_smoothing (=2)"),
        (["--clip-norm", -1], "clip_norm (=-1.0)"),
        (["--accumulate", 0], "accumulate (=0)"),
        (["--ema", 1], "decay (=1.0)"),
        (["--translate", -1], "translate (=-1)"),
        (["--cutout", -1], "cutout (=-1)"),
        (["--mixup", -1], "mixup (=-1)"),
        (["--jitter", 0, 0, -1], "jitter"),
    ],
)
def test_silly_settings_are_refused_before_data_are_loaded(
    refused, monkeypatch, arguments, message
):
    module = importlib.import_module("neocog.cli.training_setup")
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
    lines = [line for line in err.splitlines() if not line.startswith("Compil")]
    assert lines.pop(0).startswith("Engine: ")
    epoch, kept, goes_on, message = lines
    folder = the_run(here).relative_to(here)
    assert epoch.startswith("Epoch 1 of 3: loss ")
    assert kept == f"What was finished before is in {folder}"
    assert goes_on == f"Go on with: neocog train --resume {folder}"
    where = r"neocog: The loss became (NaN|infinite) in epoch 2, batch 1 \(step \d+\), "
    assert re.match(where, message)
    assert "(a tenth)" in message
    info = json.loads((the_run(here) / "run.json").read_text())
    assert info["status"] == "failed"
    assert "epoch 2, batch 1" in info["error"]
    assert names_in(the_run(here)) == FILES
    network = neocog.load(the_run(here))
    assert all(np.isfinite(value).all() for value in network.state_dict().values())


def test_divergence_in_the_first_epoch_leaves_nothing(command, with_data, here):
    with_data(tiny(train=4000))
    code, _, err = command("train", "--epochs", 1, "--lr", 1e30)
    assert code == 1
    assert "epoch 1, batch 2 (step 2), first in layer " in err
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


def test_a_network_that_could_not_be_saved_is_not_trained(refused, with_data, here):
    with_data()
    (here / "own.py").write_text(
        "from neocog import *\n"
        "def make(classes):\n"
        "    return Network(**{'a\\nb': Flatten()}, fc=Linear(3072, classes))\n"
    )
    assert "A layer cannot be called" in refused("train", "tiny", "--model", "own.py")


# Processes of their own


def test_out_of_nobody(refused, with_data):
    with_data()
    message = "--out ~neocog-nobody/x: nobody of that name has a home folder here."
    assert message in refused("train", "--out", "~neocog-nobody/x")
    assert "File name too long" in refused("train", "--out", 5000 * "x")
