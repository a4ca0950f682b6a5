"""``neocog export``."""

import json

import numpy as np
import pytest
from onnx_networks import onnx

import neocog
from neocog import loading
from neocog.cli.model_commands import EXPORTS
from neocog.data.shapes import shapes
from neocog.exporting import FORMATS
from neocog.formats import read_training
from neocog.formats.onnx.writing.session import OnnxSession
from neocog.network_files import save_model
from neocog.trained_on import training_notes


@pytest.fixture(scope="module")
def trained():
    data = shapes(0, 1500, 300)
    network = neocog.models.simple_cnn()
    neocog.fit(network, data.train, epochs=2, classes=data.classes)
    return network, data


@pytest.fixture
def model(tmp_path, monkeypatch, trained):
    monkeypatch.chdir(tmp_path)
    network, data = trained
    load = loading.load_data
    monkeypatch.setattr(
        loading, "load_data", lambda name, **how: data if name == "shapes" else load(name, **how)
    )
    (tmp_path / "run").mkdir()
    save_model(network, tmp_path / "run" / "last.safetensors", training_notes(data))
    return "run"


def test_the_formats_are_those_of_the_function():
    assert EXPORTS == FORMATS


def test_a_run_folder_as_onnx(command, model, trained):
    code, out, _err = command("export", model)
    assert code == 0
    first, signature, runtime, noise, real = out.splitlines()
    assert first.startswith("run.onnx: onnx, 0.")
    assert signature == "images: uint8 [batch, 32, 32, 3] → probabilities: float32 [batch, 10]"
    assert runtime.startswith("ONNX Runtime 1.")
    assert runtime.endswith(", opset 17, differs from neocog")
    assert noise.startswith("  on 32 random pictures: scores by at most ")
    assert " of the largest, probabilities by at most " in noise
    assert real.startswith("  on 32 pictures of shapes: scores by at most ")
    images = trained[1].test.images[:4]
    given = OnnxSession(onnx.load("run.onnx")).run(images)["probabilities"]
    np.testing.assert_allclose(given, trained[0].predict_proba(images), atol=1e-6)


def test_json_and_int8(command, model):
    code, out, _err = command("export", model, "--int8", "--out", "a.onnx", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["model"] == "run"
    assert found["path"] == "a.onnx"
    assert found["format"] == "onnx"
    assert found["quantized"]["part"] == "test"
    assert found["quantized"]["calibrated"] == 256
    assert {one["images"] for one in found["differences"]} == {
        "random pictures",
        "pictures of shapes",
    }


def test_int8_says_what_it_costs(command, model):
    code, out, _err = command("export", model, "--int8", "--data", "shapes", "--no-softmax")
    assert code == 0
    signature, (what, accuracy, same) = out.splitlines()[1], out.splitlines()[-3:]
    assert signature.endswith(" → scores: float32 [batch, 10]")
    assert what == "int8, with ranges from 256 training pictures:"
    assert accuracy.startswith("  accuracy on ")
    assert " test pictures: " in accuracy
    assert "(before: " in accuracy
    assert accuracy.endswith(" points)")
    assert same.startswith("  the same answer as before: ")


def test_weights_with_their_notes(command, model, trained):
    assert command("export", model, "--to", "pth")[:2] == (0, "run.pth: pth, 0.2 MiB\n")
    assert command("export", model, "--out", "b.safetensors")[0] == 0
    assert read_training("b.safetensors") == read_training("run/last.safetensors")
    images = trained[1].test.images[:3]
    for name in ("run.pth", "b.safetensors"):
        again = neocog.load(name).predict_scores(images)
        assert again.tobytes() == trained[0].predict_scores(images).tobytes()


def test_a_pth_whose_network_is_named(command, model):
    neocog.load("run").save("weights.pth")
    code, out, err = command("export", "weights.pth", "--model", "simple-cnn", "--float-input")
    assert code == 0
    assert out.startswith("weights.onnx: onnx, ")
    assert "input: float32 [batch, 3, 32, 32] → " in out
    assert "weights.pth does not say which data it was trained on." in err
    assert "random pictures" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["simple-cnn"], "simple-cnn is a network without weights. Train it first"),
        (["gone.safetensors"], "there is no such file"),
        (["run", "--out", "mine.onnx"], "mine.onnx exists, and nothing is overwritten"),
        (["run", "--out", "a.h5"], "the name must end in one of"),
        (["run", "--to", "pth", "--out", "a.onnx"], "the name must end in .pth or .pt for pth"),
        (["run", "--to", "pth", "--data", "shapes"], "--data shapes is for onnx and torch-export"),
        (["run", "--to", "pth", "--int8"], "int8 (=True) is for onnx; pth has no such choice"),
        (["run", "--data", "gone"], "gone"),
        (["run", "--model", "lenet5"], "Leave --model out"),
    ],
)
def test_refusals(command, model, arguments, message, tmp_path):
    (tmp_path / "mine.onnx").write_bytes(b"mine")
    before = sorted(tmp_path.rglob("*"))
    code, out, err = command("export", *arguments)
    assert (code, out) == (1, "")
    assert err.startswith("neocog: ")
    assert message in err
    assert err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "mine.onnx").read_bytes() == b"mine"


def test_overwriting(command, model, tmp_path):
    (tmp_path / "run.onnx").write_bytes(b"old")
    assert command("export", model, "--overwrite")[0] == 0
    assert (tmp_path / "run.onnx").stat().st_size > 1000


def test_int8_without_data(command, model):
    network = neocog.load("run")
    save_model(network, "alone.safetensors", {})
    code, _out, err = command("export", "alone.safetensors", "--int8")
    assert code == 1
    assert "int8 takes its ranges from pictures of the training: name the data" in err
