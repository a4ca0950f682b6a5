"""``.onnx`` files in the commands, where a ``.safetensors`` can stand."""

import json

import numpy as np
import pytest
from onnx_bytes import model, node, small
from picture_folders import write_classes
from PIL import Image

from neocog.cli import main
from neocog.errors import NeocogError
from neocog.loading import open_saved
from neocog.network_files import load


@pytest.fixture
def net(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(model(small()))
    return path


def test_predict(net, tmp_path, capsys):
    picture = tmp_path / "a.png"
    Image.new("RGB", (8, 8), (255, 0, 128)).save(picture)
    assert main(["predict", str(net), str(picture), "--json"]) == 0
    said = capsys.readouterr()
    assert "taken as (pixel / 255 − 0.5) / 0.5" in said.err
    assert json.loads(said.out)
    # Of the mean pixel and the weights 0 to 5.
    x = np.array([1, -1, 128 / 127.5 - 1])
    scores = np.array([[0, 1, 2], [3, 4, 5]]) @ x
    wanted = np.exp(scores) / np.exp(scores).sum()
    images = np.full((1, 8, 8, 3), (255, 0, 128), np.uint8)
    np.testing.assert_allclose(load(net).predict_proba(images)[0], wanted, rtol=1e-5)


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """A folder of dark and light pictures beside the network's file."""
    monkeypatch.chdir(tmp_path)
    write_classes(tmp_path / "photos", size=(8, 8))
    return tmp_path / "photos"


def test_evaluate(net, photos, command):
    code, out, err = command("evaluate", net, "photos", "--json")
    assert code == 0, err
    # Dark mean pixels are below zero and light ones above, and the second class has more of each.
    losses = []
    for label, name in enumerate(("dark", "light")):
        for path in (photos / name).iterdir():
            x = (np.asarray(Image.open(path), float) / 127.5 - 1).mean((0, 1))
            scores = np.array([[0, 1, 2], [3, 4, 5]]) @ x
            losses.append(np.log(np.exp(scores).sum()) - scores[label])
    found = json.loads(out)
    assert (found["count"], found["accuracy"]) == (20, 1.0)
    assert found["loss"] == pytest.approx(np.mean(losses), rel=1e-5)


def test_explain(net, photos, command):
    code, _out, err = command("explain", net, "photos/light/000.png", "--out", "page.html")
    assert code == 0, err
    assert "fc" in (photos.parent / "page.html").read_text(encoding="utf-8")


def test_train_goes_on_from_its_weights(net, photos, command):
    """Steps of rate 1e-30 leave all but a zero as it is; others move the weights."""
    for rate, name in ((1e-30, "same"), (0.1, "moved")):
        options = ("--epochs", 1, "--lr", rate, "--out", name)
        code, _out, err = command("train", "photos", "--model", net, *options)
        assert code == 0, err
    same, moved = (load(f"{name}/last.safetensors") for name in ("same", "moved"))
    wanted = [[0, 1, 2], [3, 4, 5]]
    np.testing.assert_allclose(same.state_dict()["fc.weight"], wanted, rtol=0, atol=1e-20)
    assert (moved.state_dict()["fc.weight"] != wanted).all()
    assert moved.classes == ("dark", "light")


def test_what_cannot_be_read_is_said(tmp_path, capsys):
    path = tmp_path / "odd.onnx"
    path.write_bytes(model(small(node("LSTM", ["p"], ["q"], name="odd"))))
    assert main(["evaluate", str(path), "shapes"]) == 1
    assert "node 'odd' (LSTM): there is no layer for this operator" in capsys.readouterr().err


def test_calibrate_writes_another_file(net, capsys):
    assert main(["calibrate", str(net), "shapes"]) == 1
    assert "name a .safetensors to write" in capsys.readouterr().err


def test_it_says_itself_which_network_it_is(net):
    with pytest.raises(NeocogError, match="says it itself"):
        open_saved(str(net), "resnet8")
    network, notes = open_saved(str(net))
    assert network.input_shape == (3, 8, 8)
    assert len(notes) == 1
