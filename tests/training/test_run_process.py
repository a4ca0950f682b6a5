"""Which process a run belongs to, what is said of it, and who tidies up after it."""

import json
import os
import time
from pathlib import Path

import pytest
from run_folders import epochs_in, history_of, little_network, posix

from neocog.errors import FormatError, NeocogError
from neocog.loading import open_saved
from neocog.settings.recipe import Recipe
from neocog.training.process_identity import this_process
from neocog.training.run_folder import RunFolder
from neocog.training.run_process import how_it_stands, settle


def with_process(folder, **process):
    folder.mkdir(exist_ok=True)
    (folder / "run.json").write_text(json.dumps({"status": "running", "process": process}))
    return folder


@posix
def test_what_is_said_of_a_run(tmp_path, dead):
    here = this_process()
    assert how_it_stands(with_process(tmp_path, **here)) == (
        f"process {os.getpid()} is still training it."
    )
    assert "cut off" in how_it_stands(with_process(tmp_path, **dead))
    if here["started"] is not None:  # its number was given to another process since
        reused = {**here, "started": "1 ticks after boot x"}
        assert "cut off" in how_it_stands(with_process(tmp_path, **reused))
    container = {**dead, "namespace": "pid:[1]"}
    assert "says that it is still being trained" in how_it_stands(
        with_process(tmp_path, **container)
    )
    elsewhere = {**dead, "host": "another\x1b[2J"}
    assert how_it_stands(with_process(tmp_path, **elsewhere)) == (
        "its run.json says that it is still being trained, by process "
        f"{dead['pid']} on another\\x1b[2J."
    )
    for odd in ({}, {"pid": -1}, {"pid": "1"}, {"pid": 2**80, "host": here["host"]}):
        assert "still being trained" in how_it_stands(with_process(tmp_path, **odd))


@pytest.mark.parametrize(
    "content", ['{"status": "finished"}', "[]", "{", "[" * 100_000, "\xff", '{"status": 3}']
)
def test_what_is_no_running_run(tmp_path, content):
    assert how_it_stands(tmp_path) is None
    (tmp_path / "run.json").write_text(content, encoding="latin-1")
    assert how_it_stands(tmp_path) is None
    assert settle(tmp_path) is None
    assert settle(tmp_path / "run.json") is None


def left_behind(folder, age: float = 0.0) -> list[Path]:
    """What a writing leaves that is cut off: a file, and a folder of a set; so many seconds old."""
    paths = [folder / f".neocog-{digit * 16}.tmp" for digit in "12"]
    paths[0].write_bytes(b"half")
    paths[1].mkdir()
    for path in paths:
        os.utime(path, (time.time() - age, time.time() - age))
    return paths


@posix
def test_what_another_process_may_be_writing_is_left_alone(tmp_path):
    for number, info in enumerate(
        [{"status": "finished"}, {"status": "running", "process": this_process()}]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "run.json").write_text(json.dumps(info))
        paths = left_behind(folder)
        settle(folder)
        assert all(path.exists() for path in paths)


@posix
def test_what_is_left_of_a_run_that_ended_is_tidied_up(tmp_path, dead):
    paths = left_behind(with_process(tmp_path, **dead))
    settle(tmp_path)
    assert not any(path.exists() for path in paths)
    (tmp_path / "run.json").write_text('{"status": "interrupted"}')
    paths = left_behind(tmp_path, age=7200)
    settle(tmp_path)
    assert not any(path.exists() for path in paths)


@posix
def test_opening_a_folder_of_somebody_elses_changes_nothing_in_it(tmp_path, dead):
    with_process(tmp_path, **dead)
    left_behind(tmp_path, age=7200)
    (tmp_path / ".neocog-next").mkdir()
    (tmp_path / ".neocog-next" / "last.safetensors").write_bytes(b"weights")
    before = sorted(tmp_path.rglob("*"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
        assert "cut off" in settle(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before
    settle(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.safetensors", "run.json"]


@posix
def test_opening_a_run_moves_no_files_from_elsewhere(tmp_path):
    letters, run = tmp_path / "letters", tmp_path / "run"
    for folder in (letters, run):
        folder.mkdir()
    (letters / "letter.txt").write_text("mine")
    (run / "run.json").write_text('{"status": "finished"}')
    (run / ".neocog-next").symlink_to(letters)
    with pytest.raises(NeocogError):
        open_saved(str(run))
    assert (letters / "letter.txt").read_text() == "mine"
    with pytest.raises(FormatError, match="holds something already"):
        RunFolder.create(run, "little", Recipe())
    (run / "run.json").unlink()
    with pytest.raises(FormatError, match="holds something already"):
        RunFolder.create(run, "little", Recipe())
    assert [path.name for path in letters.iterdir()] == ["letter.txt"]


@posix
def test_a_folder_with_a_run_says_so(tmp_path, dead):
    with_process(tmp_path, **dead)
    with pytest.raises(FormatError, match=r"holds a run already: its training was cut off: "):
        RunFolder.create(tmp_path, "little", Recipe())


def test_what_a_killed_process_left_alone_is_no_obstacle(tmp_path):
    (tmp_path / ".neocog-0123456789abcdef.tmp").mkdir()
    (tmp_path / ".neocog-0123456789abcdee.tmp").write_bytes(b"half")
    RunFolder.create(tmp_path, "little", Recipe()).save(little_network(1), history_of(1))
    assert epochs_in(tmp_path) == [1, 1, 1]
