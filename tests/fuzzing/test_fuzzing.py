"""A short run of ``scripts/fuzz`` for each reader, with Atheris where it is installed."""

import argparse
import os
import random
import subprocess
import sys
from pathlib import Path

import fuzz
import pytest
from readers import READERS, Reader, settle

from neocog.errors import FormatError

HERE = Path(__file__).parent


def run(reader, folder, *options):
    places = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [sys.executable, HERE / "fuzz.py", reader, "--seconds", "240", "--seed", "7", *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": places},
        capture_output=True,
        text=True,
        timeout=500,
    )


@pytest.mark.parametrize("reader", READERS)
def test_every_input_is_settled(reader, tmp_path):
    done = run(reader, tmp_path, "--runs", "150")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not list(tmp_path.iterdir())


def test_without_atheris(tmp_path):
    done = run("onnx", tmp_path, "--runs", "300", "--blind")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "300 inputs, each of them settled" in done.stdout


@pytest.mark.parametrize("reader", READERS)
def test_seeds_are_good_files(reader, tmp_path):
    for content in READERS[reader].seeds():
        assert settle(READERS[reader], content, tmp_path / "input")


def test_what_is_no_error_of_neocogs_fails(tmp_path, monkeypatch):
    def read(path):
        content = path.read_bytes()
        if content != b"good":
            raise FormatError("It is not good.") if len(content) < 4 else ValueError("a bug")

    monkeypatch.setitem(READERS, "odd", Reader(lambda: read, lambda: [b"good"]))
    monkeypatch.setattr(fuzz, "_limit_memory", lambda: None)
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "seed").write_bytes(b"good")
    given = argparse.Namespace(reader="odd", seconds=60, runs=1000, seed=1, blind=True)
    with pytest.raises(ValueError, match="a bug"):
        fuzz._blindly(given, tmp_path)
    failing = (tmp_path / "failing").read_bytes()
    assert len(failing) >= 4
    assert failing != b"good"


def test_changes_are_small_files():
    random_ = random.Random(1)
    found = {fuzz.changed(b"seed" * 50, random_, [b"other"]) for _ in range(200)}
    assert len(found) > 150
    assert max(map(len, found)) <= 2**16
