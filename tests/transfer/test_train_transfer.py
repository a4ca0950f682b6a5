"""``neocog train --transfer`` writes a run as any other, from a network that was trained before."""

import numpy as np
import pytest
from photographs import network, pictures
from PIL import Image

import neocog
from neocog.cli import main
from neocog.errors import NeocogError
from neocog.network_files import load_model
from neocog.training.run_records import read_info

pytestmark = pytest.mark.usefixtures("own_cache")


def write(folder, n=30, colors="RGB"):
    data = pictures(n)
    for number, (image, label) in enumerate(zip(data.images, data.labels, strict=True)):
        path = folder / ("red", "green", "blue")[label] / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).convert(colors).save(path)
    return folder


@pytest.fixture
def given(tmp_path):
    """A folder of pictures, a trained network and a folder for the run, as the command's words."""
    write(tmp_path / "photos")
    neocog.save(network(), tmp_path / "before.safetensors")
    return [
        *("train", str(tmp_path / "photos"), "--model", str(tmp_path / "before.safetensors")),
        *("--out", str(tmp_path / "run"), "--threads", "1"),
    ]


def test_the_head(given, tmp_path, capsys):
    assert main([*given, "--transfer", "auto"]) == 0
    out, err = capsys.readouterr()
    assert "Only the last layer learns, as there are 8 pictures a class; expected: 2 s" in err
    assert "The head alone: " in err
    assert "Validation accuracy: " in out
    found = load_model(tmp_path / "run" / "last.safetensors")
    assert found.classes == ("blue", "green", "red")
    info = read_info(tmp_path / "run")
    assert info["status"] == "finished"
    assert info["settings"]["transfer"] == "auto"
    assert info["settings"]["transfer_views"] == "mirror"
    assert (tmp_path / "run" / "report.html").exists()


def test_the_last_blocks(given, tmp_path, capsys):
    words = ["--transfer", "blocks", "--views", "whole", "--epochs", "2", "--time", "90s"]
    assert main([*given, *words]) == 0
    assert "learn, as 90 s are allowed" in capsys.readouterr().err
    run = tmp_path / "run"
    before, after = network().state_dict(), load_model(run / "last.safetensors").state_dict()
    assert list(before) == list(after)
    same = [name for name in before if np.array_equal(before[name], after[name])]
    assert {"stem.conv.weight", "block1.body.expand.conv.weight"} <= set(same)
    assert "head.conv.weight" not in same
    assert len(read_info(run)["epochs"]) == 2
    assert main(["predict", str(run), str(tmp_path / "photos" / "red" / "000.png")]) == 0
    assert "red" in capsys.readouterr().out


def test_a_run_goes_on_as_if_it_had_not_ended(given, tmp_path, capsys):
    words = ["--transfer", "blocks", "--schedule", "constant", "--lr", "0.001"]
    assert main([*given, *words, "--epochs", "1"]) == 0
    assert main(["train", "--resume", str(tmp_path / "run"), "--epochs", "2"]) == 0
    whole = [*given[:-3], str(tmp_path / "whole"), *given[-2:]]
    assert main([*whole, *words, "--epochs", "2"]) == 0
    capsys.readouterr()
    states = [
        load_model(tmp_path / name / "last.safetensors").state_dict() for name in ("run", "whole")
    ]
    for name, array in states[0].items():
        np.testing.assert_array_equal(array, states[1][name], err_msg=name)


def test_gray_pictures_are_loaded_for_a_network_of_colors(given, tmp_path, capsys):
    write(tmp_path / "gray", colors="L")
    given[1] = str(tmp_path / "gray")
    assert main([*given, "--transfer", "head"]) == 0
    assert "made 24 × 24 in color" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "resnet8"], "has no weights. Leave --model out for efficientnet-lite0"),
        (["--size", "32"], "takes images of the shape (3, 24, 24)"),
        (["--lr", "find"], "--lr find is for training from nothing"),
        (["--model", "none.safetensors"], "none.safetensors"),
    ],
)
def test_refusals(given, tmp_path, capsys, words, message):
    assert main([*given, "--transfer", "head", *words]) != 0
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_one_picture_of_a_class(given, tmp_path, capsys):
    for path in sorted((tmp_path / "photos" / "red").iterdir())[1:]:
        path.unlink()
    assert main([*given, "--transfer", "head"]) != 0
    assert "fewer: red" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_settings_without_transfer_are_refused_by_name():
    with pytest.raises(NeocogError, match="transfer"):
        neocog.Recipe(transfer="deep")
