"""A process that has ended."""

import json
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def dead() -> dict:
    """A process that has ended, as it would describe itself."""
    script = (
        "import json; from neocog.training.process_identity import this_process\n"
        "print(json.dumps(this_process()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)
