"""What holds for all tests."""

import os
import signal
from pathlib import Path

import pytest
from alike import is_alike

from neocog.cli import main
from neocog.kernels.compiler import kernel_cache
from neocog.limits import cores

# The tests already run in as many processes as there are cores.
os.environ.setdefault("NEOCOG_COMPILERS", "1")

# What tests decode would only fill the user's cache; tests of the cache have one of their own.
os.environ["NEOCOG_CACHE_SHARE"] = "0"

# A shell that starts pytest in the background has it ignore Ctrl+C, which every program that a test
# starts would inherit, and which Python then leaves as it is.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


BEFORE = pytest.StashKey[set[str]]()


def pytest_addoption(parser):
    group = parser.getgroup("neocog")
    group.addoption("--note-passed", metavar="FILE", help="write the names of tests that passed")
    group.addoption(
        "--passed-before", metavar="FILE", help="leave them out where they do the same again"
    )


def pytest_configure(config):
    """Tests of kernels generate fewer examples where those marked as thorough are left out."""
    os.environ["NEOCOG_THOROUGH"] = "" if config.option.markexpr == "not thorough" else "1"
    noted, before = config.option.note_passed, config.option.passed_before
    config.stash[BEFORE] = set()
    if before:
        names = Path(before).read_text(encoding="utf-8").splitlines()
        config.stash[BEFORE].update(name for name in names if is_alike(name))
    if noted and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Passed(Path(noted)))


def pytest_report_header(config):
    before = config.stash[BEFORE]
    return f"left out: {len(before)} tests that passed before" if before else None


def pytest_collection_modifyitems(config, items):
    before = config.stash[BEFORE]
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid in before])
    items[:] = [item for item in items if item.nodeid not in before]


class Passed:
    """Writes which tests passed, with all that stands before and behind them."""

    def __init__(self, path):
        self._path, self._passed, self._others = path, set(), set()

    def pytest_runtest_logreport(self, report):
        self._passed.add(report.nodeid)
        if not report.passed:
            self._others.add(report.nodeid)

    def pytest_sessionfinish(self):
        names = sorted(self._passed - self._others)
        self._path.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


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


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """An empty cache of features and pictures; compiled kernels stay where they are."""
    kernel_cache.is_open()  # finds the kernels' folder, once for a process
    monkeypatch.setenv("NEOCOG_CACHE_SHARE", "0.5")
    monkeypatch.setenv("NEOCOG_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"
