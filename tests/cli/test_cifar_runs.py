"""Training on CIFAR-10's files, and finding a run's data again when it is evaluated."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import neocog
from neocog.data.sources import cifar10 as cifar
from neocog.loading import open_network
from neocog.trained_on import trained_on


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
    for run in ("run", "run/last.safetensors"):
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
    assert err == "run was trained on other images than these, although the name is the same.\n"


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
