"""PyTorch where it is installed, and networks in files."""

import numpy as np
import pytest
from model_files import network

from neocog.network_files import save_model


@pytest.fixture(scope="session")
def torch():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    return torch


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    kinds = ["f4", "f8", "f2", "i8", "i4", "i2", "i1", "u1", "?"]
    return {
        **{f"a.{k}": (rng.normal(size=(2, 3)) * 9).astype(k) for k in kinds},
        "scalar": np.array(3.5, np.float32),
        "empty": np.zeros((0, 3), np.float32),
        "turned": np.arange(6.0).reshape(2, 3).T,
        "big endian": np.arange(3, dtype=">f4"),
        "conv1.weight": rng.normal(size=(16, 3, 3, 3)).astype(np.float32),
        "größe": np.ones(300, np.float32),
    }


@pytest.fixture
def saved(tmp_path):
    save_model(network(), tmp_path / "model.safetensors", {"data": "shapes", "epochs": 5})
    return tmp_path / "model.safetensors"
