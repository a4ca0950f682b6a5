"""``neocog train TABLE --labels several|number --transfer …``: labels and numbers by transfer."""

import numpy as np
import pytest
from photographs import SIDE, network
from target_tables import write_planted, write_rows

import neocog
from neocog.cli import main
from neocog.cli.training_setup import wanted_of
from neocog.cli.transfer_default import with_default

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def given(tmp_path):
    """Words of the command but for the table, whose pictures have the network's size."""
    write_planted(tmp_path, 40, SIDE)
    neocog.save(network(), tmp_path / "before.safetensors")
    return [
        *("--model", str(tmp_path / "before.safetensors"), "--out", str(tmp_path / "run")),
        *("--threads", "1", "--views", "whole"),
    ]


def evaluated(folder, table, **options):
    data = neocog.load_data(folder / table, size=SIDE, **options)
    return neocog.evaluate(neocog.load(folder / "run"), data.validation), data


def test_several_labels_by_the_head(given, tmp_path, capsys):
    table = str(tmp_path / "several.csv")
    assert main(["train", table, "--labels", "several", "--transfer", "head", *given]) == 0
    out, err = capsys.readouterr()
    assert "The head: mean average precision " in err and "Validation: mean F1" in out
    found, data = evaluated(tmp_path, "several.csv", labels="several")
    assert found.classes == data.classes and found.mean_precision > 0.9


def test_a_number_by_the_head(given, tmp_path, capsys):
    table = str(tmp_path / "doses.csv")
    assert main(["train", table, "--labels", "number", "--transfer", "head", *given]) == 0
    out, err = capsys.readouterr()
    assert "The head: R² " in err and "Validation: mean absolute error" in out
    found, _data = evaluated(tmp_path, "doses.csv", labels="number")
    assert found.r2 > 0.9


def test_a_number_by_the_last_blocks(given, tmp_path, capsys):
    """A dose of thousands is learned in some steps, as it is standardized."""
    words = ["--transfer", "blocks", "--epochs", "40", "--lr", "0.005", "--time", "90s"]
    table = str(tmp_path / "doses.csv")
    assert main(["train", table, "--labels", "number", *words, *given]) == 0
    assert "learn, as" in capsys.readouterr().err
    found, data = evaluated(tmp_path, "doses.csv", labels="number")
    assert found.r2 > 0.5 and data.train.labels.mean() > 3000
    assert main(["train", "--resume", str(tmp_path / "run"), "--epochs", "41"]) == 0


def test_fine_tune_standardizes_numbers(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, SIDE, SIDE, 3), np.uint8)
    images[::2] //= 3
    doses = np.float32(3000 + 5 * images.mean(axis=(1, 2, 3)))[:, None]
    how = {"loss": "mse", "views": "whole", "threads": 1, "cache": False}
    found = neocog.fine_tune(network(), (images, doses), depth="blocks", **how)
    assert neocog.evaluate(found.network, (images, doses)).r2 > 0.5


def test_photographs_with_labels_begin_from_installed_weights(tmp_path, monkeypatch, capsys):
    """As folders of photographs do; a setting of training from nothing is still one."""
    write_planted(tmp_path, 20, 100)
    monkeypatch.setattr("neocog.cli.transfer_default.is_installed", lambda _name: True)
    table = str(tmp_path / "doses.csv")
    options = {"labels": "number"}
    begins = with_default(wanted_of(table, None, None, None, options, {}))
    assert begins.recipe.transfer == "auto" and begins.recipe.loss == "mse"
    named = with_default(wanted_of(table, None, None, None, options, {"epochs": 3}))
    assert named.recipe.transfer is None
    capsys.readouterr()


def test_what_cannot_be_learned(given, tmp_path, capsys):
    rows = [[f"pics/{k:03}.png", 3] for k in range(40)]
    table = str(write_rows(tmp_path / "same.csv", ["file", "dose"], rows))
    words = ["--labels", "number", "--transfer", "head"]
    assert main(["train", table, *words, *given]) == 1
    assert "have the same dose, 3: there is nothing to learn" in capsys.readouterr().err
    assert main(["train", "cifar10", *words, *given]) == 1
    assert "cifar10 has a class for each picture" in capsys.readouterr().err
