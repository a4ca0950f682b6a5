"""A process that is killed while it writes to the journal of a study keeps nobody from going on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tuned import SETTINGS, linear, little_data

pytest.importorskip("optuna")

import neocog

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")


def tune(storage=None):
    return neocog.tune(
        little_data(),
        SETTINGS,
        space={"lr": [0.05, 0.01]},
        trials=1,
        study="s",
        storage=storage,
        network=linear,
    )


def tune_and_be_killed(journal, storage=None):
    """`tune`, killed while it writes its first line: when the line is flushed to the disk."""
    fsync = os.fsync

    def kill(number):
        if Path(f"/proc/self/fd/{number}").resolve() == Path(journal).resolve():
            os.kill(os.getpid(), signal.SIGKILL)
        fsync(number)

    os.fsync = kill
    tune(storage)


def in_a_process(call, folder):
    here = Path(__file__).parent
    path = os.pathsep.join([str(here), str(here.parent), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-c", f"from {Path(__file__).stem} import *\n{call}"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks at /proc")
def test_the_next_goes_on_at_once_in_the_same_folder(tmp_path):
    killed = in_a_process("tune_and_be_killed('s/journal.log')", tmp_path)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    next_one = in_a_process("tune()", tmp_path)
    assert next_one.returncode == 0, next_one.stderr
    assert "lock" not in next_one.stderr  # Optuna says that it waits for one


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks at /proc")
def test_a_lock_on_a_shared_drive_can_be_seen_to_be_old(tmp_path):
    """Optuna asks when the file behind the link was changed, and waits half a minute more."""
    drive = tmp_path / "drive"
    drive.mkdir()
    killed = in_a_process("tune_and_be_killed('drive/kept', 'journal:///drive/kept')", tmp_path)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (lock,) = drive.glob("kept.*")
    assert lock.is_symlink()
    assert lock.samefile(drive / "kept")
