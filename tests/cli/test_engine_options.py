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
        "'neocog[torch]'. Or leave that out, for neocog's own engine.\n"
    )
    assert not list(here.iterdir())


@pytest.mark.parametrize("arguments", [("evaluate", "--json"), ("predict", "--csv")])
def test_a_saved_network_predicts_the_same_by_pytorch(
    command, with_data, model, pictures, arguments
):
    pytest.importorskip("torch")
    with_data()
    what = pictures if arguments[0] == "predict" else ["cifar10"]
    given = [arguments[0], model, *what, arguments[1]]
    code, ours, err = command(*given)
    assert code == 0 and "Engine" not in err, err
    code, theirs, err = command(*given, "--engine", "torch", "--device", "cpu")
    assert code == 0
    assert err.startswith("Engine: PyTorch ") and "as engine='torch' asks for it.\n" in err
    if arguments[0] == "evaluate":
        ours, theirs = json.loads(ours), json.loads(theirs)
        assert theirs["accuracy"] == ours["accuracy"]
        assert theirs["loss"] == pytest.approx(ours["loss"], rel=1e-5)
        return
    ours, theirs = ([line.split(",") for line in text.splitlines()] for text in (ours, theirs))
    assert [row[:2] for row in theirs] == [row[:2] for row in ours]
    for our, their in zip(ours[1:], theirs[1:], strict=True):
        assert float(their[2]) == pytest.approx(float(our[2]), rel=1e-4)


@pytest.mark.parametrize("arguments", [("evaluate",), ("predict", "none.png")])
def test_a_missing_engine_is_refused_before_data_are_read(command, model, monkeypatch, arguments):
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    code, out, err = command(arguments[0], model, *arguments[1:], "--engine", "torch")
    assert (code, out) == (1, "")
    assert err.startswith("neocog: engine='torch' needs PyTorch") and err.count("\n") == 1
