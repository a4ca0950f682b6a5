"""Short runs in folders, alive and dead."""

import sys

import numpy as np
import pytest

import neocog
from neocog.files import exists
from neocog.training.history import Epoch, History, Logged


def little_network(value: float) -> neocog.Network:
    network = neocog.Network(
        input_shape=(1, 2, 2), flatten=neocog.Flatten(), fc=neocog.Linear(4, 2)
    )
    network.load_state_dict(
        {"fc.weight": np.full((2, 4), value, np.float32), "fc.bias": np.zeros(2, np.float32)}
    )
    return network


def history_of(epochs: int) -> History:
    done = range(1, epochs + 1)
    return History(
        logged=[Logged(e, 1, float(e), 0.1) for e in done],
        epochs=[Epoch(e, float(e), 0.1) for e in done],
        steps=epochs,
    )


def epochs_in(folder) -> list[int]:
    """Of which epoch each file is, of those that are there."""
    found = []
    if exists(folder / "last.safetensors"):
        network = neocog.load(folder / "last.safetensors")
        found.append(int(network.state_dict()["fc.weight"][0, 0]))
    if exists(folder / "cnn_model.pth"):
        network = neocog.load(folder / "cnn_model.pth", little_network(0))
        found.append(int(network.state_dict()["fc.weight"][0, 0]))
    if exists(folder / "history.csv"):
        found.append(len((folder / "history.csv").read_text().splitlines()) - 1)
    return found


posix = pytest.mark.skipif(sys.platform == "win32", reason="processes are only looked up on POSIX")
