"""``neocog train --engine``: what it says, what it leaves, and what it refuses."""

import json

import pytest
from commands import the_run

from neocog import engines


def test_train_says_which_engine_it_takes_and_why(command, with_data, here, monkeypatch):
    monkeypatch.setattr(engines, "_may_have_gpu", lambda: False)
    with_data()
    code, _, err = command("train", "--epochs", 1)
    assert code == 0, err
    assert "Engine: neocog's own on the CPU, as there is no GPU.\n" in err
    info = json.loads((the_run(here) / "run.json").read_text())
    assert info["engine"] == "neocog's own on the CPU, as there is no GPU"


def test_train_with_pytorch_prints_the_same_losses(command, with_data, here):
    pytest.importorskip("torch")
    with_data()
    outs = []
    for engine in ("neocog", "torch"):
        code, out, err = command(
            *("train", "--engine", engine, "--epochs", 2, "--log-every", 4, "--out", engine)
        )
        assert code == 0, err
        outs.append([line for line in out.splitlines() if line.startswith("Epoch")])
    assert outs[0] == outs[1] and len(outs[0]) == 4
    assert "as engine='torch' asks for it." in err
    code, out, err = command("train", "--resume", "torch", "--epochs", 3, "--engine", "auto")
    assert code == 0, err
    assert 'engine = "auto"' in (here / "torch" / "config.toml").read_text()


def test_a_missing_device_is_refused_before_anything_is_written(command, with_data, here):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with_data()
    code, _, err = command("train", "--device", "cuda")
    assert code == 1
    assert err.startswith("neocog: device (='cuda'): PyTorch ")
    assert "finds no GPU here" in err and err.count("\n") == 1
    assert not list(here.iterdir())


def test_without_pytorch_the_command_says_what_to_install(command, with_data, here, monkeypatch):
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    with_data()
    code, _, err = command("train", "--engine", "torch")
    assert code == 1
    assert err == (
        "neocog: engine='torch' needs PyTorch, which is not installed: pip install "
        "'neocog[torch]'. Or leave that out, and train with neocog's own engine.\n"
    )
    assert not list(here.iterdir())
