"""``neocog train --model SAVED``: a saved network is trained further."""

from pathlib import Path

import numpy as np
import pytest
from picture_folders import NETWORK, write_classes

import neocog
from neocog.network_files import load_model, save_model
from neocog.preprocessing import Preprocessing, Resize
from neocog.training.run_config import read_run_config


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    """A folder with pictures of two classes, and a run on them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NETWORK)
    write_classes(tmp_path / "photos", (("cat", 12), ("dog", 12)))
    return tmp_path


@pytest.fixture
def train(command):
    def run(*arguments: object) -> tuple[str, str]:
        code, out, err = command("train", "photos", *arguments)
        assert code == 0, err
        return out, err

    return run


@pytest.fixture
def first(train):
    train("--model", "net.py", "--epochs", 1, "--out", "first")
    return load_model("first/last.safetensors")


def test_it_begins_with_the_saved_weights_and_looks_at_pictures_in_the_same_way(first, train):
    first.preprocessing = Preprocessing((0.1,) * 3, (0.7,) * 3, Resize("crop"))
    save_model(first, "start.safetensors")
    # Steps of rate 1e-30 leave weights as they are.
    train("--model", "start.safetensors", "--epochs", 1, "--lr", 1e-30, "--out", "second")
    second = load_model("second/last.safetensors")
    assert second.preprocessing == first.preprocessing
    assert second.classes == first.classes
    for name, wanted in first.state_dict().items():
        np.testing.assert_array_equal(second.state_dict()[name], wanted, err_msg=name)


def test_it_learns_from_there_at_a_tenth_of_the_rate(first, train, here):
    train("--model", "net.py", "--epochs", 1, "--out", "new")
    train("--model", "first", "--epochs", 1, "--out", "second")
    new, second = (read_run_config(here / name / "config.toml")[0] for name in ("new", "second"))
    assert second.optimizer.lr == pytest.approx(new.optimizer.lr / 10)
    before, after = first.state_dict(), load_model("second/last.safetensors").state_dict()
    assert any((before[name] != after[name]).any() for name in before)


def test_classes_keep_the_order_of_the_saved_network(first, train):
    turned = neocog.Network.from_graph(first.graph, ("dog", "cat"), first.preprocessing)
    turned.load_state_dict(first.state_dict())
    save_model(turned, "turned.safetensors")
    train("--model", "turned.safetensors", "--epochs", 1, "--out", "second")
    assert load_model("second/last.safetensors").classes == ("dog", "cat")


def test_a_run_goes_on_when_the_file_that_it_began_with_is_gone(first, train, command, here):
    constant = ("--schedule", "constant", "--averaging", "none")
    train("--model", "first", *constant, "--epochs", 2, "--out", "whole")
    train("--model", "first", *constant, "--epochs", 1, "--out", "parts")
    (here / "first").rename(here / "elsewhere")
    code, _out, err = command("train", "--resume", "parts", "--epochs", 2)
    assert code == 0, err
    whole, parts = (load_model(f"{name}/last.safetensors") for name in ("whole", "parts"))
    for name, wanted in whole.state_dict().items():
        np.testing.assert_array_equal(parts.state_dict()[name], wanted, err_msg=name)


def test_the_configuration_names_the_file_from_anywhere(first, train, here):
    train("--model", "first", "--epochs", 1, "--out", "second")
    assert read_run_config(here / "second" / "config.toml")[0].model == str(here / "first")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "first", "--width", 2), "--width 2 is for models by name"),
        (("--model", "first", "--size", 64), "takes images of the shape"),
        (("--model", "gone.onnx"), "gone.onnx: there is no such file"),
        (("--model", "photos/cat"), "is no folder of a model"),
    ],
)
def test_what_does_not_fit_is_refused(first, command, arguments, message):
    code, out, err = command("train", "photos", "--epochs", 1, "--out", "second", *arguments)
    assert (code, out) == (1, "")
    assert message in err
    assert not Path("second").exists()


def test_other_classes_are_refused(first, command, here):
    write_classes(here / "birds", (("cat", 4), ("owl", 4)))
    code, _out, err = command("train", "birds", "--model", "first", "--epochs", 1)
    assert code == 1
    assert "birds has classes that" in err
    assert "owl" in err
