"""Trainings that are killed at random moments come to the bits of those that are not."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "SIGKILL") or sys.platform == "win32", reason="SIGKILL and fork as on POSIX"
)


def kill(kills: int, seed: int) -> dict[str, int]:
    script = Path(__file__).with_name("kill_harness.py")
    done = subprocess.run(
        [sys.executable, str(script), str(kills), str(seed)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-5000:]
    return json.loads(done.stdout)


def test_some_kills():
    assert kill(6, 0)["kills"] == 6


@pytest.mark.thorough
def test_fifty_kills():
    found = kill(50, 1)
    assert found["kills"] == 50
    assert found["inside"] >= 15
