"""What is read of run folders, whoever wrote them."""

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neocog.errors import FormatError
from neocog.evaluation import Evaluation
from neocog.settings.optimizers import SGD
from neocog.settings.recipe import Recipe
from neocog.training.history import Epoch, History
from neocog.training.process_identity import this_process
from neocog.training.run_folder import RunFolder
from neocog.training.run_records import differing_settings, read_run, read_runs


def write(folder: Path, info: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(info), encoding="utf-8")
    return folder


def test_a_run_as_it_is_written(tmp_path):
    chosen = Recipe(name="mine", optimizer=SGD(0.5), freeze_after={"fc.bias": 2}, seed=3)
    run = RunFolder.create(tmp_path / "run", "little", chosen)
    assert read_run(run.path).status == "running"
    epochs = [Epoch(1, 2.5, 3.0), Epoch(2, 1.5, 4.0)]
    history = History(epochs=epochs, steps=40, seconds=7.25)
    labels, predicted = np.arange(10) % 2, np.array([0, 1, 0, 1, 0, 1, 0, 0, 1, 0])
    half = np.full(10, 0.5)
    wrong = (labels != predicted).astype(np.int64)
    evaluated = Evaluation(0.25, ("a", "b"), labels, predicted, half, wrong, half, 0.1)
    run.finish(history, evaluated, "finished")
    record = read_run(run.path)
    assert (record.name, record.path, record.status) == ("run", tmp_path / "run", "finished")
    assert (record.seconds, record.steps, record.epochs, record.error) == (7.25, 40, 2, None)
    wanted = {
        "recipe": "mine",
        "optimizer.type": "sgd",
        "optimizer.lr": 0.5,
        "optimizer.groups": "[]",
        "freeze_after.fc.bias": 2,
        "averaging": None,
        "schedule.type": "constant",
        "seed": 3,
    }
    assert {name: record.settings[name] for name in wanted} == wanted
    # Wilson's interval of 7 in 10; all are said to be as likely as not, and 7 are right.
    low, high, f1 = (
        record.results[f"test.{name}"] for name in ("accuracy_low", "accuracy_high", "f1")
    )
    assert (round(low, 4), round(high, 4)) == (0.3968, 0.8922)
    assert 0.6 < f1 < 0.8
    assert record.results["test.ece"] == pytest.approx(0.2)
    rest = {name: record.results[name] for name in ("test.accuracy", "test.loss", "train.loss")}
    assert rest == {"test.accuracy": 0.7, "test.loss": 0.25, "train.loss": 1.5}
    assert len(record.results) == 7
    assert record.result("accuracy") == 0.7
    assert json.loads(json.dumps(record.to_dict()))["results"]["test.loss"] == 0.25


def test_validation_counts_where_nothing_was_tested(tmp_path):
    measured = {"accuracy": 0.5, "loss": 2}
    record = read_run(write(tmp_path / "a", {"validation": measured, "test": None}))
    assert record.result("accuracy") == 0.5
    assert record.result("loss") == 2.0
    both = {"validation": measured, "test": {"accuracy": 0.25, "loss": math.nan}}
    record = read_run(write(tmp_path / "b", both))
    assert record.result("accuracy") == 0.25
    assert record.result("loss") == 2.0  # the other is no number
    assert record.result("f1") is None


def test_how_runs_ended(tmp_path):
    ended = {**this_process(), "pid": 2**22 + 1}  # more than Linux gives
    for info, status in (
        ({"status": "finished"}, "finished"),
        ({"status": "interrupted", "signal": "SIGTERM"}, "interrupted"),
        ({"status": "failed", "error": "The loss is NaN."}, "failed"),
        ({"status": "running", "process": this_process()}, "running"),
        ({"status": "running", "process": {**ended, "host": "elsewhere"}}, "running"),
        ({"status": "on fire"}, "unknown"),
        ({"status": ["running"]}, "unknown"),
        ({"started": "2026-11-30"}, "unknown"),
    ):
        assert read_run(write(tmp_path, info)).status == status
    if os.name == "posix":
        assert read_run(write(tmp_path, {"status": "running", "process": ended})).status == (
            "cut off"
        )
    assert read_run(write(tmp_path, {"error": "odd\x1b[2J"})).error == "odd\\x1b[2J"


def test_the_runs_of_a_folder(tmp_path):
    for name in ("b", "a", "c"):
        write(tmp_path / name, {"status": "finished"})
    (tmp_path / "no run").mkdir()
    (tmp_path / "file").write_text("{}")
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "run.json").write_text('{"status": ')
    assert [record.name for record in read_runs(tmp_path)] == ["a", "b", "c"]
    assert [record.name for record in read_runs(str(tmp_path))] == ["a", "b", "c"]


def test_what_is_no_folder_of_runs(tmp_path, monkeypatch):
    for name, said in (("none", "No such file"), ("a\0b", "null"), ("x" * 300, "too long")):
        with pytest.raises(FormatError, match=f"cannot be read: .*{said}"):
            read_runs(tmp_path / name)
        with pytest.raises(FormatError, match="is no run folder"):
            read_run(tmp_path / name)
    monkeypatch.setattr("neocog.training.run_records._MOST_FOLDERS", 2)
    for name in "abc":
        (tmp_path / name).mkdir()
    with pytest.raises(FormatError, match="has 3 things in it; up to 2 are looked at"):
        read_runs(tmp_path)


def test_settings_of_somebody_else(tmp_path):
    deep: object = 1
    for _level in range(50):
        deep = {"a": deep}
    odd = {
        "text\x1b": "\x1b[2J" * 1000,
        "deep": deep,
        "empty": {},
        **{f"more{n}": n for n in range(2000)},
    }
    found = read_run(write(tmp_path, {"settings": odd, "steps": -1, "epochs": 3})).settings
    assert len(found) == 1000
    assert all(name.isprintable() and len(name) <= 301 for name in found)
    assert "\x1b" not in found["text\\x1b"]
    assert found["empty"] == "{}"
    record = read_run(tmp_path)
    assert (record.steps, record.epochs) == (None, None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NAMES = ("status", "process", "started", "settings", "timings", "epochs", "test", "error", "steps")


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(NAMES), JSON, min_size=1))
def test_whatever_a_file_holds(tmp_path_factory, info):
    record = read_run(write(tmp_path_factory.mktemp("odd"), info))
    assert all(math.isfinite(value) for value in record.results.values())
    json.dumps(record.to_dict())


def test_which_settings_differ(tmp_path):
    records = [
        read_run(write(tmp_path / str(n), {"settings": values}))
        for n, values in enumerate(
            [
                {"same": 1, "lr": 0.1, "model": "a", "nan": math.nan, "kind": 1},
                {"same": 1, "lr": 0.2, "model": "a", "nan": math.nan, "kind": True, "new": 5},
            ]
        )
    ]
    assert differing_settings(records) == ["lr", "kind", "new"]
    assert differing_settings(records[:1]) == []
    assert differing_settings([]) == []
