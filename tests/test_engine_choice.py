"""Which engine and device a training takes, and what it says where it cannot have them."""

import subprocess
import sys

import pytest

from neocog import NeocogError, TrainingSettings, engines
from neocog.engines import choose_engine


@pytest.fixture
def machine(monkeypatch):
    """Say whether there are a driver, PyTorch, and GPUs that it finds."""

    def is_(driver=False, torch=True, gpus=0, bf16=True):
        monkeypatch.setattr(engines, "_may_have_gpu", lambda: driver)
        monkeypatch.setattr(engines, "find_spec", lambda name: object() if torch else None)
        if not torch:
            return
        devices = pytest.importorskip("neocog.torch_engine.devices")
        cuda = devices.torch.cuda
        monkeypatch.setattr(cuda, "is_available", lambda: gpus > 0)
        monkeypatch.setattr(cuda, "device_count", lambda: gpus)
        monkeypatch.setattr(cuda, "get_device_name", lambda device: f"GPU {device}")
        monkeypatch.setattr(cuda, "is_bf16_supported", lambda: bf16)
        monkeypatch.setattr(devices, "_has_mps", lambda: False)

    return is_


def chosen(**settings):
    found = choose_engine(TrainingSettings(**settings))
    return found.engine, found.device, found.why


def test_the_default_is_neocogs_own_without_a_gpu(machine):
    machine()
    assert chosen() == ("neocog", "cpu", "there is no GPU")
    machine(driver=True, torch=False)
    assert chosen() == ("neocog", "cpu", "PyTorch, which could use a GPU, is not installed")
    machine(driver=True)
    assert chosen() == ("neocog", "cpu", "PyTorch finds no GPU")


def test_the_default_is_pytorch_with_a_gpu(machine):
    machine(driver=True, gpus=2)
    assert chosen() == ("torch", "cuda", "there is a GPU")
    assert str(choose_engine(TrainingSettings())).endswith("on cuda (GPU cuda), as there is a GPU")
    assert chosen(device="cpu") == ("neocog", "cpu", "device='cpu' asks for the CPU")
    assert chosen(engine="neocog") == ("neocog", "cpu", "engine='neocog' asks for it")
    assert chosen(device="cuda:1") == ("torch", "cuda:1", "device='cuda:1' asks for it")


def test_what_only_pytorch_has_takes_pytorch(machine):
    machine()
    assert chosen(engine="torch") == ("torch", "cpu", "engine='torch' asks for it")
    assert chosen(precision="bf16") == ("torch", "cpu", "precision='bf16' asks for it")
    assert chosen(compile=True) == ("torch", "cpu", "compile=True asks for it")


@pytest.mark.parametrize(
    ("there_is", "settings", "says"),
    [
        ({"torch": False}, {"engine": "torch"}, "engine='torch' needs PyTorch, which is not inst"),
        ({"torch": False}, {"compile": True}, "compile=True needs PyTorch"),
        ({}, {"device": "cuda"}, r"device \(='cuda'\): PyTorch \S+ finds no GPU here"),
        ({}, {"device": "mps"}, r"device \(='mps'\) is the GPU of a Mac, and PyTorch finds none"),
        ({"gpus": 1}, {"device": "cuda:1"}, r"device \(='cuda:1'\): there is 1, cuda:0\."),
        ({"gpus": 3}, {"device": "cuda:3"}, r"there are 3, cuda:0 to cuda:2\."),
        ({"gpus": 1, "bf16": False}, {"precision": "bf16"}, "GPU 0 has no such numbers. Take"),
    ],
)
def test_what_there_is_not_is_said(machine, there_is, settings, says):
    machine(**there_is)
    with pytest.raises(NeocogError, match=says):
        choose_engine(TrainingSettings(**settings))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"engine": "tensorflow"}, r"engine \(='tensorflow'\) must be one of 'auto', 'neocog', 't"),
        ({"device": "gpu"}, r"device \(='gpu'\) must be cpu, cuda, cuda:1 \(the second GPU\) or"),
        ({"device": "cuda:"}, r"device \(='cuda:'\)"),
        ({"device": 1}, r"device \(=1\)"),
        ({"precision": "fp16"}, r"precision \(='fp16'\) must be one of 'float32', 'bf16'"),
        ({"compile": 1}, r"compile \(=1\)"),
        ({"engine": "neocog", "device": "cuda"}, r"device \(='cuda'\) is for engine='torch'"),
        ({"engine": "neocog", "precision": "bf16"}, r"precision \(='bf16'\) is for engine='torch'"),
        ({"engine": "neocog", "compile": True}, r"compile \(=True\) is for engine='torch'"),
    ],
)
def test_settings_that_cannot_be(settings, says):
    with pytest.raises(NeocogError, match=says):
        TrainingSettings(**settings)


def test_pytorch_is_not_imported_to_train_without_a_gpu():
    code = (
        "import sys, numpy as np, neocog\n"
        "from neocog import engines\n"
        "engines._may_have_gpu = lambda: False\n"
        "net = neocog.Network(input_shape=(1, 4, 4), f=neocog.Flatten(), l=neocog.Linear(16, 2))\n"
        "neocog.fit(net, (np.zeros((4, 4, 4, 1), np.uint8), [0, 1, 0, 1]), epochs=1)\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
