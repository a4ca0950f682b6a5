"""PyTorch's exported programs: what PyTorch reads is the network."""

import json

import numpy as np
import pytest
from onnx_networks import BOUND, apart, by_hand, named, noise

import neocog

torch = pytest.importorskip("torch")


def run(path, given):
    files = {"neocog": "", "preprocessing": "", "classes": ""}
    program = torch.export.load(path, extra_files=files)
    with torch.no_grad():
        return program, program.module()(torch.from_numpy(given)).numpy(), files


@pytest.mark.parametrize("name", ["simple-cnn", "resnet8"])
def test_from_pictures_to_probabilities(name, tmp_path):
    network = named(name)
    network.temperature = 1.5
    found = neocog.export(network, tmp_path / "net.pt2")
    assert found.format == "torch-export"
    assert found.inputs == "images: uint8 [batch, 32, 32, 3]"
    (difference,) = found.differences
    assert difference.scores is None
    assert difference.probabilities < BOUND
    for count in (1, 5):
        images = noise(network, count)
        _program, given, files = run(tmp_path / "net.pt2", images)
        np.testing.assert_allclose(given, network.predict_proba(images), atol=1e-6)
    assert json.loads(files["neocog"])["temperature"] == 1.5
    assert json.loads(files["preprocessing"])["mean"] == list(network.preprocessing.mean)


def test_nothing_but_the_layers(tmp_path):
    network = named("resnet8")
    neocog.export(network, tmp_path / "net.pt2", pictures=False, softmax=False)
    images = noise(network, 3)
    program, scores, _files = run(tmp_path / "net.pt2", by_hand(network, images))
    assert apart(scores, network.predict_scores(images)) < BOUND
    state = network.state_dict()
    assert program.state_dict.keys() == state.keys()
    for name, value in program.state_dict.items():
        assert value.detach().numpy().tobytes() == state[name].tobytes()


@pytest.mark.parametrize(
    ("loss", "outputs"), [("binary-cross-entropy", "probabilities"), ("mse", "scores")]
)
def test_what_the_outputs_mean(tmp_path, loss, outputs):
    network = named("lenet5")
    network.loss = loss
    found = neocog.export(network, tmp_path / "net.pt2")
    assert found.outputs == f"{outputs}: float32 [batch, 10]"
    images = noise(network, 3)
    given = run(tmp_path / "net.pt2", images)[1]
    np.testing.assert_allclose(given, network.predict_proba(images), rtol=1e-4, atol=1e-6)


def test_the_command(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    named("lenet5").save("net.safetensors")
    code, out, _err = command("export", "net.safetensors", "--to", "torch-export")
    assert code == 0
    first, signature, runtime, noise_ = out.splitlines()
    assert first.startswith("net.pt2: torch-export, ")
    assert signature == "images: uint8 [batch, 28, 28, 1] → probabilities: float32 [batch, 10]"
    assert runtime == f"PyTorch {torch.__version__}, differs from neocog"
    assert noise_.startswith("  on 32 random pictures: probabilities by at most ")
