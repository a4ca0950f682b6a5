"""Run folders: whole sets of files, and what is read of them again."""

import contextlib
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from faults import Faulty, Killed
from run_folders import epochs_in, history_of, little_network, posix

import neocog
from neocog.data import Data, Dataset
from neocog.errors import FormatError, NeocogError
from neocog.evaluation import Evaluation
from neocog.settings.recipe import Recipe
from neocog.trained_on import trained_on
from neocog.training.history import Epoch, History
from neocog.training.process_identity import this_process
from neocog.training.run_folder import RunFolder
from neocog.training.run_lock import RunLock
from neocog.training.run_process import read_info, settle

FILES = ["cnn_model.pth", "config.toml", "history.csv", "last.safetensors", "run.json"]


def little_data(value: int = 0) -> Data:
    part = Dataset(np.full((2, 2, 2, 1), value, np.uint8), np.zeros(2, np.int64))
    return Data("little", part, part, ("a", "b"), "/somewhere/little")


def live(folder) -> int:
    """A run of two epochs; gives how many were saved."""
    saved = 0
    run = None
    try:
        run = RunFolder.create(folder, "little", Recipe(), little_data())
        for epoch in (1, 2):
            run.save(little_network(epoch), history_of(epoch))
            saved = epoch
        run.finish(history_of(2), None, "finished")
    except NeocogError as error:
        assert "No space left on device" in str(error)
        if run is not None:
            run.fail(error)
    return saved


@pytest.fixture
def quick(monkeypatch):
    """Without what takes its time, and what reads files that are not the run's."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)
    for name in ("machine", "versions"):
        monkeypatch.setattr(f"neocog.training.run_folder.{name}", dict)
    here = this_process()
    monkeypatch.setattr("neocog.training.run_folder.this_process", lambda: here)


def test_a_disk_that_fails_leaves_a_whole_run_or_none(tmp_path, quick):
    counted, at, outcomes = None, 0, set()
    while counted is None or at < counted:
        folder = tmp_path / f"run{at}"
        with pytest.MonkeyPatch.context() as patch:
            faulty = Faulty(patch, at, OSError(28, "No space left on device") if at else None)
            saved = live(folder)
        counted = counted or len(faulty.calls)
        at += 1
        outcomes.add(saved)
        if saved == 0:
            assert not folder.exists(), at
            continue
        assert epochs_in(folder) == 3 * [saved], at
        assert sorted(path.name for path in folder.iterdir()) == FILES, at
        json.loads((folder / "run.json").read_text())
    assert outcomes == {0, 1, 2}


def test_a_disk_that_fails_for_good_leaves_what_can_be_completed(tmp_path, quick, monkeypatch):
    """From the first epoch's second file on, nothing can be given another name."""
    run = RunFolder.create(tmp_path / "run", "little", Recipe(), little_data())
    replace = os.replace

    def fail(source, target, **settings):
        if Path(target) == run.path / "cnn_model.pth":
            raise OSError(28, "No space left on device")
        replace(source, target, **settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(FormatError, match="No space left") as caught:
            run.save(little_network(1), history_of(1))
    run.fail(caught.value)
    assert epochs_in(run.path) == [1]
    assert read_info(run.path)["status"] == "failed"
    assert settle(run.path) is None
    assert epochs_in(run.path) == [1, 1, 1]
    assert sorted(path.name for path in run.path.iterdir()) == FILES


@posix
def test_a_killed_process_leaves_a_whole_run_that_is_tidied_up(tmp_path, quick, dead, monkeypatch):
    monkeypatch.setattr("neocog.training.run_folder.this_process", lambda: dead)
    locks = []
    monkeypatch.setattr(
        "neocog.training.run_folder.RunLock",
        lambda folder: (locks.append(RunLock(folder)), locks[-1])[1],
    )
    counted, at, outcomes = None, 0, set()
    while counted is None or at < counted:
        folder = tmp_path / f"run{at}"
        with pytest.MonkeyPatch.context() as patch:
            faulty = Faulty(patch, at, Killed() if at else None)
            with contextlib.suppress(Killed):
                live(folder)
        for lock in locks:  # a process that was killed has none
            lock._lock.release(force=True)
        counted = counted or len(faulty.calls)
        at += 1
        if not folder.exists():
            continue
        assert len(set(epochs_in(folder))) <= 1
        said = settle(folder)
        found = epochs_in(folder)
        assert len(found) in (0, 3)
        assert len(set(found)) <= 1
        outcomes.add(found[0] if found else 0)
        info = read_info(folder)
        if not info:
            assert list(folder.glob("[!.]*")) == []
        elif info["status"] == "running":
            assert "cut off" in said
            assert f"process {dead['pid']} has ended" in said
            names = sorted(path.name for path in folder.iterdir())
            assert names in ([FILES] if found else [["run.json"], ["config.toml", "run.json"]])
        else:
            assert (info["status"], found) == ("finished", [2, 2, 2])
    assert outcomes == {0, 1, 2}


def test_a_thousand_classes_and_epochs_are_read_again(tmp_path):
    classes = tuple(f"a class with a long name, the {number}th" for number in range(1000))
    labels, predicted = np.divmod(np.arange(1_000_000), 1000)
    zeros = np.zeros(1_000_000)
    result = Evaluation(0.5, classes, labels, predicted, zeros, predicted, zeros, 1.0)
    run = RunFolder.create(tmp_path, "little", Recipe(class_weights=(0.5, 1e-8)))
    history = History(epochs=[Epoch(e, e / 3e5, e / 7) for e in range(1, 1001)])
    run.finish(history, result, "finished")
    info = read_info(tmp_path)
    assert info["test"]["confusion"] == np.ones((1000, 1000)).tolist()
    assert info["settings"]["class_weights"] == [0.5, 1e-8]
    assert info["settings"]["optimizer"]["groups"] == []
    assert len(info["epochs"]) == 1000
    # A row a line, for whoever looks at it.
    assert "      [1, 1, 1," in (tmp_path / "run.json").read_text()


RUNNING = '{"status": "running"}'


def test_a_larger_file_than_any_run_has_is_not_read(tmp_path, monkeypatch):
    (tmp_path / "run.json").write_text(RUNNING.ljust(8 * 2**20))
    assert "still being trained" in settle(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("neocog.limits.available_memory", lambda: 100 * 2**20)
        assert settle(tmp_path) is None
    (tmp_path / "run.json").write_text(RUNNING.ljust(8 * 2**20 + 1))
    assert settle(tmp_path) is None
    (tmp_path / "run.json").write_text(RUNNING)

    def fail(_text):
        raise MemoryError

    monkeypatch.setattr(json, "loads", fail)
    assert settle(tmp_path) is None


def test_a_run_is_looked_at_once(tmp_path, monkeypatch):
    (tmp_path / "run.json").write_text(RUNNING)
    loads, calls = json.loads, []
    monkeypatch.setattr(json, "loads", lambda text: (calls.append(1), loads(text))[1])
    assert "still being trained" in settle(tmp_path)
    assert calls == [1]


def test_a_run_knows_its_data_and_the_model_file_their_fingerprint_alone(tmp_path):
    run = RunFolder.create(tmp_path, "little", Recipe(), little_data())
    run.save(little_network(1), history_of(1))
    fingerprint = little_data().fingerprint
    assert read_info(tmp_path)["data"] == {
        "name": "little",
        "source": "/somewhere/little",
        "options": {},
        "fingerprint": fingerprint,
    }
    assert neocog.formats.training_of(tmp_path) == {
        "data": "little",
        "data_fingerprint": fingerprint,
    }
    assert b"somewhere" not in (tmp_path / "last.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("source", "taken"),
    [
        ("/data/pictures", sys.platform != "win32"),
        ("C:\\data\\pictures", sys.platform == "win32"),
        ("shapes", True),
        ("pictures", False),
        ("../pictures", False),
        ("~/pictures", False),
        # Another machine's, as Windows has it: "/" and "\\" are the same to it.
        ("//host/share", False),
        ("\\\\host\\share", False),
        ("/\\host\\share", False),
        ("\\/host/share", False),
        ("//?/UNC/host/share", False),
        ("null\0byte", False),
    ],
)
def test_only_an_absolute_path_on_this_machine_is_where_data_lie(tmp_path, source, taken):
    run = RunFolder.create(tmp_path, "little", Recipe(), little_data())
    run.save(little_network(1), history_of(1))
    info = read_info(tmp_path)
    info["data"]["source"] = source
    (tmp_path / "run.json").write_text(json.dumps(info))
    said = trained_on(tmp_path)
    assert said.source == (source if taken else None)
    assert (said.name, said.fingerprint) == ("little", little_data().fingerprint)
