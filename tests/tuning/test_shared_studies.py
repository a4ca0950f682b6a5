"""Studies in a storage of their own, shared by processes that share no folder."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tuned import GOOD, SETTINGS, SLOW, linear, little_data

pytest.importorskip("optuna")

import neocog
from neocog import FormatError, NeocogError
from neocog.cli import main
from neocog.settings.toml import read_toml
from neocog.tuning import heartbeat, optuna_study
from neocog.tuning.optuna_storage import OptunaStorage
from neocog.tuning.optuna_study import OptunaStudy
from neocog.tuning.space import Choices
from neocog.tuning.storage_url import parse_storage
from neocog.tuning.study import TrialResult

RATES = {"lr": [GOOD, SLOW]}
KINDS = ("journal", "sqlite")
SPACE = {"optimizer.lr": Choices((GOOD, SLOW))}


def tune(folder, storage, trials=3, **more):
    more = {"space": RATES, **more}
    data = more.pop("data", None) or little_data()
    return neocog.tune(
        data, SETTINGS, trials=trials, study=folder, storage=storage, network=linear, **more
    )


def begin(folder, storage, **more):
    """`tune` in a process of its own."""
    code = f"from test_shared_studies import tune\ntune({str(folder)!r}, {storage!r}, **{more!r})\n"
    here = Path(__file__).parent
    path = os.pathsep.join([str(here), str(here.parent), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.PIPE
    )


def numbers(folder) -> set[int]:
    return {int(path.name) for path in (folder / "trials").iterdir()}


@pytest.mark.parametrize("kind", KINDS)
def test_two_folders_share_a_study(tmp_path, kind):
    storage = f"{kind}:///{tmp_path / 'kept'}"
    one, other = tmp_path / "one" / "s", tmp_path / "other" / "s"
    first = tune(one, storage, trials=2, lr=GOOD)
    found = tune(other, storage, trials=4, lr=GOOD)
    assert found.trials[:2] == first.trials
    assert (numbers(one), numbers(other)) == ({0, 1}, {2, 3})
    assert {path.name for path in one.iterdir()} <= {"trials", "best.toml", ".neocog-study-lock"}
    again = tune(one, storage, trials=4, lr=GOOD, space=None)
    assert again.trials == found.trials
    # The settings of the best are in both, wherever it was trained.
    for folder in (one, other):
        best = read_toml(folder / "best.toml", "configuration")
        assert best["optimizer"]["lr"] == found.best.values["optimizer.lr"] == GOOD


@pytest.mark.parametrize("kind", KINDS)
def test_another_name_is_another_study_in_the_same_storage(tmp_path, kind):
    storage = f"{kind}:///{tmp_path / 'kept'}"
    tune(tmp_path / "one", storage, trials=1)
    found = tune(tmp_path / "other", storage, trials=1, epochs=1)
    assert [trial.number for trial in found.trials] == [0]
    with pytest.raises(NeocogError, match="another setting: epochs was 2, and is 1"):
        tune(tmp_path / "far" / "one", storage, trials=2, epochs=1)
    with pytest.raises(NeocogError, match="whose images are not those of little"):
        tune(tmp_path / "far" / "one", storage, trials=2, data=little_data(40))
    assert not (tmp_path / "far").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_the_storage_may_lie_in_the_folder(tmp_path, kind):
    folder = tmp_path / "s"
    tune(folder, f"{kind}:///{folder / 'kept'}", trials=1)
    assert len(tune(folder, f"{kind}:///{folder / 'kept'}", trials=2).trials) == 2


@pytest.mark.parametrize("kind", ["journal", pytest.param("sqlite", marks=pytest.mark.thorough)])
def test_two_processes_at_the_same_time_and_one_that_is_killed(tmp_path, kind):
    storage = f"{kind}:///{tmp_path / 'kept'}"
    how = {"epochs": 100_000, "trials": 3}
    stops = neocog.Callback()
    stops.epoch_done = lambda epoch, history: stops.stop()
    process = begin(tmp_path / "killed" / "s", storage, **how)
    try:
        models = tmp_path / "killed" / "s" / "trials" / "0000" / "last.safetensors"
        while not models.exists():
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
        found = tune(tmp_path / "s", storage, **{**how, "trials": 2}, callback=stops)
        assert [trial.outcome for trial in found.trials] == ["running", "finished"]
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.communicate(timeout=60)
    found = tune(tmp_path / "s", storage, **how, callback=stops)
    outcomes = [trial.outcome for trial in found.trials]
    assert outcomes == ["cut off", "finished", "finished", "finished"]
    # One of the later trials has the values of the one that was killed.
    assert found.trials[0].values in [trial.values for trial in found.trials[1:]]
    assert numbers(tmp_path / "s") == {1, 2, 3}


# Signs of life


@pytest.fixture
def study(tmp_path):
    url = parse_storage(f"journal:///{tmp_path / 'kept'}")
    return OptunaStudy(tmp_path, OptunaStorage(tmp_path, url), "validation_loss", 0)


def test_a_trial_of_another_machine_is_given_up_when_it_is_silent(study, monkeypatch):
    trial = study.ask(SPACE, 5)
    assert study.release_dead() == []
    monkeypatch.setattr(optuna_study, "is_alive", lambda process: None)
    assert study.release_dead() == []
    now = time.time()
    monkeypatch.setattr(heartbeat.time, "time", lambda: now + 299)
    assert study.release_dead() == []
    monkeypatch.setattr(heartbeat.time, "time", lambda: now + 330)
    assert study.release_dead() == [0]
    # Its process comes back, and finds that nobody waits for it any more.
    assert trial.report(0.5, 1)
    study.tell(trial, TrialResult(0, trial.values, "finished", 0.5))
    assert [one.outcome for one in study.results()] == ["cut off"]
    assert study.ask(SPACE, 1).number == 1


def test_a_trial_under_way_gives_signs_of_life(study, monkeypatch):
    monkeypatch.setattr(heartbeat, "_EVERY", 0.01)
    monkeypatch.setattr(optuna_study, "is_alive", lambda process: None)
    real, ahead = time.time, 1000.0
    trial = study.ask(SPACE, 5)
    monkeypatch.setattr(heartbeat.time, "time", lambda: real() + ahead)
    with trial.alive():
        end = time.monotonic() + 60
        while study._study.trials[0].user_attrs["sign of life"] < real() + ahead - 100:
            assert time.monotonic() < end
            time.sleep(0.01)
        assert study.release_dead() == []


# What cannot be


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        ("sqlite:///{}/none/tune.db", "tune.db: .*unable to open database file"),
        ("journal:///{}/none/tune.log", "none/tune.log cannot be written: .* There is no folder /"),
        ("postgresql+pg8000://me:secret@host/db", r"needs a driver, .*: pip install 'pg8000'"),
    ],
)
def test_one_message_without_the_password(tmp_path, monkeypatch, storage, message):
    monkeypatch.setitem(sys.modules, "pg8000", None)
    with pytest.raises(NeocogError, match=message) as error:
        tune(tmp_path / "s", storage.format(tmp_path))
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--study", "s", "--storage", "redis://me:secret@host"), "and not of redis://"),
        (("--storage", "mysql://me:secret@host/db"), "give study (--study), too"),
    ],
)
def test_the_command_says_what_is_wrong_before_data_are_loaded(
    tmp_path, capsys, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("neocog.cli.tune.set_up", None)
    assert main(["tune", "shapes", *arguments]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert message in err and "secret" not in err
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_database(tmp_path):
    (tmp_path / "letter.txt").write_text("Dear" * 1000)
    with pytest.raises(NeocogError, match="file is not a database"):
        tune(tmp_path / "s", f"sqlite:///{tmp_path / 'letter.txt'}")
    with pytest.raises(FormatError, match=r"letter.txt is damaged, or of another program"):
        tune(tmp_path / "s", f"journal:///{tmp_path / 'letter.txt'}")


def test_a_folder_of_something_else(tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "letter.txt").write_text("Dear")
    with pytest.raises(FormatError, match="holds something, and no study"):
        tune(tmp_path / "s", f"sqlite:///{tmp_path / 'kept'}")
    tune(tmp_path / "own" / "s", None, trials=1)
    with pytest.raises(FormatError, match="holds something, and no study"):
        tune(tmp_path / "own" / "s", f"sqlite:///{tmp_path / 'kept'}")
