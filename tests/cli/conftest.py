"""A folder of its own for each test of a command, and commands that run in it."""

import importlib
from pathlib import Path

import pytest
from commands import everything_in, tiny
from PIL import Image

import neocog
from neocog import loading
from neocog.data import Data
from neocog.data.shapes import shapes
from neocog.data.sources import cifar10 as cifar
from neocog.formats import save_pth
from neocog.network_files import save_model
from neocog.run_files import LAST
from neocog.trained_on import training_notes


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def with_data(monkeypatch):
    """Let the commands load `data`, whatever is asked for, or `tiny()`."""

    def give(data: Data | None = None) -> None:
        given = data or tiny()
        for module in ("training_setup", "evaluate"):
            command = importlib.import_module(f"neocog.cli.{module}")
            monkeypatch.setattr(command, "load_data", lambda *_, **__: given)

    return give


@pytest.fixture
def refused(command, here):
    """Run a command that must fail with one message and leave everything as it was."""

    def run(*arguments: object, code: int = 1) -> str:
        before = everything_in(here)
        given, out, err = command(*arguments)
        assert given == code
        assert out == ""
        assert err.startswith("neocog: ")
        assert err.count("\n") == 1, err
        assert "Traceback" not in err
        assert everything_in(here) == before
        return err

    return run


@pytest.fixture
def model(here) -> Path:
    """A run folder of a network that knows the classes of `tiny`."""
    network = neocog.models.simple_cnn()
    data = tiny(train=400)
    neocog.fit(
        network, data.train, epochs=4, optimizer=neocog.SGD(0.003, 0.9), classes=data.classes
    )
    folder = here / "model"
    folder.mkdir()
    save_model(network, folder / LAST, training=training_notes(tiny()))
    save_pth(network.state_dict(), folder / "cnn_model.pth")
    return folder


@pytest.fixture
def pictures(here) -> list[str]:
    """Files of the classes 0, 5 and 9, larger than the network's input."""
    names = ["high.png", "middle.jpg", "low.gif"]
    for name, label in zip(names, (0, 5, 9), strict=True):
        image = Image.new("RGB", (50, 64), (30, 30, 30))
        image.paste((190, 190, 190), (0, 6 * label, 50, 6 * label + 6))
        image.save(here / name)
    return names


@pytest.fixture
def little_data(monkeypatch):
    """Give small data by their names, and refuse what would have to be downloaded."""
    asked = []

    def load(name, *, progress=None):
        asked.append(name)
        if name == "cifar10":
            part = shapes(0, 8, 4)
            return Data("cifar10", part.train, part.test, cifar.CLASSES)
        return shapes(0, 8, 4)

    monkeypatch.setattr(loading, "load_data", load)
    return asked
