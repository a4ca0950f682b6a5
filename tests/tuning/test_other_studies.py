"""Folders that hold another study, none, or a damaged one."""

import pytest
from test_tune import RATES, tune
from tuned import SETTINGS, little_data

pytest.importorskip("optuna")

import neocog
from neocog import DataError, FormatError, NeocogError


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    tune(folder, RATES, trials=1)
    return folder


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"space": {"lr": [0.05, 0.5]}}, r"another space: optimizer.lr was '0.05,0.0001', and is"),
        ({"space": {"momentum": "0..0.9", **RATES}}, "optimizer.momentum was not there, and is"),
        ({"batch_size": 16}, "another setting: batch_size was 8, and is 16"),
        ({"monitor": "validation_accuracy"}, "another setting: monitor was 'validation_loss'"),
        ({"data": little_data(40)}, "a study of little, whose images are not those of little"),
    ],
)
def test_what_differs(study, more, message):
    before = (study / "journal.log").read_bytes()
    with pytest.raises(NeocogError, match=message):
        tune(study, **{"space": RATES, **more})
    assert (study / "journal.log").read_bytes() == before


def test_other_threads_make_no_other_study(study):
    assert len(tune(study, RATES, trials=1, threads=2).trials) == 1


def test_a_folder_of_something_else(tmp_path):
    (tmp_path / "letter.txt").write_text("Dear")
    with pytest.raises(FormatError, match="holds something, and no study"):
        tune(tmp_path, RATES)


@pytest.mark.parametrize(
    "content",
    [b"rubbish\nrubbish\n", b"[]\n[]\n", b'{"op_code": 99, "worker_id": "a"}\n' * 2, b"\0" * 50],
)
def test_a_damaged_journal(tmp_path, content):
    (tmp_path / "journal.log").write_bytes(content)
    with pytest.raises(FormatError, match=r"journal.log is damaged, or of another program"):
        tune(tmp_path, RATES)


def test_a_journal_that_is_no_file(tmp_path):
    (tmp_path / "journal.log").mkdir()
    with pytest.raises(FormatError, match=r"journal.log cannot be read"):
        tune(tmp_path, RATES)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data": little_data().train}, "must be a neocog Data"),
        ({"settings": neocog.TrainingSettings()}, "must be a neocog Recipe"),
        ({"trials": 0}, "trials"),
        ({"minutes": -1}, "minutes"),
        ({"monitor": "loss"}, "loss of the training images"),
        ({"learning_rate": 3}, "no setting 'learning_rate'"),
        ({"study": 3}, "study must be the path of a folder"),
    ],
)
def test_arguments(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    given = {"data": little_data(), "settings": SETTINGS, "space": RATES, **arguments}
    with pytest.raises((NeocogError, DataError), match=message):
        neocog.tune(**given)
    assert not list(tmp_path.iterdir())
