"""One process at a time in a run's folder, and no lock of one that has ended."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from neocog.errors import FormatError, NeocogError
from neocog.settings.recipe import Recipe
from neocog.training.history import History
from neocog.training.process_identity import this_process
from neocog.training.run_folder import RunFolder
from neocog.training.run_lock import LOCK, RunLock

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and forks as on POSIX")

# The lock alone, without all that the package of training imports, which takes a second.
LIGHT = (
    "import os, subprocess, sys, time, types, neocog\n"
    "training = sys.modules['neocog.training'] = types.ModuleType('neocog.training')\n"
    "training.__path__ = [neocog.__path__[0] + '/training']\n"
    "from neocog.errors import NeocogError\n"
    "from neocog.training.run_lock import RunLock\n"
)
TAKES = "lock = RunLock(sys.argv[1]); lock.acquire()\n"
HOLDS = TAKES + "print('held', flush=True); time.sleep(100)"


@contextmanager
def holder(folder: Path, script: str = HOLDS):
    """Another process, which holds the lock."""
    command = [sys.executable, "-c", LIGHT + script, str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        process.word = process.stdout.readline().strip()
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_lock_leaves_nothing(tmp_path):
    for _again in range(2):
        with RunLock(tmp_path) as lock:
            assert lock.held
            assert [path.name for path in tmp_path.iterdir()] == [LOCK]
        assert not lock.held
        lock.release()
        assert list(tmp_path.iterdir()) == []


def test_the_second_process_is_told_who_the_first_is(tmp_path):
    with holder(tmp_path) as process:
        assert process.word == "held"
        with pytest.raises(NeocogError) as caught:
            RunLock(tmp_path).acquire()
        assert str(caught.value) == (
            f"{tmp_path} is in use: process {process.pid} is training in it. Wait until it has "
            "ended, or choose another folder."
        )
        assert (tmp_path / LOCK).exists()


def test_a_second_lock_of_the_same_process(tmp_path):
    with RunLock(tmp_path):
        with pytest.raises(NeocogError, match="this process is training in it"), RunLock(tmp_path):
            pytest.fail("both had it")
        assert (tmp_path / LOCK).exists()
    with RunLock(tmp_path):
        pass


@posix
def test_a_killed_process_keeps_no_lock(tmp_path):
    with holder(tmp_path) as process:
        process.kill()
        process.wait()
        assert (tmp_path / LOCK).exists()
        with RunLock(tmp_path):
            owner = json.loads((tmp_path / LOCK).read_text())
            assert owner["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


CHILDREN = {
    "a fork": (
        # The child says when it is there, and so has let go of the lock.
        TAKES + "child = os.fork()\n"
        "if child == 0: print(os.getpid(), flush=True); time.sleep(100); os._exit(0)\n"
        "time.sleep(100)"
    ),
    "a program": (
        TAKES + "sleep = [sys.executable, '-c', 'import time; time.sleep(100)']\n"
        "child = subprocess.Popen(sleep, close_fds=False, stdout=subprocess.DEVNULL)\n"
        "print(child.pid, flush=True); time.sleep(100)"
    ),
}


@posix
@pytest.mark.parametrize("script", CHILDREN.values(), ids=CHILDREN)
def test_the_children_of_a_killed_process_keep_no_lock(tmp_path, script):
    with holder(tmp_path, script) as process:
        child = int(process.word)
        try:
            with pytest.raises(NeocogError, match=f"process {process.pid} is training"):
                RunLock(tmp_path).acquire()
            process.kill()
            process.wait()
            os.kill(child, 0)  # it is still there
            with RunLock(tmp_path):
                pass
        finally:
            os.kill(child, signal.SIGKILL)


@posix
def test_a_fork_that_ends_leaves_its_parent_the_lock(tmp_path):
    script = (
        TAKES + "if os.fork() == 0: sys.exit()\n"
        "os.wait(); print('held', flush=True); time.sleep(100)"
    )
    with holder(tmp_path, script) as process:
        assert process.word == "held"
        with pytest.raises(NeocogError, match=f"process {process.pid} is training"):
            RunLock(tmp_path).acquire()


@posix
def test_only_one_of_many_gets_it(tmp_path):
    """Also where a lock file is just being removed by the one before."""
    script = (
        "print('ready', flush=True); sys.stdin.readline()\n"
        "end, taken = time.monotonic() + 1, 0\n"
        "while time.monotonic() < end:\n"
        "    try:\n"
        "        with RunLock(sys.argv[1]):\n"
        "            os.close(os.open(sys.argv[1] + '/alone', os.O_CREAT | os.O_EXCL))\n"
        "            os.unlink(sys.argv[1] + '/alone'); taken += 1\n"
        "    except NeocogError: pass\n"
        "print(taken)"
    )
    command = [sys.executable, "-c", LIGHT + script, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(3)]
    for process in processes:
        process.stdout.readline()
    taken = [int(process.communicate("\n")[0]) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sum(taken) > 3
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FormatError, match=f"There is no folder {re.escape(str(tmp_path))}/none."):
        RunLock(tmp_path / "none" / "run").acquire()
    (tmp_path / "file").write_text("")
    with pytest.raises(FormatError, match="cannot be written"):
        RunLock(tmp_path / "file").acquire()


@posix
def test_a_link_in_the_place_of_the_lock_is_not_followed(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("mine")
    run = tmp_path / "run"
    run.mkdir()
    (run / LOCK).symlink_to(precious)
    with pytest.raises(FormatError, match="cannot be written"):
        RunLock(run).acquire()
    assert precious.read_text() == "mine"


@pytest.mark.parametrize("content", ["", "[" * 100_000, " [1]", ' {"pid": "x\\u001b"}', " \xff"])
def test_a_lock_file_that_tells_nothing(tmp_path, content):
    with holder(tmp_path):
        (tmp_path / LOCK).write_text(content, encoding="latin-1")
        with pytest.raises(NeocogError, match="in use: another process is training in it"):
            RunLock(tmp_path).acquire()


# File systems without locks


@pytest.fixture
def without_locks(monkeypatch):
    def refuse(_descriptor, _operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)


def write_owner(folder: Path, **process) -> None:
    (folder / LOCK).write_text(" " + json.dumps(process))


@posix
def test_without_locks_the_file_decides(tmp_path, without_locks):
    with RunLock(tmp_path):
        assert json.loads((tmp_path / LOCK).read_text()) == this_process()
        with pytest.raises(NeocogError, match="this process is training in it"):
            RunLock(tmp_path).acquire()
    assert list(tmp_path.iterdir()) == []
    with holder(tmp_path, "print('there', flush=True); time.sleep(100)") as process:
        write_owner(tmp_path, **{**this_process(), "pid": process.pid, "started": None})
        with pytest.raises(NeocogError, match=f"process {process.pid} is training"):
            RunLock(tmp_path).acquire()
        process.kill()
        process.wait()
        with RunLock(tmp_path):
            assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()


@posix
def test_without_locks_another_machine_is_not_asked(tmp_path, without_locks):
    write_owner(tmp_path, **{**this_process(), "host": "other\x1b[2J"})
    with pytest.raises(NeocogError) as caught:
        RunLock(tmp_path).acquire()
    text = str(caught.value)
    assert f"process {os.getpid()} on other\\x1b[2J is training in it" in text
    assert text.endswith(f"if it has, remove {tmp_path / LOCK}.")
    (tmp_path / LOCK).unlink()
    with RunLock(tmp_path):
        pass


# In a run's folder


def test_two_runs_in_one_folder(tmp_path):
    run = RunFolder.create(tmp_path / "run", "little", Recipe())
    with pytest.raises(FormatError, match=f"process {os.getpid()} is still training it"):
        RunFolder.create(tmp_path / "run", "little", Recipe())
    with pytest.raises(NeocogError, match="is in use"):
        RunLock(run.path).acquire()
    run.fail(ValueError())
    assert list(tmp_path.iterdir()) == []


def test_two_runs_that_begin_at_the_same_moment(tmp_path):
    """The folder is still empty when the second one looks at it."""
    folder = tmp_path / "run"
    folder.mkdir()
    with RunLock(folder):
        with pytest.raises(NeocogError, match="is in use: this process"):
            RunFolder.create(folder, "little", Recipe())
        assert [path.name for path in folder.iterdir()] == [LOCK]
    RunFolder.create(folder, "little", Recipe()).fail(ValueError())
    assert list(folder.iterdir()) == []


def test_what_a_killed_run_left_is_no_hindrance(tmp_path):
    (tmp_path / LOCK).write_text("")
    RunFolder.create(tmp_path, "little", Recipe()).fail(ValueError())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("end", ["finish", "fail"])
def test_the_lock_goes_with_the_run(tmp_path, end):
    run = RunFolder.create(tmp_path / "run", "little", Recipe())
    run.holds_results = True
    run.finish(History(), None, "finished") if end == "finish" else run.fail(ValueError("odd"))
    assert sorted(path.name for path in run.path.iterdir()) == ["config.toml", "run.json"]
    with RunLock(run.path):
        pass
