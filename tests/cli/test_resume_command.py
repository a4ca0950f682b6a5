"""``neocog train --resume``: what it goes on with, and what it says."""

import json

import numpy as np
import pytest
from commands import MODEL_FILE, everything_in, tiny
from PIL import Image

import neocog
from neocog.training.checkpoints import Checkpoints
from neocog.training.run_lock import RunLock

QUICK = ("--batch-size", 8, "--log-every", 5, "--lr", 0.01, "--schedule", "constant")


def weights_of(folder):
    state = neocog.load(folder / "last.safetensors").state_dict()
    return {name: value.tobytes() for name, value in state.items()}


@pytest.fixture
def pictures_folder(here):
    rng = np.random.default_rng(0)
    for name in ("cats", "dogs"):
        (here / "pets" / name).mkdir(parents=True)
        for number in range(12):
            pixels = rng.integers(0, 256, (16, 16, 3), np.uint8)
            Image.fromarray(pixels).save(here / "pets" / name / f"{number}.png")
    return here / "pets"


@pytest.fixture
def run(command, here, pictures_folder):
    """A finished run of two epochs on pictures, by a network from a file."""
    (here / "my_net.py").write_text(MODEL_FILE)
    code, _out, err = command(
        *("train", "pets", "--model", "my_net.py:make", "--epochs", 2, "--out", "run", *QUICK)
    )
    assert code == 0, err
    return here / "run"


def test_more_epochs_of_pictures_and_a_network_of_a_file(command, here, run, monkeypatch):
    code, out, err = command("train", "--resume", run, "--epochs", 3, "--threads", 1)
    assert code == 0, err
    assert "Going on from step 6." in err
    assert "Training finished." in out
    code, _out, err = command(
        *("train", "pets", "--model", "my_net.py:make", "--epochs", 3, "--out", "whole", *QUICK)
    )
    assert code == 0, err
    assert weights_of(run) == weights_of(here / "whole")
    assert "epochs = 3" in (run / "config.toml").read_text()
    assert json.loads((run / "run.json").read_text())["settings"]["epochs"] == 3


def test_a_finished_run_says_what_to_do(command, run):
    before = everything_in(run)
    code, _out, err = command("train", "--resume", run)
    assert code == 1
    assert err.endswith(
        f"neocog: The run in {run} is finished: it has done all of its 2 epochs. To go on, give it "
        f"more epochs. For a new run with its settings: neocog train --config {run}/config.toml\n"
    )
    assert everything_in(run) == before


def test_what_cannot_change(command, run):
    for changes, said in (
        (("--lr", 0.5), "lr (was 0.01, is 0.5)"),
        (("--seed", 3, "--model", "resnet18"), "seed (was 0, is 3), model (was"),
    ):
        code, _out, err = command("train", "--resume", run, *changes)
        assert code == 1
        assert said in err
        assert err.count("neocog: ") == 1
    assert command("train", "--resume", run, "--recipe", "note")[0] == 1
    assert not (run / ".neocog-lock").exists()


def test_pictures_that_changed(command, run, pictures_folder):
    (pictures_folder / "cats" / "0.png").unlink()
    code, _out, err = command("train", "--resume", run, "--epochs", 3)
    assert code == 1
    assert "whose pictures were others than they are now" in err
    assert json.loads((run / "run.json").read_text())["status"] == "finished"


def test_a_network_that_changed(command, run, here):
    changed = MODEL_FILE.replace("flatten=", "relu=neocog.ReLU(), flatten=")
    (here / "my_net.py").write_text(changed)
    code, _out, err = command("train", "--resume", run, "--epochs", 3)
    assert code == 1
    assert "The run was of another network" in err


def test_a_run_in_use_is_refused_before_its_data_are_looked_at(command, run, pictures_folder):
    pictures_folder.rename(pictures_folder.with_name("gone"))
    with RunLock(run):
        code, _out, err = command("train", "--resume", run, "--epochs", 3)
    assert code == 1
    assert err == (
        f"neocog: {run} is in use: this process is training in it. Wait until it has ended, or "
        "choose another folder.\n"
    )


def test_a_damaged_checkpoint_is_told_of(command, run):
    newest = Checkpoints(run).newest().path
    newest.write_bytes(newest.read_bytes()[:-1])
    code, _out, err = command("train", "--resume", run, "--epochs", 3)
    assert code == 0, err
    assert "step-000000006 is damaged: it is cut short" in err
    assert "going on from step-000000003." in err


def test_a_run_of_fit_is_for_fit(command, here):
    data = tiny()
    neocog.fit(neocog.models.simple_cnn(), data.train, epochs=1, batch_size=8, folder="mine")
    for arguments in (("--resume", "mine", "--epochs", 2), ("--config", "mine/config.toml")):
        code, _out, err = command("train", *arguments)
        assert code == 1
        assert "is of a run by neocog.fit, and does not say the data and the network" in err


def test_no_run(command, here):
    for place in ("none", "."):
        code, _out, err = command("train", "--resume", place)
        assert code == 1
        assert "is no folder of a run: it" in err
