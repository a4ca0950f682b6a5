"""Processes that are killed while they save checkpoints, and disks that are really full."""

import errno
import os
import random
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from checkpointing import same

from neocog.errors import FormatError
from neocog.formats.checkpoint import Checkpoint
from neocog.training.checkpoints import Checkpoints

# A checkpoint of a step tells by all of its numbers which it is. Here and in the script below.
NUMBERS = 20_000


def checkpoint_of(steps: int) -> Checkpoint:
    arrays = {f"a{n}": np.full(NUMBERS, steps + n, np.float32) for n in range(5)}
    return Checkpoint(arrays, {"steps": steps, "history": [steps] * 100})


SAVES = f"""
import sys, types, neocog
training = sys.modules["neocog.training"] = types.ModuleType("neocog.training")
training.__path__ = [neocog.__path__[0] + "/training"]
import numpy as np
from neocog.formats.checkpoint import Checkpoint
from neocog.training.checkpoints import Checkpoints

checkpoints = Checkpoints(sys.argv[1], keep=2)
steps = checkpoints.newest().steps if checkpoints.saved() else 0
print("begins at", steps, flush=True)
while True:
    steps += 1
    arrays = {{f"a{{n}}": np.full({NUMBERS}, steps + n, np.float32) for n in range(5)}}
    checkpoints.save(steps, Checkpoint(arrays, {{"steps": steps, "history": [steps] * 100}}))
    print(steps, flush=True)
"""


def kill_while_saving(run: Path, saves: int, seconds: float) -> int:
    """Kill a process so many seconds after some saves; gives the last step that it told of."""
    process = subprocess.Popen(
        [sys.executable, "-c", SAVES, str(run)], stdout=subprocess.PIPE, text=True
    )
    try:
        lines = [process.stdout.readline() for _ in range(1 + saves)]
        time.sleep(seconds)
    finally:
        process.kill()
        rest, _none = process.communicate()
    # The last line may be cut off.
    return int(re.findall(r"(\d+)\n", "".join(lines) + rest)[-1])


def check_kills(run: Path, kills: int) -> int:
    """Kill again and again; gives how many of the kills left a half-written file."""
    generator = random.Random(kills)
    inside = 0
    for _kill in range(kills):
        told = kill_while_saving(run, generator.randrange(1, 4), generator.uniform(0, 0.02))
        inside += bool(list(run.glob("checkpoints/.neocog-*.tmp")))
        found = Checkpoints(run, keep=2).newest()
        # What was saved before the kill is there; one more may have been, which it did not tell.
        assert found.steps in (told, told + 1)
        assert found.damaged == ()
        assert same(found.checkpoint, checkpoint_of(found.steps))
        names = [path.name for path in (run / "checkpoints").iterdir()]
        assert len(names) <= 3  # one more than are kept, where it was killed before the removal
        assert all(name.startswith("step-") for name in names)
    return inside


posix = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL and mount as on POSIX")


@posix
def test_a_kill_in_the_midst_of_saving(tmp_path):
    check_kills(tmp_path, 5)


@posix
@pytest.mark.thorough
def test_many_kills_in_the_midst_of_saving(tmp_path):
    assert check_kills(tmp_path, 60) >= 10


# Disks


def test_writing_that_takes_less_than_it_is_given(tmp_path, monkeypatch):
    """As where a disk fills within one call; the folder is as it was."""
    checkpoints = Checkpoints(tmp_path, keep=2)
    for steps in (1, 2):
        checkpoints.save(steps, checkpoint_of(steps))
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_001, limit[1]))
    try:
        with pytest.raises(FormatError, match="cannot be written: File too large"):
            checkpoints.save(3, checkpoint_of(3))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2
    assert same(checkpoints.newest().checkpoint, checkpoint_of(2))


@pytest.fixture
def little_disk(tmp_path):
    """A disk of 1 MB; only root can make one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if not mount or not umount or not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("only root mounts a disk")
    command = [mount, "-t", "tmpfs", "-o", "size=1m", "neocog-test", str(place)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    yield place
    subprocess.run([umount, str(place)], check=True)


def test_a_disk_that_is_full(little_disk):
    """Of a megabyte: two checkpoints of 0.4 MB fit, and a third does not."""
    checkpoints = Checkpoints(little_disk, keep=3)
    for steps in (1, 2):
        checkpoints.save(steps, checkpoint_of(steps))
    for _again in range(2):
        with pytest.raises(FormatError) as caught:
            checkpoints.save(3, checkpoint_of(3))
        assert re.search(
            r"step-000000003\.safetensors cannot be written: No space left on device "
            r"\(0\.[12] MiB free, 0\.4 MiB needed\)\. Free some space, or choose a folder on",
            str(caught.value),
        )
        assert len(list((little_disk / "checkpoints").iterdir())) == 2
        assert same(checkpoints.newest().checkpoint, checkpoint_of(2))
    (little_disk / "checkpoints" / "step-000000001.safetensors").unlink()
    checkpoints.save(3, checkpoint_of(3))
    assert same(checkpoints.newest().checkpoint, checkpoint_of(3))


def test_a_disk_that_can_only_be_read(little_disk):
    checkpoints = Checkpoints(little_disk, keep=3)
    checkpoints.save(1, checkpoint_of(1))
    remount = [shutil.which("mount"), "-o", "remount,ro", str(little_disk)]
    subprocess.run(remount, check=True)
    with pytest.raises(FormatError, match=r"Read-only file system\. Choose a folder that can"):
        checkpoints.save(2, checkpoint_of(2))
    assert same(checkpoints.newest().checkpoint, checkpoint_of(1))


def test_a_folder_that_may_not_be_written_to(tmp_path, monkeypatch):
    """Root may write anywhere, so the system's answer is made up."""
    opened = os.open

    def refuse(path, *rest, **settings):
        if str(path).endswith(".tmp"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, *rest, **settings)

    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, checkpoint_of(1))
    monkeypatch.setattr("io.open", refuse)
    with pytest.raises(FormatError) as caught:
        checkpoints.save(2, checkpoint_of(2))
    path = tmp_path / "checkpoints" / "step-000000002.safetensors"
    assert str(caught.value) == (
        f"{path} cannot be written: Permission denied. Choose a folder that you may write to."
    )
