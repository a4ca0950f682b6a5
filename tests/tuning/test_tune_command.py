"""``neocog tune``: what it prints, and what it leaves."""

import json
import os
import signal
import subprocess
import sys
import time
import tomllib

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("optuna")

from neocog.cli import main

MODEL = """
import neocog

def make(classes, input_shape=(1, 8, 8)):
    c, h, w = input_shape
    return neocog.Network(
        input_shape=input_shape, flatten=neocog.Flatten(), fc=neocog.Linear(c * h * w, classes)
    )
"""
BASE = ("--model", "net.py:make", "--batch-size", "8", "--threads", "1", "--lr", "0.05")
SHORT = (*BASE, "--epochs", "2", "--space", "lr=1e-3..0.1:log", "--space", "momentum=0.5,0.9")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with pictures of two classes, and a network for them."""
    rng = np.random.default_rng(0)
    (tmp_path / "net.py").write_text(MODEL)
    for name, light in (("dark", 0), ("bright", 150)):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for n in range(20):
            pixels = rng.integers(0, 60, (8, 8), np.uint8) + np.uint8(light)
            Image.fromarray(pixels).save(tmp_path / "pictures" / name / f"{n}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys, *arguments):
    code = main([str(one) for one in arguments])
    return code, *capsys.readouterr()


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "neocog", "tune", "pictures", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def trials_in(out: str) -> list[dict]:
    return json.loads(out)["trials"]


def finished_in(trials: list[dict]) -> list[dict]:
    return [trial for trial in trials if trial["value"] is not None]


def test_a_line_a_trial_a_table_and_settings_to_train_with(here, capsys):
    code, out, err = run(capsys, "tune", "pictures", *SHORT, "--trials", 3, "--study", "s")
    assert code == 0
    lines = [line for line in err.splitlines() if line.startswith("Trial ")]
    assert lines[0].startswith("Trial 0: lr 0.05, momentum 0.9: validation loss ")
    assert lines[0].endswith("(the best so far)")
    assert [line.split(":")[0] for line in lines] == ["Trial 0", "Trial 1", "Trial 2"]
    table = out.splitlines()
    assert table[0].split() == ["trial", "validation", "loss", "lr", "momentum", "time"]
    assert "3 trials: 3 finished" in out
    assert table[-1] == f"Settings of the best: {here / 's' / 'best.toml'}" or table[-1].endswith(
        "s/best.toml"
    )
    best = table[1].split()[0]
    loss = next(line for line in lines if line.startswith(f"Trial {best}:"))
    assert f"validation loss {table[1].split()[1]} " in loss

    code, out, _ = run(capsys, "train", "pictures", "--config", "s/best.toml", "--out", "trained")
    assert code == 0
    assert "Training finished." in out


def test_it_goes_on_and_prints_json(here, capsys):
    run(capsys, "tune", "pictures", *SHORT, "--trials", 1, "--study", "s")
    arguments = ("tune", "pictures", *SHORT, "--trials", 2, "--study", "s", "--json")
    code, out, err = run(capsys, *arguments)
    assert code == 0
    assert [trial["number"] for trial in trials_in(out)] == [0, 1]
    assert [line[:7] for line in err.splitlines() if line.startswith("Trial")] == ["Trial 1"]


def test_a_new_study_is_under_runs(here, capsys):
    code, out, _ = run(capsys, "tune", "pictures", *SHORT, "--trials", 1)
    (folder,) = (here / "runs").iterdir()
    assert code == 0
    assert folder.name.startswith("tune-pictures-")
    assert f"{folder.name}/best.toml" in out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--space", "lrr=1..2", "--recipe", "note"), 1, "Did you mean 'lr'?"),
        (("--space", "lr=1..2", "--space", "lr=1..3"), 1, "is there twice"),
        (("--space", "lr"), 1, "must be a setting and its values"),
        (("--time", "soon"), 2, "no time such as 90s, 10m or 2h"),
        (("--monitor", "loss"), 1, "by which settings cannot be chosen"),
        (("--trials", "0"), 1, "trials"),
        (("--study", "pictures"), 1, "holds something, and no study"),
    ],
)
def test_one_message(here, capsys, arguments, code, message):
    try:
        given = main(["tune", "pictures", *BASE, *arguments])
    except SystemExit as stop:
        given = stop.code
    err = capsys.readouterr().err
    assert given == code
    assert message in err
    assert "Traceback" not in err
    assert not (here / "runs").exists()


@pytest.mark.thorough
def test_two_processes_share_a_study(here):
    both = [start(*SHORT, "--trials", "6", "--study", "s", "--json") for _ in range(2)]
    outputs = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    # What the one that ended last has found: in the other's, a trial may be under way.
    trials = max((trials_in(out) for out, _ in outputs), key=lambda one: len(finished_in(one)))
    assert [trial["number"] for trial in trials if trial["outcome"] != "cut off"][:6] == [*range(6)]
    said = [line for _, err in outputs for line in err.splitlines() if line.startswith("Trial ")]
    assert sorted(line.split(":")[0] for line in said) == [f"Trial {n}" for n in range(6)]
    models = {path.parent.name for path in (here / "s").glob("trials/*/*.safetensors")}
    best = min(finished_in(trials), key=lambda trial: trial["value"])
    assert models == {f"{best['number']:04d}"}
    settings = tomllib.loads((here / "s" / "best.toml").read_text())
    assert settings["optimizer"]["lr"] == best["values"]["optimizer.lr"]


LONG = (*BASE, "--epochs", "100000", "--space", "lr=1e-3..0.1:log", "--study", "s", "--json")


def end(here, trial, number):
    """Begin a long search, and end it in the trial of this number by a signal."""
    process = start(*LONG)
    for _ in range(1200):
        if (here / "s" / "trials" / f"{trial:04d}" / "last.safetensors").exists():
            break
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_what_ends_it_leaves_a_study_that_goes_on(here):
    code, out, err = end(here, 0, signal.SIGINT)
    assert code == 130, err
    assert "Interrupted. The study is whole.\nGo on with the same command and: --study s" in err
    assert end(here, 1, signal.SIGKILL)[0] == -signal.SIGKILL
    code, out, err = end(here, 2, signal.SIGTERM)
    assert code == 143, err
    assert "Ended by SIGTERM. The study is whole." in err
    trials = trials_in(out)
    assert [trial["outcome"] for trial in trials] == ["interrupted", "cut off", "interrupted"]
    # Each was the first that counts, so each had what the settings say.
    assert all(trial["values"] == {"optimizer.lr": 0.05} for trial in trials)
    assert not list((here / "s").glob("trials/*/*.safetensors"))
