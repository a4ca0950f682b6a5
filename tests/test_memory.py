"""Memory is asked for only where this process can get it; everything else is refused before."""

import numpy as np
import pytest

import neocog
from neocog import limits, models
from neocog.cli import main
from neocog.errors import FormatError, NeocogError
from neocog.formats import save_pth
from neocog.network import Network
from neocog.network_files import load


@pytest.fixture
def net() -> Network:
    net = models.simple_cnn()
    net.initialize(0)
    return net


IMAGE = np.zeros((32, 32, 3), np.uint8)


def test_work_that_needs_too_much_is_refused(net, monkeypatch):
    monkeypatch.setattr(limits, "available_memory", lambda: 100_000)
    for work in (
        lambda: net.predict(IMAGE[None]),
        lambda: neocog.fit(net, neocog.Dataset(IMAGE[None], np.zeros(1, np.int64)), epochs=1),
        lambda: neocog.explain(net, IMAGE, 3),
    ):
        with pytest.raises(NeocogError, match=r"needs [\d.]+ MiB .* can get 0\.1 MiB\. \w"):
            work()


def test_files_that_need_too_much_are_refused(tmp_path, net, monkeypatch):
    net.save(tmp_path / "a.safetensors")
    save_pth(net.state_dict(), tmp_path / "a.pth")
    monkeypatch.setattr(limits, "available_memory", lambda: 100_000)
    for name in ("a.safetensors", "a.pth"):
        with pytest.raises(NeocogError, match=r"Reading this (network|file) needs") as caught:
            load(tmp_path / name)
        assert not isinstance(caught.value, FormatError), "the file is not at fault"


def test_a_command_without_memory_says_so(monkeypatch, capsys):
    def greedy(*_, **__):
        raise MemoryError

    monkeypatch.setattr("neocog.cli.models.cost", greedy)
    assert main(["models"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("neocog: there is not enough memory")
    assert err.count("\n") == 1
