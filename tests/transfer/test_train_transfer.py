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
    assert "The head: " in err
    assert "Validation accuracy: " in out
    found = load_model(tmp_path / "run" / "last.safetensors")
    assert found.classes == ("blue", "green", "red")
    info = read_info(tmp_path / "run")
    assert info["status"] == "finished"
    assert info["settings"]["transfer"] == "auto"
    assert info["settings"]["transfer_views"] == "mirror"
    assert info["settings"].keys().isdisjoint({"epochs", "optimizer", "schedule", "batch_size"})
    assert info["transfer"]["depth"] == "head"
    assert info["transfer"]["why"] == "there are 8 pictures a class"
    assert info["transfer"]["strength"] > 0
    assert info["timings"]["training_seconds"] >= info["transfer"]["preparing_seconds"] > 0
    page = (tmp_path / "run" / "report.html").read_text()
    assert '["learns","the last layer"]' in page.replace(", ", ",").replace('\\"', '"')
    assert "one-cycle" not in page


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
    info = read_info(run)
    assert len(info["epochs"]) == 2
    assert info["settings"]["epochs"] == 2
    place = info["transfer"]["place"]
    assert f"what is behind {place}" in (run / "report.html").read_text()
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


def test_what_was_learned_is_kept_where_the_evaluation_is_interrupted(
    given, tmp_path, monkeypatch, capsys
):
    def interrupted(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("neocog.cli.train.evaluate_network", interrupted)
    words = ["--transfer", "blocks", "--views", "whole", "--epochs", "1", "--time", "90s"]
    assert main([*given, *words]) == 130
    assert "The weights so far are in" in capsys.readouterr().err
    after = load_model(tmp_path / "run" / "last.safetensors").state_dict()
    assert np.abs(after["classifier.fc.weight"]).max() > 0  # it began with zeros


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--epochs", "3", "--lr", "0.1"], "--epochs, --lr [--transfer blocks]"),
        (["--balance", "weight", "--seed", "1"], "learns: --balance [--transfer blocks]"),
        (["--seed", "1", "--views", "whole", "--time", "1m"], None),
    ],
)
def test_settings_of_steps_are_not_ignored_in_silence(given, tmp_path, capsys, words, told):
    assert main([*given, "--transfer", "head", *words]) == 0
    err = capsys.readouterr().err
    assert told in err if told else "Not used" not in err


def test_gray_pictures_are_loaded_for_a_network_of_colors(given, tmp_path, capsys):
    write(tmp_path / "gray", colors="L")
    given[1] = str(tmp_path / "gray")
    assert main([*given, "--transfer", "head"]) == 0
    assert "made 24 × 24 in color" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "resnet8"], "pip installs: efficientnet-lite0"),
        (["--size", "32"], "takes images of the shape (3, 24, 24)"),
        (["--lr", "find"], "--lr find is for training from nothing"),
        (["--model", "none.safetensors"], "none.safetensors"),
    ],
)
def test_refusals(given, tmp_path, capsys, words, message):
    assert main([*given, "--transfer", "head", *words]) != 0
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("left", "message"),
    [
        (1, "fewer: red (1). Add pictures, or leave these classes out."),
        (
            2,
            "fewer: red (1 and 1 held out). Add pictures, hold none out (--validation 0), or leave",
        ),
    ],
)
def test_too_few_pictures_of_a_class(given, tmp_path, capsys, left, message):
    for path in sorted((tmp_path / "photos" / "red").iterdir())[left:]:
        path.unlink()
    assert main([*given, "--transfer", "head"]) != 0
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_two_pictures_of_a_class_of_which_none_is_held_out(given, tmp_path, capsys):
    for path in sorted((tmp_path / "photos" / "red").iterdir())[2:]:
        path.unlink()
    assert main([*given, "--transfer", "head", "--validation", "0"]) == 0
    assert "Nothing was held out" in capsys.readouterr().err


def test_settings_without_transfer_are_refused_by_name():
    with pytest.raises(NeocogError, match="transfer"):
        neocog.Recipe(transfer="deep")
