"""``neocog bench``, with measurements that are made up."""

import importlib
import json

import pytest

import neocog
from neocog.benchmark import Measured, Row

ROWS = [
    Row("train", "step", Measured(1e-4, 0.9e-4, 2e-4), Measured(2e-3, 2e-3, 3e-3), 1, 1e-6),
    Row("predict", "call", Measured(2e-5, 1e-5, 3e-5), Measured(3e-4, 2e-4, 4e-4), 2, 1e-7),
]


@pytest.fixture
def measured(monkeypatch):
    def give(rows):
        module = importlib.import_module("neocog.cli.bench")
        monkeypatch.setattr(module, "benchmark", lambda **_: rows)

    return give


def test_bench_prints_a_row_for_each_kind_of_work(command, measured):
    measured(ROWS)
    code, out, err = command("bench", "--threads", 2)
    assert code == 0
    assert "minute" in err
    about, header, train, predict = out.splitlines()
    assert "2 threads; microseconds" in about
    assert header.split() == ["neocog", "PyTorch", "times"]
    assert train.split() == ["train", "100.0", "2,000.0", "(1", "t)", "20.0"]
    assert predict.split() == ["predict", "20.0", "300.0", "(2", "t)", "15.0"]


def test_bench_without_pytorch(command, measured):
    measured([Row("train", "step", Measured(1e-4, 1e-4, 1e-4))])
    _, out, _ = command("bench")
    assert out.splitlines()[2].split() == ["train", "100.0", "–", "–"]
    assert "PyTorch is not installed" in out


def test_bench_as_json(command, measured):
    measured(ROWS)
    code, out, _ = command("bench", "--json")
    assert code == 0
    result = json.loads(out)
    assert result["machine"]["processor"]
    assert result["versions"]["neocog"] == neocog.__version__
    first = result["rows"][0]
    assert first["neocog_us"] == pytest.approx({"median": 100, "least": 90, "most": 200})
    assert first["ratio"] == pytest.approx(20)


@pytest.mark.parametrize("threads", [0, -1, 257])
def test_bench_refuses_silly_threads(refused, threads):
    assert f"threads (={threads})" in refused("bench", "--threads", threads)
