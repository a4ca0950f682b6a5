"""What holds for all tests."""

import os
import signal

import pytest

from neocog.cli import main
from neocog.limits import cores

# The tests already run in as many processes as there are cores.
os.environ.setdefault("NEOCOG_COMPILERS", "1")

# What tests decode would only fill the user's cache; tests of the cache have one of their own.
os.environ["NEOCOG_CACHE_SHARE"] = "0"

# A shell that starts pytest in the background has it ignore Ctrl+C, which every program that a test
# starts would inherit, and which Python then leaves as it is.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config):
    """Tests of kernels generate fewer examples where those marked as thorough are left out."""
    os.environ["NEOCOG_THOROUGH"] = "" if config.option.markexpr == "not thorough" else "1"


@pytest.hookimpl(optionalhook=True)  # not where pytest-xdist is left out
def pytest_xdist_auto_num_workers(config):
    """One process more than cores, as some tests wait: for a signal, a page, another process."""
    return cores() + 1


@pytest.fixture(autouse=True)
def many_cores(monkeypatch):
    """As many threads work as a test asks for, however few cores this machine has."""
    monkeypatch.setattr("neocog.engine.cores.cores", lambda: 64)


@pytest.fixture
def command(capsys):
    """Run a command here; gives exit code, stdout and stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        try:
            code = main([str(a) for a in arguments])
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    return run
