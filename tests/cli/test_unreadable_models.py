"""Models that ``evaluate`` and ``predict`` refuse, or whose outputs are not numbers."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

import neocog
from neocog import Conv2d, Flatten, Linear


class Evil:
    def __reduce__(self):
        return os.mkdir, ("was-run",)


def model_with_nan(path: Path) -> None:
    network = neocog.models.simple_cnn()
    network.initialize(0)
    state = network.state_dict()
    state["fc.bias"][3] = np.nan
    network.load_state_dict(state)
    network.save(path)


def torn(path: Path) -> None:
    network = neocog.models.simple_cnn()
    network.initialize(0)
    network.save(path)
    path.write_bytes(path.read_bytes()[:-1000])


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("none.pth", lambda path: None, "no such file"),
        ("none", lambda path: None, "no file or folder none. Name a saved network"),
        ("folder", lambda path: path.mkdir(), "is no folder of a model"),
        ("a.txt", lambda path: path.write_text("hello"), "no known kind of model"),
        ("empty.pth", lambda path: path.write_bytes(b""), "empty.pth"),
        ("code.pth", lambda path: path.write_bytes(pickle.dumps(Evil())), "code.pth"),
        ("torn.safetensors", torn, "torn.safetensors"),
        ("torn.pth", torn, "torn.pth"),
        ("empty.safetensors", lambda path: path.write_bytes(b""), "empty.safetensors"),
    ],
)
def test_models_that_cannot_be_read(refused, pictures, here, name, make, message):
    make(here / name)
    assert message in refused("predict", name, pictures[0])
    assert message in refused("evaluate", name, "shapes")
    assert not (here / "was-run").exists()


def test_a_pth_of_pytorch_with_code_in_it_is_not_run(refused, pictures, here):
    torch = pytest.importorskip("torch")
    torch.save({"fc.weight": torch.zeros(2, 2), "more": Evil()}, here / "code.pth")
    assert "code.pth" in refused("predict", "code.pth", pictures[0])
    assert not (here / "was-run").exists()


def test_outputs_that_are_no_numbers_are_an_error(command, with_data, pictures, here):
    model_with_nan(here / "nan.pth")
    with_data()
    for arguments in (["evaluate", "nan.pth", "tiny"], ["predict", "nan.pth", pictures[0]]):
        code, out, err = command(*arguments)
        assert (code, out) == (1, "")
        assert "NaN" in err.splitlines()[-1]


def test_a_model_of_other_shapes_than_the_data(refused, with_data, here):
    network = neocog.Network(
        input_shape=(3, 16, 16), conv1=Conv2d(3, 4, 3), flatten=Flatten(), fc=Linear(4 * 14**2, 10)
    )
    network.initialize(0)
    network.save(here / "small.safetensors")
    with_data()
    assert "16" in refused("evaluate", "small.safetensors", "tiny")
